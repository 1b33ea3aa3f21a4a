"""The times that an origin stores for the deadlines of its edges, and the deadlines that follow from them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.accounting import views
from deploy.accounting.book import open_snapshot
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.states import Event
from shared.core.authority import Role
from shared.core.clock import coarse
from shared.core.ids import uuid7
from shared.core.protocol.prepare import Prepared
from shared.core.routing.clocks import Law, LawAt
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing.store.intake import FILED, FilingBatch, PostgresFiling
from shared.platform.database.feed import note_acts
from shared.platform.database.transactions import Database, RowScope, write_late
from shared.platform.timers.store import list_timers
from shared.platform.timers.timers import Timers
from tests.services.databases import until_one_waits_for_a_lock
from tests.services.doors import timers_of, until_idle
from tests.services.hotline.origin import APPLYING, KEK, Origin, answered, applied, said
from tests.services.hotline.test_filing import filed
from tests.support.builders import AT, HOTLINE, PROVIDER
from tests.support.exchange_world import submission
from tests.support.manual_clock import ManualClock


def law_at(origin: Origin) -> LawAt:
    shelf = origin.world.shelf
    return lambda at: Law(shelf.directories.active(at), shelf.policies.active(at))


def origin_timers(origin: Origin) -> Timers:
    return timers_of(origin.database, law_at(origin), ManualClock(AT), APPLYING)


async def kept(origin: Origin, referral_id: UUID) -> list[asyncpg.Record]:
    """Return the deadlines of a referral."""
    of = "SELECT * FROM deadline WHERE coalesce(known_as, subject) = $1 AND party = $2 ORDER BY edge_id"
    return await origin.sql(of, referral_id, HOTLINE)


async def due(origin: Origin, referral_id: UUID) -> set[tuple[str, str, Any]]:
    """Return (counterpart, clock, hours since its edge began) of everything that falls due about a referral."""
    await until_idle(origin_timers(origin))
    rows = await kept(origin, referral_id)
    return {
        (timer.counterpart, timer.clock, (timer.due_at - row["started_at"]) // timedelta(hours=1))
        for row in rows
        for timer in list_timers(row)
    }


async def test_what_is_filed_has_timers_as_a_look_makes_them(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin.database, "law_at", law_at(origin))
    referral_id = await origin.file()
    rows = await kept(origin, referral_id)
    assert sum(len(row["timers"]) for row in rows) > 5
    assert all(row["started_at"] == coarse(AT) < row["due_at"] < row["overdue_at"] for row in rows)
    await origin_timers(origin).rebuild()
    assert await kept(origin, referral_id) == rows


async def test_what_is_filed_falls_due_until_it_is_answered_or_taken_back(origin: Origin) -> None:
    referral_id = await origin.file()
    edges = (await origin.show(referral_id))["edges"]
    notice_id = await origin.notice_id(referral_id)
    agency = next(edge["recipient"] for edge in edges if edge["recipient"].startswith("police"))
    first = await due(origin, referral_id)
    assert {(PROVIDER, "practice-notice-reminder", 24), (PROVIDER, "practice-notice-to-registrar", 144)} <= first
    assert {clock for who, clock, _ in first if who == agency} == {"acknowledge-by"}
    acted = answered(notice_id, 1, {"action": "removed"})
    assert await applied(origin, acted, said("case_accepted", referral_id, agency)) == [None, None]
    second = await due(origin, referral_id)
    assert {clock for who, clock, _ in second if who == agency} == {"practice-feedback"}
    # An item that is reported as removed is due for a recheck.
    assert [clock for who, clock, _ in second if who == PROVIDER] == ["practice-recheck"]
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await due(origin, referral_id) == set()


# -- The accountant's queries about an origin's referrals, by their ids.


async def test_which_of_these_it_has_and_which_edges_are_of_them(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    referral_id = await origin.file()
    edges = [row["edge_id"] for row in await origin.sql("SELECT edge_id FROM edge WHERE referral_id = $1", referral_id)]
    async with open_snapshot(endpoint.accountant_url, kind="hotline", name="hotline") as book:
        kept = await book.fetch(views.REFERRALS_OF, [referral_id, uuid7()])
        of_it = await book.fetch(views.EDGES_OF, edges, [referral_id])
        assert await book.fetch(views.EDGES_OF, edges, [uuid7()]) == []
    assert [tuple(row) for row in kept] == [(HOTLINE, "routed", 1)]
    assert sorted(row["edge_id"] for row in of_it) == sorted(edges) != []


# -- Numbers of acts on a hotline's subjects: concurrent submissions leave no gap.


def to_file(*prepared: Prepared) -> FilingBatch:
    return FilingBatch(prepared, {HOTLINE: len(prepared)}, AT.date(), {}, {})


async def taken(database: Database, *prepared: Prepared) -> Mapping[UUID, UUID]:
    """Submit these in a transaction that does not commit; return those whose reference is taken."""
    async with database.transaction(RowScope([HOTLINE], Role.MACHINE, "submit"), keeps_plans=True) as session:
        found = await PostgresFiling(session.driver, KEK).file([], to_file(*prepared))
        await session.driver.execute("ROLLBACK; BEGIN")
    return found.taken if found else {}


async def journal(origin: Origin, above: int) -> list[tuple[int, UUID]]:
    """Return the acts of the hotline above a number."""
    statement = "SELECT number, subject FROM act WHERE type = $1 AND number > $2 ORDER BY number"
    async with origin.database.transaction(RowScope([HOTLINE], Role.MACHINE, "read")) as session:
        return [(row["number"], row["subject"]) for row in await session.driver.fetch(statement, FILED, above)]


async def last_number(database: Database) -> int:
    rows = await database.fetch("SELECT last_number FROM feed WHERE party = $1", HOTLINE)
    return int(rows[0]["last_number"]) if rows else 0


async def test_filings_that_race_for_a_reference_leave_no_gap(origin: Origin) -> None:
    """The second waits for its party's feed lock. Then it sees that its reference is taken, and takes no number."""
    database = origin.database
    before = await last_number(database)
    first, rival = (origin.world.prepared(external_ref="raced-for") for _ in range(2))
    other = origin.world.prepared(external_ref="not-raced-for")
    async with database.transaction(RowScope([HOTLINE], Role.MACHINE, "submit"), keeps_plans=True) as session:
        filing = PostgresFiling(session.driver, KEK)
        assert await filing.file([], to_file(first)) is None
        await filing.send(first.drafts)
        racing = asyncio.create_task(taken(database, rival, other))
        await until_one_waits_for_a_lock(database)
    assert await racing == {rival.referral_id: first.referral_id}
    assert await journal(origin, before) == [(before + 1, first.referral_id)]
    assert await last_number(database) == before + 1


async def test_a_reference_that_comes_twice_is_numbered_once(origin: Origin) -> None:
    before = await last_number(origin.database)
    twice, other = submission(external_ref="given-twice"), submission(external_ref="given-once")
    _, results = await filed(origin, twice, other, twice)
    numbered = await journal(origin, before)
    assert [number for number, _ in numbered] == [before + 1, before + 2]
    assert {str(subject) for _, subject in numbered} == {each["referral_id"] for each in results[:2]}
    assert results[2]["problem"]["referral"] == f"/v1/referrals/{results[0]['referral_id']}"
    assert await last_number(origin.database) == before + 2
    statement = "SELECT arrival, referral_id FROM referral WHERE arrival > $1 ORDER BY arrival"
    assert [tuple(row) for row in await origin.sql(statement, before)] == numbered


async def test_an_act_that_sends_waits_for_its_feed_without_a_stream(origin: Origin) -> None:
    """The transaction that holds the feed can still lock each stream, so there is no deadlock."""
    referral_id = await origin.file()
    async with origin.database.transaction(RowScope([HOTLINE], Role.SERVICE, "apply")) as holder:
        note_acts(holder.driver, [Event(HOTLINE, "referral.route", referral_id)])
        await write_late(holder.driver)
        waiting = asyncio.create_task(origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR))
        await until_one_waits_for_a_lock(origin.database)
        assert await holder.driver.fetch("SELECT peer FROM stream FOR UPDATE NOWAIT")
    await waiting
