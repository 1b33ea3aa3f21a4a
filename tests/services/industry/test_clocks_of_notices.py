"""The times that a provider's service stores for the deadlines of its notices, and the deadlines that follow."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.contracts.answers import NoticeStatements
from shared.routing.clocks import Law
from shared.runtime.timers.store import read_due
from shared.runtime.timers.timers import Timers
from tests.services.deliveries import AT, PROVIDER, issued, notice_withdrawn
from tests.services.industry.provider import APPLYING, Providers
from tests.shared.routing.test_clocks import SAMPLE_LAW
from tests.support.manual_clock import ManualClock

REMOVED = NoticeStatements.model_validate({"items": [{"action": "removed"}]})


async def due(providers: Providers, notice_id: UUID) -> set[str]:
    clock = ManualClock(AT)

    async def witness(_: object) -> Any:
        return clock.now()

    law = Law(providers.directory, SAMPLE_LAW)
    timers = Timers(providers.database, lambda _: law, clock, scope=lambda: APPLYING, witness=witness)
    while await timers.look():
        pass
    async with providers.database.transaction(APPLYING) as session:
        found = await read_due(session.driver, PROVIDER, after=None, limit=200, subject=notice_id)
    return {timer.clock for timer in found}


async def test_a_notice_falls_due_until_all_is_answered(providers: Providers) -> None:
    notice_id = await providers.issue()
    first = await due(providers, notice_id)
    assert first >= {"practice-notice-reminder", "practice-notice-to-owner", "practice-notice-to-registrar"}
    await providers.act("acknowledge", None, notice_id)
    assert await due(providers, notice_id) == first - {"acknowledge-by"}
    await providers.act("answer", REMOVED, notice_id)
    assert await due(providers, notice_id) == set()


async def test_what_was_taken_back_is_owed_no_more(providers: Providers) -> None:
    notice_id = await providers.issue()
    await providers.receive(issued(notice_id))
    assert await due(providers, notice_id)
    await providers.receive(notice_withdrawn(notice_id))
    assert await due(providers, notice_id) == set()
