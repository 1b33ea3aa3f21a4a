"""The times that an origin stores for the deadlines of its edges, and the deadlines that follow from them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared.contracts.answers import CaseAcceptedClear, NoticeAnsweredClear
from shared.contracts.items import ItemAnswer
from shared.contracts.registry import CASE_ACCEPTED, NOTICE_ANSWERED
from shared.kernel.clock import coarse
from shared.kernel.ids import uuid7
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.routing.clocks import Law, LawAt
from shared.runtime.timers.store import list_timers
from shared.runtime.timers.timers import Timers
from shared.vocabulary.answers import NoticeAction
from shared.vocabulary.referral import WithdrawalReason
from tests.services.deliveries import numbered, received
from tests.services.hotline.origin import APPLYING, KEK, Origin
from tests.support.builders import AT, HOTLINE, PROVIDER
from tests.support.manual_clock import ManualClock


def law_at(origin: Origin) -> LawAt:
    shelf = origin.world.shelf
    return lambda at: Law(shelf.directories.active(at), shelf.policies.active(at))


def timers_of(origin: Origin) -> Timers:
    clock = ManualClock(AT)

    async def witness(_: object) -> Any:
        return clock.now()

    return Timers(origin.database, law_at(origin), clock, scope=lambda: APPLYING, witness=witness)


async def kept(origin: Origin, referral_id: UUID) -> list[asyncpg.Record]:
    """Return the deadlines of a referral."""
    async with origin.database.transaction(APPLYING) as session:
        rows: list[asyncpg.Record] = await session.driver.fetch(
            "SELECT * FROM deadline WHERE coalesce(known_as, subject) = $1 AND party = $2 ORDER BY edge_id",
            referral_id,
            HOTLINE,
        )
    return rows


async def due(origin: Origin, referral_id: UUID) -> set[tuple[str, str, Any]]:
    """Return (counterpart, clock, hours since its edge began) of everything that falls due about a referral."""
    timers = timers_of(origin)
    while await timers.look():
        pass
    rows = await kept(origin, referral_id)
    return {
        (timer.counterpart, timer.clock, (timer.due_at - row["begun_at"]) // timedelta(hours=1))
        for row in rows
        for timer in list_timers(row)
    }


async def test_what_is_filed_has_its_timers_at_once_as_a_look_would_make_them(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin.database, "law_at", law_at(origin))
    referral_id = await origin.file()
    rows = await kept(origin, referral_id)
    assert sum(len(row["timers"]) for row in rows) > 5
    assert all(AT < row["due_at"] < row["overdue_at"] for row in rows)
    await timers_of(origin).rebuild()
    assert await kept(origin, referral_id) == rows


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
    # An item that is reported as removed is due for a recheck.
    assert [clock for who, clock, _ in second if who == PROVIDER] == ["practice-recheck"]
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await due(origin, referral_id) == set()


async def test_an_edge_begins_at_the_time_of_its_message(origin: Origin) -> None:
    referral_id = await origin.file()
    async with origin.database.transaction(APPLYING) as session:
        rows = await session.driver.fetch("SELECT * FROM deadline WHERE coalesce(known_as, subject) = $1", referral_id)
    assert len(rows) >= 4
    assert {row["begun_at"] for row in rows} == {coarse(AT)}
    assert uuid7() not in {row["edge_id"] for row in rows}
