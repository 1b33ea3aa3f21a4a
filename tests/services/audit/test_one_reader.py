"""One process reads for audit; another stands by, and nothing that was kept is kept again or lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from services.audit.bus import BACK_OFF_S, AuditDoor
from services.audit.domain.partitions import Cursor, Life
from services.audit.domain.reading import Reading
from shared.envelope.sealing import Opener
from shared.exchange.message import Record, record_digest
from shared.kernel.clock import SystemClock
from shared.runtime.database.transactions import Database
from shared.runtime.post.lease import Lease
from tests.services.audit.broker import Broker, Topic
from tests.services.audit.log import Log
from tests.services.databases import until_one_waits_for_a_lock
from tests.support.exchange_world import TOPICS
from tests.support.privileges import may_not
from tests.support.running import until

#: What audit's reader locked once: any login role of the database could hold it.
_ADVISORY_LOCK = 0x6361757365776172


class Watched(Broker):
    """Says that it is read."""

    def __init__(self, topics: Iterable[str]) -> None:
        super().__init__({name: Topic(name) for name in topics})
        self.read = asyncio.Event()

    async def batch(self, wait_s: float) -> list[Record]:
        self.read.set()
        return await super().batch(wait_s)


def door(log: Log, broker: Broker) -> AuditDoor:
    return AuditDoor(
        broker,  # type: ignore[arg-type]
        log.entries,
        log.partitions,
        reading=Reading(log.world.shelf, Opener([]), SystemClock()),
        lease=Lease(log.database, "reader"),
        clock=SystemClock(),
    )


async def change_lease(database: Database, changes: str) -> None:
    """As another process of audit does."""
    async with database.transaction() as session:
        await session.driver.execute(f"UPDATE lease SET {changes} WHERE name = 'reader'")


@asynccontextmanager
async def read_by_another(database: Database) -> AsyncIterator[None]:
    """Another process of audit has the lease, and keeps it."""
    await change_lease(database, "holder = uuidv7(), fence = fence + 1, until = now() + interval '10 s'")

    async def keep() -> None:
        while True:
            await change_lease(database, "until = now() + interval '10 s'")
            await asyncio.sleep(0.5)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await change_lease(database, "until = now() - interval '1 s'")


async def stands_by(here: AuditDoor) -> bool:
    return (await here.check()).reason == "standing_by"


@pytest.mark.timing
async def test_a_second_reader_stands_by_and_takes_over_when_the_first_is_gone(database: Database) -> None:
    log = Log(database)
    readers = [Watched(TOPICS), Watched(TOPICS)]
    doors = [door(log, reader) for reader in readers]
    first = asyncio.create_task(doors[0].run())
    await readers[0].read.wait()
    second = asyncio.create_task(doors[1].run())

    await until(lambda: stands_by(doors[1]))
    assert (await doors[1].check()).ok
    assert not readers[1].read.is_set()

    first.cancel()
    await asyncio.wait([first])
    await asyncio.wait_for(readers[1].read.wait(), 60)
    second.cancel()
    await asyncio.wait([second])


@pytest.mark.timing
async def test_a_reader_whose_lease_another_has_taken_stands_by_and_reads_again_when_that_one_is_gone(
    database: Database,
) -> None:
    log = Log(database)
    reader = Watched(TOPICS)
    here = door(log, reader)
    reading = asyncio.create_task(here.run())
    await reader.read.wait()
    async with read_by_another(database):
        await until(lambda: stands_by(here))
        reader.read.clear()
        await asyncio.sleep(2 * BACK_OFF_S)
        assert not reader.read.is_set()
    await asyncio.wait_for(reader.read.wait(), 60)
    reading.cancel()
    await asyncio.wait([reading])


@pytest.mark.timing
async def test_whoever_counts_can_neither_take_the_lease_nor_keep_audit_from_reading(
    audit_endpoint: DatabaseEndpoint, database: Database
) -> None:
    """Finding p19 at audit: the accountant, whom every `reconcile` uses, stopped the reader by holding its lock."""
    accountant = await asyncpg.connect(audit_endpoint.accountant_url)
    try:
        await accountant.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        await may_not(
            accountant,
            "UPDATE lease SET until = now() + interval '1 day'",
            "INSERT INTO lease VALUES ('reader', gen_random_uuid(), 9, now() + interval '1 day')",
            "SELECT * FROM lease FOR UPDATE",
            "BEGIN; LOCK TABLE lease IN ACCESS SHARE MODE",
        )
        reader = Watched(TOPICS)
        here = door(Log(database), reader)
        reading = asyncio.create_task(here.run())
        await asyncio.wait_for(reader.read.wait(), 60)
        assert not await stands_by(here)
        reading.cancel()
        await asyncio.wait([reading])
    finally:
        await accountant.close()


async def test_a_reader_that_is_behind_neither_moves_a_cursor_back_nor_links_an_entry_anew(database: Database) -> None:
    log = Log(database)
    records = log.world.records([log.world.prepared().drafts[-1] for _ in range(40)])
    partition = records[0].partition
    mine = [each for each in records if each.partition == partition]
    await log.keep(*mine)
    await log.keep(mine[0])
    life = Life(mine[0].topic, log.topic_id, partition)
    assert (await log.entries.cursors())[life] == Cursor(mine[-1].offset + 1, record_digest(mine[-1]))
    page = await log.page(mine[0])
    before = [None, *(each.offset for each in mine[:-1])]
    assert [each["previous_offset"] for each in page["items"]] == before


async def test_batches_link_on_in_every_topic(database: Database) -> None:
    log = Log(database)
    records = log.world.records([draft for _ in range(10) for draft in log.world.prepared().drafts])
    for start in range(0, len(records), 5):
        await log.keep(*records[start : start + 5])
    topics = {each.topic for each in records}
    assert len(topics) > 2
    for topic in topics:
        mine = [each for each in records if each.topic == topic]
        page = await log.page(mine[0])
        assert [each["previous_offset"] for each in page["items"]] == [None, *(each.offset for each in mine[:-1])]


async def test_what_another_reader_keeps_meanwhile_is_linked_to(database: Database) -> None:
    log = Log(database)
    record = log.world.records([log.world.prepared().drafts[-1]])[0]
    await log.keep(record)
    async with database.transaction() as session:
        await session.driver.execute(
            "UPDATE cursor SET next_offset = 7 WHERE topic = $1 AND topic_id = $2", record.topic, log.topic_id
        )
        behind = asyncio.create_task(log.keep(replace(record, offset=5), replace(record, offset=8)))
        await until_one_waits_for_a_lock(database)
    await behind
    assert (await log.entries.cursors())[Life(record.topic, log.topic_id, record.partition)].next_offset == 9
    items = (await log.page(record))["items"]
    assert [(each["offset"], each["previous_offset"]) for each in items] == [(0, None), (5, 6), (8, 5)]


async def test_two_readers_of_a_new_partition_keep_each_record_once(database: Database) -> None:
    log = Log(database)
    records = log.world.records([log.world.prepared().drafts[-1] for _ in range(30)])
    mine = [each for each in records if each.partition == records[0].partition]
    await asyncio.gather(log.keep(*mine), log.keep(*mine), log.keep(*mine[:1]))
    items = (await log.page(mine[0]))["items"]
    assert [each["offset"] for each in items] == [each.offset for each in mine]
    life = Life(mine[0].topic, log.topic_id, mine[0].partition)
    assert (await log.entries.cursors())[life].next_offset == len(mine)
