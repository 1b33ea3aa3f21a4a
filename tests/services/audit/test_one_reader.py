"""One process reads for audit; another stands by, and nothing that was kept is kept again or lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from services.audit.app import READER_LOCK
from services.audit.bus import AuditDoor
from services.audit.domain import Reading
from services.audit.ports import Place
from shared.envelope.sealing import Opener
from shared.exchange.message import Record
from shared.kernel.clock import SystemClock
from shared.kernel.errors import Unavailable
from shared.runtime.database.transactions import Database
from tests.services.audit.log import Log
from tests.services.databases import until_one_waits_for_a_lock
from tests.support.exchange_world import TOPICS
from tests.support.running import until


@dataclass
class QuietReader:
    """Reads topics in which nothing happens, and says that it reads."""

    log: Log
    follows: asyncio.Event = field(default_factory=asyncio.Event)

    async def topic_ids(self) -> dict[str, Any]:
        return dict.fromkeys(TOPICS, self.log.generation)

    async def follow(self, _cursors: object, _ids: object) -> AsyncIterator[list[Record]]:
        while True:
            self.follows.set()
            yield []
            await asyncio.sleep(0.01)


def door(log: Log, reader: QuietReader) -> AuditDoor:
    return AuditDoor(
        reader,  # type: ignore[arg-type]
        log.entries,
        reading=Reading(log.world.shelf, Opener([]), SystemClock()),
        sole=lambda: log.database.sole(READER_LOCK),
        clock=SystemClock(),
    )


class GrowingReader(QuietReader):
    """There is one topic; then a second one is made, in which a record lies."""

    def __init__(self, log: Log, record: Record) -> None:
        super().__init__(log)
        self.record = record
        self.topics = [TOPICS[0]]
        self.begun: list[object] = []

    async def topic_ids(self) -> dict[str, Any]:
        return dict.fromkeys(self.topics, self.log.generation)

    async def follow(self, cursors: object, _ids: object) -> AsyncIterator[list[Record]]:
        self.begun.append(cursors)
        yield []
        if len(self.topics) == 1:
            self.topics.append(self.record.topic)
            raise Unavailable("topics_changed")
        yield [self.record]
        self.follows.set()
        while True:
            yield []
            await asyncio.sleep(0.01)


async def test_a_topic_that_is_made_while_audit_reads_is_kept_from_its_first_record(
    database: Database,
) -> None:
    log = Log(database)
    (record,) = log.world.records([log.world.prepared().drafts[-1]])
    reader = GrowingReader(log, record)
    audit = door(log, reader)
    reading = asyncio.create_task(audit.run())
    await asyncio.wait_for(reader.follows.wait(), 60)
    # Of the topics that the directory asks for, most are not there.
    assert await audit.check() == ("reader", True, "topics_missing", None)
    reader.topics = list(TOPICS)
    audit._read = set(TOPICS)
    assert await audit.check() == ("reader", True, "", None)
    reading.cancel()
    await asyncio.wait([reading])
    items = (await log.page(record))["items"]
    assert [(each["offset"], each["previous_offset"]) for each in items] == [(0, None)]


@pytest.mark.timing
async def test_a_second_reader_stands_by_and_takes_over_when_the_first_is_gone(database: Database) -> None:
    log = Log(database)
    readers = [QuietReader(log), QuietReader(log)]
    doors = [door(log, reader) for reader in readers]
    first = asyncio.create_task(doors[0].run())
    await readers[0].follows.wait()
    second = asyncio.create_task(doors[1].run())

    async def standing_by() -> bool:
        return (await doors[1].check()).reason == "standing_by"

    await until(standing_by)
    assert (await doors[1].check()).ok
    assert not readers[1].follows.is_set()

    first.cancel()
    await asyncio.wait([first])
    await asyncio.wait_for(readers[1].follows.wait(), 60)
    second.cancel()
    await asyncio.wait([second])


async def test_a_reader_that_is_behind_neither_moves_a_cursor_back_nor_links_an_entry_anew(database: Database) -> None:
    log = Log(database)
    records = log.world.records([log.world.prepared().drafts[-1] for _ in range(40)])
    partition = records[0].partition
    mine = [each for each in records if each.partition == partition]
    await log.keep(*mine)
    await log.keep(mine[0])
    place = Place(mine[0].topic, log.generation, partition)
    assert (await log.entries.cursors())[place] == mine[-1].offset + 1
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
            "UPDATE cursor SET next_offset = 7 WHERE topic = $1 AND generation = $2", record.topic, log.generation
        )
        behind = asyncio.create_task(log.keep(replace(record, offset=5), replace(record, offset=8)))
        await until_one_waits_for_a_lock(database)
    await behind
    assert (await log.entries.cursors())[Place(record.topic, log.generation, record.partition)] == 9
    items = (await log.page(record))["items"]
    assert [(each["offset"], each["previous_offset"]) for each in items] == [(0, None), (5, 6), (8, 5)]


async def test_two_readers_of_a_new_partition_keep_each_record_once(database: Database) -> None:
    log = Log(database)
    records = log.world.records([log.world.prepared().drafts[-1] for _ in range(30)])
    mine = [each for each in records if each.partition == records[0].partition]
    await asyncio.gather(log.keep(*mine), log.keep(*mine), log.keep(*mine[:1]))
    items = (await log.page(mine[0]))["items"]
    assert [each["offset"] for each in items] == [each.offset for each in mine]
    assert (await log.entries.cursors())[Place(mine[0].topic, log.generation, mine[0].partition)] == len(mine)
