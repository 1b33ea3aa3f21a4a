"""Deadlines are counted again only after the own topics are compared, because due ones get numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shared.core.errors import Unavailable
from shared.delivery.session_check import SessionCheck
from shared.instance.machinery import InstanceParts
from shared.platform.database.transactions import Database
from tests.shared.instance.test_relay_lease import instance

#: None of its parts is used.
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


async def test_deadlines_are_counted_again_after_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(NOWHERE)
    database.session_number = 1
    here, done = instance(database), list[str]()

    async def compare(check: SessionCheck, _: Any) -> None:
        with pytest.raises(Unavailable, match="streams_unchecked"):
            check.check()
        done.append("compared")

    async def rebuild() -> int:
        here.streams.session_check.check()
        done.append("rebuilt")
        return 7

    monkeypatch.setattr(SessionCheck, "compare", compare)
    monkeypatch.setattr(InstanceParts, "require_listed", lambda _: None)
    monkeypatch.setattr(InstanceParts, "timers", lambda _: SimpleNamespace(rebuild=rebuild))
    assert await here.rebuild_timers() == 7
    assert done == ["compared", "rebuilt"]


async def test_without_a_directory_nothing_is_counted() -> None:
    with pytest.raises(Unavailable):
        await instance(Database(NOWHERE)).rebuild_timers()
