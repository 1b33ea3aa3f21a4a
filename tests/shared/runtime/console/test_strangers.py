"""Sessions and links that somebody makes up take no more than their share of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import ManualClock
from shared.kernel.errors import Unavailable
from shared.runtime.console.people import LinkSignIn, Sessions, link_hash
from shared.runtime.http.strangers import LOOK_UPS_MAX, WAITING_MAX, Strangers
from tests.shared.routing.builders import directory_of, hotline
from tests.shared.runtime.builders import NOW


class Slow:
    """A database in which nobody is found, once it is let go; it counts its open transactions."""

    def __init__(self) -> None:
        self.let_go, self.open, self.open_max = asyncio.Event(), 0, 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self.open += 1
        self.open_max = max(self.open_max, self.open)
        await self.let_go.wait()
        yield SimpleNamespace(driver=self)
        self.open -= 1

    async def fetchrow(self, *_: object) -> None:
        return None


def asked(slow: Any) -> tuple[Sessions, LinkSignIn]:
    strangers, clock = Strangers(), ManualClock(NOW)
    directory = directory_of(hotline("hotline.example", "NL"))
    kek = KeyEncryptionKey(bytes(32))
    sessions = Sessions(slow, "hotline", lambda: directory, clock, kek, strangers)
    return sessions, LinkSignIn(slow, clock, strangers)


@pytest.mark.parametrize("what", ["sessions", "links"])
async def test_what_is_made_up_waits_in_a_queue_that_has_an_end(what: str) -> None:
    slow = Slow()
    sessions, links = asked(slow)

    def ask(number: int) -> Any:
        request: Any = SimpleNamespace(path_params={"link": str(number)})
        return sessions.identify(str(number)) if what == "sessions" else links.sign_in(request)

    asking = [asyncio.create_task(ask(number)) for number in range(WAITING_MAX + 20)]
    await asyncio.sleep(0)
    slow.let_go.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert (answers.count(None), slow.open_max) == (WAITING_MAX, LOOK_UPS_MAX)
    assert [each.code for each in answers if isinstance(each, Unavailable)] == ["identity_busy"] * 20


async def test_a_session_that_was_good_does_not_wait_for_them() -> None:
    slow = Slow()
    sessions, _ = asked(slow)
    sessions.known[link_hash("good")] = None
    flood = [asyncio.create_task(sessions.identify(str(number))) for number in range(WAITING_MAX)]
    good = asyncio.create_task(sessions.identify("good"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert slow.open == LOOK_UPS_MAX + 1
    slow.let_go.set()
    await asyncio.gather(good, *flood)
    assert not sessions.known, "it has ended meanwhile"
