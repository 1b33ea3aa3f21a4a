"""With differing clocks of processes and database, each event is sent once, and no address stops."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from shared.core.acts.states import WebhookState
from shared.platform.courier import courier
from shared.platform.courier.courier import WebhookDispatcher
from shared.platform.courier.endpoints import ENDPOINTS_MAX
from shared.platform.courier.leases import LEASE, NOTHING_LEFT, PAUSES, DeliveryLeases
from shared.platform.courier.sender import SendResult
from tests.services.law_enforcement.agency import KEK
from tests.services.law_enforcement.webhook_fixtures import ONE_PLACE, URL, HeldReceivers, Party
from tests.support.manual_clock import ManualClock


async def test_couriers_whose_clocks_are_apart_send_each_event_once(mine: Party) -> None:
    """One courier's clock is ahead by more than a lease. Neither takes over an address that the other is sending to."""
    made, receivers = await mine.register(f"{URL}/slow"), HeldReceivers()
    await mine.note()
    right, ahead = mine.clock, ManualClock(mine.clock.now() + LEASE + timedelta(seconds=10))
    for holds, comes in ((right, ahead), (ahead, right)):
        receivers.let_go.clear()
        mine.clock = holds
        held = asyncio.create_task(mine.courier(receivers).carry())  # type: ignore[arg-type]
        await receivers.begun.get()
        mine.clock = comes
        assert await mine.courier().carry() == 0
        receivers.let_go.set()
        assert await held == 1
        await mine.note()
    assert (await mine.done("GET", f"/{made['webhook_id']}"))["number"] == 2


async def test_a_lease_of_a_database_whose_clock_was_ahead_holds_up_no_address(mine: Party) -> None:
    await mine.register()
    await mine.note()
    (ahead,) = await mine.leases.claim(ONE_PLACE, at=mine.clock.now())
    await mine.later(-3600)
    assert await mine.courier().carry() == 1
    assert mine.receivers.numbers() == [1]
    assert not await mine.leases.note(ahead, [], state=WebhookState.ACTIVE, pause=timedelta())


async def test_a_clock_that_was_ahead_silences_no_address(mine: Party) -> None:
    right, ahead = mine.clock, ManualClock(mine.clock.now() + timedelta(days=1))
    await mine.register()
    for clock in (ahead, right):
        mine.clock = clock
        await mine.note()
        assert await mine.courier().carry() == 1
    assert mine.receivers.numbers() == [1, 2]


@pytest.mark.parametrize("failures", [0, 1, len(PAUSES)])
async def test_a_database_whose_clock_was_ahead_silences_no_address(mine: Party, failures: int) -> None:
    await mine.register()
    await mine.note()
    mine.receivers.answers[URL] = SendResult("connection_failed")
    for pause in (timedelta(), *PAUSES)[:failures]:
        await mine.later(pause.total_seconds())
        assert await mine.courier().carry() == 1
        assert await mine.courier().carry() == 0
    await mine.later(-2 * NOTHING_LEFT.total_seconds())
    assert await mine.courier().carry() == 1


# -- Each party has its own send slots in a process: slow receivers of some parties delay no event of another.


async def test_slow_receivers_of_four_hold_no_event_of_another(mine: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = [Party(mine.database, mine.http, mine.rules) for _ in range(4)]
    monkeypatch.setattr(courier, "ADDRESSES_MAX", len(slow) * courier.ADDRESSES_OF_ONE)
    leases = DeliveryLeases(mine.database, KEK, lambda: [mine.name, *(each.name for each in slow)])
    for each in slow:
        await each.note()
        for number in range(ENDPOINTS_MAX):
            await each.register(f"{URL}/{number}", after=0)
    receivers = HeldReceivers()
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
