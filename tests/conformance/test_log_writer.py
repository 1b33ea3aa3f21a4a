"""What the relay relies on of a log, held against memory and against real Kafka."""

from __future__ import annotations

from shared.envelope.headers import decode_headers
from shared.exchange.message import Record
from shared.kernel.ids import coarse_uuid7, uuid7
from shared.runtime.post.ports import OutboxRow
from shared.runtime.post.stamping import Counter, counts_by_pair, stamp_rows, wire
from tests.conformance.conftest import KEY, Log
from tests.support.builders import AT, draft


def rows_of(count: int, subjects: int) -> list[OutboxRow]:
    keys = [uuid7() for _ in range(subjects)]
    rows = [OutboxRow(number, draft(keys[number % subjects]), None) for number in range(1, count + 1)]
    counters = {pair: Counter(coarse_uuid7(AT), count) for pair, count in counts_by_pair(rows).items()}
    return stamp_rows(rows, counters, instance="hotline", key=KEY)[0]


def flat(partitions: list[list[Record]]) -> list[Record]:
    return [record for partition in partitions for record in partition]


async def test_what_is_appended_is_what_was_stamped_byte_for_byte(log: Log) -> None:
    (row,) = rows_of(1, 1)
    await log.writer.append([row])
    (record,) = flat(await log.read())
    assert (record.key, record.value) == (row.draft.subject.encode(), row.draft.body)
    assert list(record.headers) == wire(row, "hotline")
    assert record.broker_time.tzinfo is not None


async def test_every_row_is_there_once_in_the_order_of_its_number_whatever_its_key(log: Log) -> None:
    rows = rows_of(200, 17)
    await log.writer.append(rows[:120])
    for row in rows[120:140]:
        await log.writer.append([row])
    await log.writer.append(rows[140:])
    (records,) = await log.read()
    assert [decode_headers(record.headers, b"").attributes.sequence for record in records] == list(range(1, 201))
    assert [record.key for record in records] == [row.draft.subject.encode() for row in rows]


async def test_appending_again_repeats_the_same_bytes_after_the_first(log: Log) -> None:
    rows = rows_of(6, 1)
    await log.writer.append(rows)
    await log.writer.append(rows)
    records = flat(await log.read())
    assert [record.headers for record in records[:6]] == [record.headers for record in records[6:]]
    assert [record.offset for record in records] == list(range(records[0].offset, records[0].offset + 12))


async def test_an_empty_append_is_no_trouble(log: Log) -> None:
    await log.writer.append([])
    assert flat(await log.read()) == []
