"""Marks are kept by the day: how many, from where to where, and what they add up to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from deploy.accounting.folded import Folded, FoldedDay
from deploy.accounting.log import LogCheck
from deploy.accounting.streams import Book
from services.audit.domain.entries import Entry, Read
from services.audit.domain.partitions import Cursor, Life
from services.audit.domain.reading import Reading, read_records
from shared.contracts.registry import MARKS
from shared.envelope.sealing import Opener
from shared.exchange.message import Record
from shared.kernel.clock import ManualClock
from shared.runtime.database.transactions import Database
from shared.runtime.kafka.bounds import Bounds
from shared.runtime.kafka.reader import LogReader
from shared.runtime.post.ports import Coordinate
from tests.services.audit.log import Log, identity
from tests.services.audit.test_marks import facts, marks, said
from tests.support.exchange_world import LONG_AFTER


@pytest.fixture
def log(database: Database) -> Log:
    return Log(database)


async def folded(log: Log) -> list[tuple[int, int, int, int]]:
    rows = await log.database.fetch(
        "SELECT first_offset, last_offset, count, digests FROM folded_record WHERE topic_id = $1 ORDER BY day",
        log.topic_id,
    )
    return [tuple(map(int, row)) for row in rows]


async def test_of_marks_a_day_is_kept_and_no_entry_of_each_however_often_they_are_read(log: Log) -> None:
    records = [replace(said(log, MARKS, marks()), offset=offset) for offset in range(4)]
    for each in (records[:2], records, records[1:]):
        await log.keep(*each)
        digests = sum(int(identity(record)[1][:15], 16) for record in records[: each[-1].offset + 1])
        assert await folded(log) == [(0, each[-1].offset, each[-1].offset + 1, digests)]
    assert (await log.page(records[0]))["items"] == []


async def test_what_digests_add_up_to_is_their_first_60_bits(log: Log) -> None:
    """What one release has added up, the next adds to: the sum is written down here, and not computed."""
    record = said(log, MARKS, marks())
    [entry] = entries_of(log, [record])
    read = Read([entry._replace(offset=n, digest=f"0123456789abcde{n:049x}") for n in range(2)])
    await log.entries.append(read, {Life(record.topic, log.topic_id, 0): Cursor(2, None)})
    assert await folded(log) == [(0, 1, 2, 10_248_191_152_060_860)]


async def test_marks_of_the_day_after_lie_where_those_of_a_lost_tail_lay(log: Log) -> None:
    """The topic has lost its end shortly before midnight: what has come since is another day's, and counted there."""
    records = [replace(said(log, MARKS, marks()), offset=offset) for offset in range(4)]
    after = [replace(each, broker_time=each.broker_time + timedelta(days=1)) for each in records[2:]]
    await log.keep(*records)
    await log.database.fetch("UPDATE cursor SET next_offset = 0, digest = NULL WHERE topic_id = $1", log.topic_id)
    for _ in range(2):
        await log.keep(*records[:2], *after)
        assert [each[:3] for each in await folded(log)] == [(0, 3, 4), (2, 3, 2)], "each once"


async def test_marks_whose_proof_does_not_hold_are_nobodys_and_counted_as_that(log: Log) -> None:
    forged = replace(said(log, MARKS, marks(), by="industry"), topic=said(log, MARKS, marks()).topic)
    broken = replace(forged, headers=forged.headers[:-1], offset=1)
    await log.keep(broken)
    rows = await log.database.fetch("SELECT reason FROM folded_record WHERE topic_id = $1", log.topic_id)
    assert [row["reason"] for row in rows] == ["header_missing"]
    assert len(await log.database.fetch("SELECT FROM entry WHERE topic_id = $1", log.topic_id)) == 1


async def test_a_day_of_marks_that_kafka_has_otherwise_is_a_difference(log: Log) -> None:
    records = [replace(said(log, MARKS, marks()), offset=offset) for offset in range(3)]
    await log.keep(*records)
    [(first, last, count, digests)] = await folded(log)
    kept = {records[0].broker_time.date(): FoldedDay(first, count, digests)}
    entries = entries_of(log, records)

    def found(read: Sequence[Entry], *, since: int = 0) -> int:
        checked = Folded(kept, read_to=last + 1)
        assert [checked.add(each) for each in read] == [each.offset <= last for each in read]
        return len(list(checked.differences("a topic", first=since)))

    assert found(entries) == 0
    assert found([*entries, entries[0]._replace(offset=9)]) == 0, "not read yet"
    assert found(entries[1:]) == 1
    assert found([entries[0]._replace(digest="f" * 64), *entries[1:]]) == 1
    assert found(entries[1:], since=1) == 0, "Kafka has not all of that day"
    kept = {}
    assert found(entries) == 1, "audit has nothing of that day"


def entries_of(log: Log, records: Sequence[Record]) -> list[Entry]:
    read = Read()
    reading = Reading(log.world.shelf, Opener([]), ManualClock(log.world.at + LONG_AFTER))
    read_records(records, read, topic_ids={record.topic: log.topic_id for record in records}, reading=reading)
    return read.entries


class Held:
    """A topic as Kafka has it now: one record."""

    def __init__(self, record: Record) -> None:
        self._record = record

    async def bounds(self) -> dict[Coordinate, Bounds]:
        return {Coordinate(self._record.topic, 0): Bounds(0, 1)}

    async def read_range(self, _: Coordinate, _first: int, _end: int) -> AsyncIterator[list[Record]]:
        yield [self._record]


@pytest.mark.parametrize("read_again", [True, False])
async def test_marks_where_a_lost_message_lay_are_no_difference_once_audit_has_named_them(
    log: Log, *, read_again: bool
) -> None:
    [message] = facts(log, 1)
    refilled = replace(said(log, MARKS, marks()), offset=0)
    assert refilled.topic == message.topic
    await log.keep(message)
    if read_again:
        await log.entries.begin([], {Life(message.topic, log.topic_id, 0): Cursor(0, None)})
        await log.keep(refilled)
    reading = Reading(
        log.world.shelf, Opener([log.world.keys["audit"].opening]), ManualClock(log.world.at + LONG_AFTER)
    )
    async with log.database.transaction() as session:
        book = Book(session.driver, kind="audit")
        check = LogCheck(cast(LogReader, Held(refilled)), book, reading, opened=True, sealing_before=log.world.at)
        found = [each.what async for each in check.differences({message.topic: log.topic_id}, {})]
    assert found == ([] if read_again else ["audit has another record than Kafka"])
