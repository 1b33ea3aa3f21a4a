"""A failed retry doubles the pause of its subject, even if time passes during a batch."""

from __future__ import annotations

from shared.core.ids import uuid7
from shared.platform.database.failure_isolation import ClaimedBatch, Isolation
from shared.platform.observability.retry_backoff import FIRST_PAUSE, RetryBackoff
from tests.support.builders import AT
from tests.support.manual_clock import ManualClock

KEY = (uuid7(), "party.example")


async def _nothing(_: ClaimedBatch) -> None:
    """Do nothing."""


async def _fails(taking: ClaimedBatch) -> None:
    if KEY not in taking.but:
        taking.note([KEY])
        raise ZeroDivisionError


async def test_one_whose_pause_is_over_while_a_batch_is_done_was_not_looked_for() -> None:
    aside, clock = RetryBackoff(), ManualClock(AT)
    apart = Isolation(aside, clock)
    await apart.batch("work", 7, _fails)

    async def slowly(taking: ClaimedBatch) -> None:
        assert taking.but == [KEY]
        clock.advance(FIRST_PAUSE.total_seconds())

    await apart.batch("work", 7, slowly)
    assert aside.again("work", clock.now()) == [KEY]
    await apart.batch("work", 7, _fails)
    clock.advance(FIRST_PAUSE.total_seconds())
    assert aside.waiting("work", clock.now()) == [KEY], "twice as long"


async def test_one_that_may_be_tried_again_and_is_found_nowhere_waits_no_more() -> None:
    aside, clock = RetryBackoff(), ManualClock(AT)
    apart = Isolation(aside, clock)
    await apart.batch("work", 7, _fails)
    await apart.batch("work", 7, _nothing)
    assert aside.waiting("work", clock.now()) == [KEY], "not yet"
    clock.advance(FIRST_PAUSE.total_seconds())
    await apart.batch("work", 7, _nothing, whole=False)
    assert aside.again("work", clock.now()) == [KEY], "it may be elsewhere"
    await apart.batch("work", 7, _nothing)
    assert aside.again("work", clock.now()) == []
