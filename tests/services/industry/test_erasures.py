"""Erased records stay erased after a restore, by the erasure journal."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared.core.errors import Defect, Refused, Unavailable
from shared.core.ids import uuid7
from shared.features.notices.store import PostgresNotices
from shared.platform.database.journal import KeptRecord
from shared.platform.database.transactions import gather
from shared.platform.observability.health import Check
from tests.services.deliveries import ERASED, LOCATION, OTHER_PROVIDER, PROVIDER, issued, notice_withdrawn
from tests.services.industry.provider import APPLYING, KEK
from tests.services.industry.test_withdrawals import DAY_S, HELD_BY_LAW, LONG_H, REMOVED
from tests.services.industry.withdrawing import World

_ERASED_AT = "SELECT erased_at FROM erased_record WHERE subject = $1"


async def test_an_erasure_is_in_the_journal_before_it_commits(world: World) -> None:
    notice_id = await world.taken_back()
    world.path.mkdir()
    with pytest.raises(Unavailable, match="erasure_journal_unwritable"):
        await world.providers.act("acknowledge_withdrawal", ERASED, notice_id)
    assert await world.record(notice_id) is not None
    world.path.rmdir()
    await world.providers.act("acknowledge_withdrawal", ERASED, notice_id)
    [line] = map(json.loads, world.path.read_text().splitlines())
    assert (line["kind"], line["subject"], line["party"]) == ("received", str(notice_id), PROVIDER)


async def erased_and_restored(world: World) -> UUID:
    """Erase a notice after a backup, and restore the database from that backup."""
    notice_id = uuid7()
    await world.providers.receive(issued(notice_id))
    await world.backed_up()
    await world.providers.receive(notice_withdrawn(notice_id))
    await world.providers.act("acknowledge_withdrawal", ERASED, notice_id)
    await world.restored()
    return notice_id


async def openable(world: World, notice_id: UUID) -> bool:
    """Return whether any row of the notice opens with today's key, whatever its state says."""
    async with world.providers.database.transaction(APPLYING) as session:
        row = await session.driver.fetchrow("SELECT * FROM received WHERE subject = $1", notice_id)
        notices = PostgresNotices(session.driver, KEK)
        try:
            return LOCATION in json.dumps(notices._opened(row))
        except Defect:
            return False


async def test_an_erased_record_stays_unreadable_in_a_restored_database(world: World) -> None:
    notice_id = await erased_and_restored(world)
    assert await world.erasures.apply(world.providers.database) == 1
    assert not await openable(world, notice_id)
    assert await world.record(notice_id) is None
    assert await world.erasures.apply(world.providers.database) == 0


async def test_when_a_record_was_erased_is_kept(world: World) -> None:
    """Also if its event is gone. If it is erased again in the same database, the first time counts."""
    notice_id = await world.taken_back()
    owner = await world.owner()
    begun = await owner.fetchval("SELECT clock_timestamp()")
    await world.providers.act("acknowledge_withdrawal", ERASED, notice_id)
    erased_at = await owner.fetchval(_ERASED_AT, notice_id)
    assert begun <= erased_at <= await owner.fetchval("SELECT clock_timestamp()")
    await owner.execute("UPDATE erasure_journal_position SET line_count = 0, digest = ''")
    assert await world.erasures.apply(world.providers.database) == 1
    assert await owner.fetchval(_ERASED_AT, notice_id) == erased_at
    await owner.close()


async def test_an_amendment_that_comes_again_after_a_restore_brings_nothing_back(world: World) -> None:
    notice_id = await erased_and_restored(world)
    await world.erasures.apply(world.providers.database)
    assert await world.providers.receive(issued(notice_id, items=2, revision=2)) == [None]
    assert not await openable(world, notice_id)
    assert await world.record(notice_id) is None


async def test_without_the_journal_it_would_be_found(world: World) -> None:
    """Negative control of the test above: the backup is restored, and the journal is not applied."""
    assert await openable(world, await erased_and_restored(world))


async def test_a_record_that_comes_again_after_a_restore_is_erased_as_it_comes(world: World) -> None:
    """The log is read again from the restored positions, so the notice itself arrives again."""
    notice_id = uuid7()
    message = issued(notice_id)
    await world.backed_up()
    await world.providers.receive(message, notice_withdrawn(notice_id))
    await world.providers.act("acknowledge_withdrawal", ERASED, notice_id)
    await world.restored()
    await world.erasures.apply(world.providers.database)
    assert await world.providers.receive(message) == [None]
    assert not await openable(world, notice_id)


@pytest.mark.parametrize("fault", ["lost", "altered"])
async def test_nothing_is_served_by_another_journal(world: World, fault: str) -> None:
    for _ in range(2):
        await world.providers.act("acknowledge_withdrawal", ERASED, await world.taken_back())
    lines = world.path.read_text().splitlines(keepends=True)
    altered = [lines[0].replace(PROVIDER, OTHER_PROVIDER), lines[1]]
    world.path.write_text("".join(lines[:1] if fault == "lost" else altered))
    with pytest.raises(Refused, match=f"erasure_journal_{fault}"):
        await world.erasures.apply(world.providers.database)


async def test_a_line_that_was_cut_short_never_counted(world: World) -> None:
    first = await world.taken_back()
    await world.providers.act("acknowledge_withdrawal", ERASED, first)
    with world.path.open("a") as file:
        file.write('{"n":2,"at"')
    second = await world.taken_back()
    await world.providers.act("acknowledge_withdrawal", ERASED, second)
    assert [json.loads(line)["subject"] for line in world.path.read_text().splitlines()] == [str(first), str(second)]
    assert await world.erasures.apply(world.providers.database) == 0


async def test_an_altered_journal_is_no_fault_of_whoever_is_to_be_erased(world: World) -> None:
    """A fault charged to a subject would put it into retry backoff.

    Only that subject would then wait for the journal.
    """
    notice_id = await world.taken_back()
    world.path.write_text("nothing that was written\n")
    with pytest.raises(Unavailable, match="erasure_journal_altered"):
        await world.providers.act("acknowledge_withdrawal", ERASED, notice_id)
    with pytest.raises(Unavailable, match="erasure_journal_altered"):
        await world.withdrawals().look()
    assert await world.aside.check() == Check("rules", True)


async def cut_off(world: World, notice_id: UUID) -> None:
    """Erase a notice whose line is written but whose transaction does not commit."""
    step = world.providers.database.last_step
    assert step is not None

    async def fails(driver: asyncpg.Connection, gathered: Any) -> None:
        await step(driver, gathered)
        raise Unavailable("cut_off")

    world.providers.database.last_step = fails
    with pytest.raises(Unavailable, match="cut_off"):
        await world.providers.act("acknowledge_withdrawal", ERASED, notice_id)
    world.providers.database.last_step = step


async def test_a_transaction_that_fails_after_its_line_was_written_is_done_by_the_next_start(world: World) -> None:
    lost, kept = await world.taken_back(), await world.taken_back()
    await cut_off(world, lost)
    await world.providers.act("acknowledge_withdrawal", ERASED, kept)
    assert await openable(world, lost)
    assert await world.erasures.apply(world.providers.database) == 2
    assert not await openable(world, lost)
    await world.withdrawals().look()
    assert (await world.providers.sent(lost))[-1][-1]["fate"] == "erased"


async def test_what_is_kept_after_an_erasure_that_never_committed_stays(world: World) -> None:
    notice_id, other = await world.taken_back(), await world.taken_back()
    await cut_off(world, notice_id)
    await world.providers.act("acknowledge_withdrawal", HELD_BY_LAW, notice_id)
    await world.providers.act("acknowledge_withdrawal", ERASED, other)
    assert await world.erasures.apply(world.providers.database) == 1
    assert await openable(world, notice_id)
    assert not await openable(world, other)


async def test_what_is_kept_leaves_no_line_where_every_erasure_has_committed(world: World) -> None:
    kept, erased = await world.taken_back(), await world.taken_back()
    await world.providers.act("acknowledge_withdrawal", ERASED, erased)
    await world.providers.act("acknowledge_withdrawal", HELD_BY_LAW, kept)
    assert [json.loads(line)["subject"] for line in world.path.read_text().splitlines()] == [str(erased)]


async def test_what_was_kept_is_erased_again_once_its_time_was_over(world: World) -> None:
    """The "kept" line is between two "erased" lines, of which the last has committed."""
    notice_id = await world.taken_back()
    await world.backed_up()
    await cut_off(world, notice_id)
    await world.providers.act("acknowledge_withdrawal", HELD_BY_LAW, notice_id)
    world.clock.advance(366 * DAY_S)
    await world.withdrawals(LONG_H).look()
    assert (await world.providers.show(notice_id))["state"] == "record_erased"
    await world.restored()
    assert await openable(world, notice_id)
    await world.erasures.apply(world.providers.database)
    assert not await openable(world, notice_id)


async def test_no_line_takes_back_an_erasure_that_has_committed(world: World) -> None:
    """Another erasure never committed, so the code could have written a "kept" line."""
    gone, lost = await world.taken_back(), await world.taken_back()
    await world.providers.act("acknowledge_withdrawal", ERASED, gone)
    await cut_off(world, lost)
    async with world.providers.database.transaction(APPLYING) as session:
        gather(session.driver, [KeptRecord("received", each, PROVIDER) for each in (gone, lost)])
    lines = [said(line) for line in world.path.read_text().splitlines()]
    assert lines == [("erased", str(gone)), ("erased", str(lost)), ("kept", str(lost))]


def said(line: str) -> tuple[str, str]:
    read = json.loads(line)
    return read["fate"], read["subject"]


async def test_what_a_restored_provider_has_forgotten_to_have_erased_it_cannot_keep(world: World) -> None:
    notice_id = uuid7()
    await world.providers.receive(issued(notice_id))
    await world.providers.act("answer", REMOVED, notice_id)
    await world.providers.receive(notice_withdrawn(notice_id))
    await world.backed_up()
    await world.withdrawals().look()
    world.clock.advance(185 * DAY_S)
    await world.withdrawals().look()
    await world.restored()
    assert (await world.providers.show(notice_id))["state"] == "withdrawn"
    await world.erasures.apply(world.providers.database)
    with pytest.raises(Refused) as refusal:
        await world.providers.act("acknowledge_withdrawal", HELD_BY_LAW, notice_id)
    assert (refusal.value.code, refusal.value.field, refusal.value.status) == ("nothing_to_keep", "/fate", 409)
    assert await world.providers.act("acknowledge_withdrawal", ERASED, notice_id) == "withdrawal_acknowledged"
    assert (await world.providers.sent(notice_id))[-1][-1]["fate"] == "erased"


async def test_where_it_lay_ends_with_a_record_that_is_erased_again(world: World) -> None:
    notice_id = await erased_and_restored(world)
    assert await world.places(notice_id) > 0, "as the backup has it"
    await world.erasures.apply(world.providers.database)
    assert await world.places(notice_id) == 0
    assert await world.providers.receive(issued(notice_id, items=2, revision=2)) == [None]
    assert await world.places(notice_id) == 0
