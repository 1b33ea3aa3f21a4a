"""Each party has its own send slots in a process: slow receivers of some parties delay no event of another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.runtime.courier import courier
from shared.runtime.courier.courier import WebhookDispatcher
from shared.runtime.courier.endpoints import ENDPOINTS_MAX
from shared.runtime.courier.leases import DeliveryLeases
from shared.runtime.courier.sender import SendResult
from tests.services.law_enforcement.agency import KEK
from tests.services.law_enforcement.webhook_fixtures import URL, Party


class Slow:
    """Receivers of which only `URL` answers before the test releases the others."""

    def __init__(self) -> None:
        self.begun, self.let_go = asyncio.Queue[str](), asyncio.Event()

    async def post(self, url: str, *_: Any) -> SendResult:
        self.begun.put_nowait(url)
        if url != URL:
            await self.let_go.wait()
        return SendResult("delivered", 204)


async def test_slow_receivers_of_four_parties_hold_no_event_of_another(
    mine: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = [Party(mine.database, mine.http, mine.rules) for _ in range(4)]
    monkeypatch.setattr(courier, "ADDRESSES_MAX", len(slow) * courier.ADDRESSES_OF_ONE)
    leases = DeliveryLeases(mine.database, KEK, lambda: [mine.name, *(each.name for each in slow)])
    for each in slow:
        await each.note()
        for number in range(ENDPOINTS_MAX):
            await each.register(f"{URL}/{number}", after=0)
    receivers = Slow()
    sending = WebhookDispatcher(leases, receivers, clock=mine.clock)  # type: ignore[arg-type]
    running = asyncio.create_task(sending.run())
    async with asyncio.timeout(60):
        for _ in range(courier.ADDRESSES_MAX):
            assert await receivers.begun.get() != URL
    assert sending.held == {each.name: courier.ADDRESSES_OF_ONE for each in slow}
    await mine.register(URL)
    await mine.register(f"{URL}/slow", after=0)
    await mine.note()
    async with asyncio.timeout(60):
        assert await receivers.begun.get() in {URL, f"{URL}/slow"}, "its first place is its own"
    assert all(count <= courier.ADDRESSES_OF_ONE for count in sending.held.values())
    assert sending.held[mine.name] <= 1, "further ones are of the pool, which is in use"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
