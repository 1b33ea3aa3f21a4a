"""Made-up sessions cost no query, ended ones cost one. Sign-in links of one address use only places of that address."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.platform.admission.budgets import SIGN_IN, BudgetExceeded
from shared.platform.console import accounts
from shared.platform.console.accounts import LinkSignIn, Sessions
from tests.shared.core.routing.builders import directory_of, hotline
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock


class Slow:
    """A database in which no row is found, and which answers only after a signal. It counts its transactions."""

    def __init__(self) -> None:
        self.let_go, self.opened, self.open, self.open_max = asyncio.Event(), 0, 0, 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self.opened, self.open = self.opened + 1, self.open + 1
        self.open_max = max(self.open_max, self.open)
        await self.let_go.wait()
        yield SimpleNamespace(driver=self)
        self.open -= 1

    async def fetchrow(self, *_: object) -> None:
        return None


def sessions_of(slow: Any) -> Sessions:
    directory = directory_of(hotline("hotline.example", "NL"))
    return Sessions(slow, "hotline", lambda: directory, ManualClock(NOW), KeyEncryptionKey(bytes(32)))


def opened_from(address: str) -> Any:
    return SimpleNamespace(path_params={"link": secrets.token_urlsafe(32)}, scope={"client": (address, 1)})


async def test_a_session_without_our_mac_costs_no_query() -> None:
    slow = Slow()
    sessions = sessions_of(slow)
    another = Sessions(Any, "hotline", Any, ManualClock(NOW), KeyEncryptionKey(b"k" * 32))  # type: ignore[arg-type]
    good = sessions.sign(secrets.token_urlsafe(32))
    cut, changed = good[:-1], ("B" if good[0] == "A" else "A") + good[1:]
    for text in ("", "word", secrets.token_urlsafe(44), cut, changed, good + "A", another.sign(good[:43])):
        assert await sessions.identify(text) is None
    assert slow.opened == 0
    slow.let_go.set()
    assert await sessions.identify(good) is None
    assert slow.opened == 1, "control: one with our MAC is looked up"


async def test_a_session_that_is_over_costs_one_query_and_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts, "OVER_MAX", 3)
    slow = Slow()
    slow.let_go.set()
    sessions = sessions_of(slow)
    texts = [sessions.sign(secrets.token_urlsafe(32)) for _ in range(6)]
    for text in texts:
        await sessions.identify(text)
    for _ in range(9):
        await sessions.identify(texts[-1])
    assert (slow.opened, len(sessions.over)) == (6, 3)


@pytest.mark.timing
async def test_links_of_one_address_take_no_place_of_another() -> None:
    slow: Any = Slow()
    links, more = LinkSignIn(slow, ManualClock(NOW)), 20
    flood = [
        asyncio.create_task(links.sign_in(opened_from("192.0.2.1")))
        for _ in range(SIGN_IN.of_holder + SIGN_IN.waiting + more)
    ]
    await asyncio.sleep(0.05)
    assert slow.open == SIGN_IN.of_holder
    other = asyncio.create_task(links.sign_in(opened_from("192.0.2.2")))
    await asyncio.sleep(0.05)
    assert slow.open == SIGN_IN.of_holder + 1
    slow.let_go.set()
    assert await other is None
    answers = await asyncio.gather(*flood, return_exceptions=True)
    refused = [each for each in answers if isinstance(each, BudgetExceeded)]
    assert (answers.count(None), len(refused)) == (SIGN_IN.of_holder + SIGN_IN.waiting, more)
    assert {each.headers["RateLimit-Policy"] for each in refused} == {f'"sign_in";q={SIGN_IN.of_holder}'}
    assert slow.open_max <= SIGN_IN.of_instance
    assert (links.places.held, links.places.waiting) == (0, 0)
