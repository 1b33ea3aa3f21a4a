"""Numbers of acts on a hotline's subjects: filings that race leave no gap."""

from __future__ import annotations

import asyncio
from uuid import UUID

from shared.exchange.events import Event
from shared.exchange.prepare import Prepared
from shared.kernel.authority import Role
from shared.party.origin.store.filing import FILED, PostgresFiling
from shared.runtime.database.feed import note_acts
from shared.runtime.database.transactions import Database, RowScope, write_late
from shared.vocabulary.referral import WithdrawalReason
from tests.services.databases import until_one_waits_for_a_lock
from tests.services.hotline.origin import KEK, Origin
from tests.support.builders import HOTLINE


async def filed(database: Database, *prepared: Prepared) -> dict[UUID, UUID]:
    """File these in one transaction; return those whose reference is taken."""
    async with database.transaction(RowScope([HOTLINE], Role.MACHINE, "submit"), keeps_plans=True) as session:
        filing = PostgresFiling(session.driver, KEK)
        taken = await filing.file(prepared, {HOTLINE: len(prepared)})
        await filing.send([draft for each in prepared if each.referral_id not in taken for draft in each.drafts])
    return taken


async def journal(database: Database, above: int) -> list[tuple[int, UUID]]:
    """Return the acts of the hotline above a number."""
    statement = "SELECT number, subject FROM act WHERE type = $1 AND number > $2 ORDER BY number"
    async with database.transaction(RowScope([HOTLINE], Role.MACHINE, "read")) as session:
        return [(row["number"], row["subject"]) for row in await session.driver.fetch(statement, FILED, above)]


async def last_number(database: Database) -> int:
    rows = await database.fetch("SELECT last FROM feed WHERE party = $1", HOTLINE)
    return int(rows[0]["last"]) if rows else 0


async def test_filings_that_race_for_a_reference_leave_no_gap(origin: Origin) -> None:
    """The second waits for the feed of its party. It then sees that its reference is taken, and takes no number."""
    database = origin.database
    before = await last_number(database)
    first, rival = (origin.world.prepared(external_ref="raced-for") for _ in range(2))
    other = origin.world.prepared(external_ref="not-raced-for")
    async with database.transaction(RowScope([HOTLINE], Role.MACHINE, "submit"), keeps_plans=True) as session:
        filing = PostgresFiling(session.driver, KEK)
        assert await filing.file([first], {HOTLINE: 1}) == {}
        await filing.send(first.drafts)
        racing = asyncio.create_task(filed(database, rival, other))
        await until_one_waits_for_a_lock(database)
    assert await racing == {rival.referral_id: first.referral_id}
    numbered = [(before + 1, first.referral_id), (before + 2, other.referral_id)]
    assert await journal(database, before) == numbered
    assert await last_number(database) == before + 2
    async with database.transaction(RowScope([HOTLINE], Role.MACHINE, "read")) as session:
        rows = await session.driver.fetch(
            "SELECT arrival, referral_id FROM referral WHERE arrival > $1 ORDER BY arrival", before
        )
    assert [tuple(row) for row in rows] == numbered


async def test_a_reference_that_comes_twice_in_a_filing_is_numbered_once(origin: Origin) -> None:
    before = await last_number(origin.database)
    first, second = (origin.world.prepared(external_ref="given-twice") for _ in range(2))
    assert await filed(origin.database, first, second) == {second.referral_id: first.referral_id}
    assert await journal(origin.database, before) == [(before + 1, first.referral_id)]
    assert await last_number(origin.database) == before + 1


async def test_an_act_that_sends_waits_for_its_feed_without_a_stream(origin: Origin) -> None:
    """A transaction that holds the feed can still lock each stream: so neither waits for the other for ever."""
    referral_id = await origin.file()
    async with origin.database.transaction(RowScope([HOTLINE], Role.SERVICE, "apply")) as holder:
        note_acts(holder.driver, [Event(HOTLINE, "referral.route", referral_id)])
        await write_late(holder.driver)
        waiting = asyncio.create_task(origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR))
        await until_one_waits_for_a_lock(origin.database)
        assert await holder.driver.fetch("SELECT peer FROM stream FOR UPDATE NOWAIT")
    await waiting
