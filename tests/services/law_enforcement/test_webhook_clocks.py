"""With differing clocks of processes and database, each event is sent once, and no address stops."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.exchange.states import WebhookState
from shared.runtime.courier.leases import LEASE, NOTHING_LEFT, PAUSES
from shared.runtime.courier.sender import SendResult
from tests.services.law_enforcement.webhook_fixtures import ONE_PLACE, URL, Party
from tests.support.manual_clock import ManualClock


async def test_couriers_whose_clocks_are_apart_send_each_event_once(mine: Party) -> None:
    """One courier's clock is ahead by more than a lease. Neither takes over an address that the other is sending to."""
    made = await mine.register()
    await mine.note()
    begun, answered = asyncio.Event(), asyncio.Event()
    right, ahead = mine.clock, ManualClock(mine.clock.now() + LEASE + timedelta(seconds=10))

    class Slow:
        async def post(self, *_: Any) -> SendResult:
            begun.set()
            await answered.wait()
            return SendResult("delivered", 204)

    for holds, comes in ((right, ahead), (ahead, right)):
        begun.clear()
        answered.clear()
        mine.clock = holds
        held = asyncio.create_task(mine.courier(Slow()).carry())  # type: ignore[arg-type]
        await begun.wait()
        mine.clock = comes
        assert await mine.courier().carry() == 0
        answered.set()
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


@pytest.mark.parametrize("failures", range(len(PAUSES) + 1))
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
