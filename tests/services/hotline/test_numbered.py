"""Numbers of acts on a hotline's subjects: concurrent submissions leave no gap."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

from shared.exchange.prepare import Prepared
from shared.exchange.states import Event
from shared.kernel.authority import Role
from shared.party.origin.store.filing import FILED, FilingBatch, PostgresFiling
from shared.runtime.database.feed import note_acts
from shared.runtime.database.transactions import Database, RowScope, write_late
from shared.vocabulary.referral import WithdrawalReason
from tests.services.databases import until_one_waits_for_a_lock
from tests.services.hotline.origin import KEK, Origin
from tests.services.hotline.test_filing import filed
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import submission


def to_file(*prepared: Prepared) -> FilingBatch:
    return FilingBatch(prepared, {HOTLINE: len(prepared)}, AT.date(), {}, {})


async def taken(database: Database, *prepared: Prepared) -> Mapping[UUID, UUID]:
    """Submit these in a transaction that does not commit; return those whose reference is taken."""
    async with database.transaction(RowScope([HOTLINE], Role.MACHINE, "submit"), keeps_plans=True) as session:
        found = await PostgresFiling(session.driver, KEK).file([], to_file(*prepared))
        await session.driver.execute("ROLLBACK; BEGIN")
    return found.taken if found else {}


async def journal(database: Database, above: int) -> list[tuple[int, UUID]]:
    """Return the acts of the hotline above a number."""
    statement = "SELECT number, subject FROM act WHERE type = $1 AND number > $2 ORDER BY number"
    async with database.transaction(RowScope([HOTLINE], Role.MACHINE, "read")) as session:
        return [(row["number"], row["subject"]) for row in await session.driver.fetch(statement, FILED, above)]


async def last_number(database: Database) -> int:
    rows = await database.fetch("SELECT last FROM feed WHERE party = $1", HOTLINE)
    return int(rows[0]["last"]) if rows else 0


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
    assert await journal(database, before) == [(before + 1, first.referral_id)]
    assert await last_number(database) == before + 1


async def test_a_reference_that_comes_twice_is_numbered_once(origin: Origin) -> None:
    before = await last_number(origin.database)
    twice, other = submission(external_ref="given-twice"), submission(external_ref="given-once")
    _, results = await filed(origin, twice, other, twice)
    numbered = await journal(origin.database, before)
    assert [number for number, _ in numbered] == [before + 1, before + 2]
    assert {str(subject) for _, subject in numbered} == {each["referral_id"] for each in results[:2]}
    assert await last_number(origin.database) == before + 2
    statement = "SELECT arrival, referral_id FROM referral WHERE arrival > $1 ORDER BY arrival"
    async with origin.database.transaction(RowScope([HOTLINE], Role.MACHINE, "read")) as session:
        assert [tuple(row) for row in await session.driver.fetch(statement, before)] == numbered


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
