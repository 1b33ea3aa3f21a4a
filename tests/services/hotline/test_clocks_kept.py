"""What an origin keeps for the clocks of its edges, and what falls due by it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from shared.contracts.answers import CaseAcceptedClear, NoticeAnsweredClear
from shared.contracts.items import ItemAnswer
from shared.contracts.registry import CASE_ACCEPTED, NOTICE_ANSWERED
from shared.kernel.clock import ManualClock, coarse
from shared.kernel.ids import uuid7
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.routing.clocks import Law
from shared.runtime.timers.timers import Timers
from shared.vocabulary.answers import NoticeAction
from shared.vocabulary.referral import WithdrawalReason
from tests.services.deliveries import numbered, received
from tests.services.hotline.origin import APPLYING, KEK, Origin
from tests.support.builders import AT, HOTLINE, PROVIDER


async def due(origin: Origin, referral_id: UUID) -> set[tuple[str, str, Any]]:
    """(counterpart, clock, hours from its start) of everything that falls due about a referral."""
    shelf, clock = origin.world.shelf, ManualClock(AT)

    async def witness(_: object) -> Any:
        return clock.now()

    def law_at(at: Any) -> Law:
        return Law(shelf.directories.active(at), shelf.policies.active(at))

    timers = Timers(origin.database, law_at, clock, scope=lambda: APPLYING, witness=witness)
    while await timers.look():
        pass
    async with origin.database.transaction(APPLYING) as session:
        rows = await session.driver.fetch("SELECT * FROM timer WHERE subject = $1 AND party = $2", referral_id, HOTLINE)
    return {
        (row["counterpart"], row["clock"], (row["due_at"] - row["started_at"]) // timedelta(hours=1)) for row in rows
    }


async def test_what_is_filed_falls_due_until_it_is_answered_or_taken_back(origin: Origin) -> None:
    referral_id = await origin.file()
    edges = (await origin.show(referral_id))["edges"]
    notice_id = UUID(next(edge["notice_id"] for edge in edges if edge["recipient"] == PROVIDER))
    agency = next(edge["recipient"] for edge in edges if edge["recipient"].startswith("police"))
    first = await due(origin, referral_id)
    assert {(PROVIDER, "practice-notice-reminder", 24), (PROVIDER, "practice-notice-to-registrar", 144)} <= first
    assert {clock for who, clock, _ in first if who == agency} == {"acknowledge-by"}
    removed = tuple(ItemAnswer(n=n, round=1, action=NoticeAction.REMOVED) for n in (1, 2))
    acted = NoticeAnsweredClear(notice_id=notice_id, items=removed[:1], **numbered(1))
    accepted = CaseAcceptedClear(referral_id=referral_id, revision=1, **numbered(1))
    async with origin.database.transaction(APPLYING) as session:
        refused = await EdgeAnswers(PostgresEdges(session.driver, KEK), AT).apply(
            [
                received(NOTICE_ANSWERED, acted, subject=notice_id, sender=PROVIDER, recipient=HOTLINE),
                received(CASE_ACCEPTED, accepted, subject=referral_id, sender=agency, recipient=HOTLINE),
            ]
        )
    assert refused == {}
    second = await due(origin, referral_id)
    assert {clock for who, clock, _ in second if who == agency} == {"practice-feedback"}
    # What is said to be removed is to be looked at.
    assert [clock for who, clock, _ in second if who == PROVIDER] == ["practice-recheck"]
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await due(origin, referral_id) == set()


async def test_an_edge_begins_at_the_time_of_its_message(origin: Origin) -> None:
    referral_id = await origin.file()
    async with origin.database.transaction(APPLYING) as session:
        rows = await session.driver.fetch("SELECT * FROM clocked WHERE subject = $1", referral_id)
    assert len(rows) >= 4
    assert {row["begun_at"] for row in rows} == {coarse(AT)}
    assert uuid7() not in {row["edge_id"] for row in rows}
