"""A suspended party can use neither a session nor a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.platform.console.accounts import RANDOM_CHARACTERS, Sessions
from tests.shared.core.routing.builders import directory_of, hotline
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

PARTY = "hotline.example"


class Holding:
    """A database in which every visitor has a valid session of the party."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(driver=self)

    async def fetchrow(self, *_: object) -> dict[str, object]:
        nothing = dict.fromkeys(("scope_jurisdictions", "scope_parties", "authenticated_at"))
        return {"party": PARTY, "actor": "5d0c" * 8, "role": "analyst", "last_seen_at": NOW} | nothing


@pytest.mark.parametrize(("status", "exercise"), [("live", False), ("sandbox", True), ("suspended", None)])
async def test_a_session_is_as_good_as_its_party(status: str, exercise: bool | None) -> None:
    directory, holding = directory_of(hotline(PARTY, "NL", status=status)), Holding()
    known: Any = holding
    sessions = Sessions(known, "hotline", lambda: directory, ManualClock(NOW), KeyEncryptionKey(bytes(32)))
    found = await sessions.identify(sessions.sign("w" * RANDOM_CHARACTERS))
    assert (found and found.identity.exercise) == exercise
