"""What the relay relies on of a log, held against memory and against real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.envelope.headers import decode_headers
from shared.exchange.message import Record
from shared.kernel.errors import Refused
from shared.kernel.ids import coarse_uuid7, uuid7
from shared.runtime.post.ports import Appended, Outgoing
from shared.runtime.post.stamping import Counter, counts_by_pair, sign
from tests.conformance.conftest import KEY, Log
from tests.support.builders import AT, draft

LANE = "law_enforcement"


def records_of(count: int, subjects: int, *, body: bytes = b'{"clear":{}}') -> list[Outgoing]:
    keys = [uuid7() for _ in range(subjects)]
    drafts = [draft(keys[number % subjects], body=body) for number in range(1, count + 1)]
    counters = {pair: Counter(coarse_uuid7(AT), count) for pair, count in counts_by_pair(drafts).items()}
    return [each.record for each in sign(drafts, counters, instance="hotline", key=KEY)]


async def append(log: Log, records: Sequence[Outgoing]) -> list[Appended]:
    """Append all, as many at a time as go together."""
    said = []
    while records:
        said.append(await log.writer.append(LANE, records))
        records = records[said[-1].count :]
    return said


def flat(partitions: list[list[Record]]) -> list[Record]:
    return [record for partition in partitions for record in partition]


async def test_what_is_appended_is_what_was_signed_byte_for_byte(log: Log) -> None:
    (outgoing,) = records_of(1, 1)
    await append(log, [outgoing])
    (record,) = flat(await log.read())
    assert (record.key, record.value) == (outgoing.key, outgoing.value)
    assert tuple(record.headers) == outgoing.headers
    assert record.broker_time.tzinfo is not None


async def test_every_record_is_there_once_in_the_order_of_its_number_whatever_its_key(log: Log) -> None:
    records = records_of(200, 17)
    await append(log, records[:120])
    for record in records[120:140]:
        await append(log, [record])
    await append(log, records[140:])
    (found,) = await log.read()
    assert [decode_headers(record.headers, b"").attributes.sequence for record in found] == list(range(1, 201))
    assert [record.key for record in found] == [record.key for record in records]


async def test_it_is_told_where_and_when_the_broker_put_what_it_took(log: Log) -> None:
    said = await append(log, records_of(120, 3))
    found = flat(await log.read())
    assert sum(each.count for each in said) == 120
    place = 0
    for each in said:
        assert (each.offset, each.at) == (found[place].offset, found[place].broker_time)
        place += each.count


async def test_appending_again_repeats_the_same_bytes_after_the_first(log: Log) -> None:
    records = records_of(6, 1)
    await append(log, records)
    await append(log, records)
    found = flat(await log.read())
    assert [record.headers for record in found[:6]] == [record.headers for record in found[6:]]
    assert [record.offset for record in found] == list(range(found[0].offset, found[0].offset + 12))


async def test_an_empty_append_is_no_trouble(log: Log) -> None:
    assert (await log.writer.append(LANE, [])).count == 0
    assert flat(await log.read()) == []


@pytest.mark.parametrize("place", [0, 2])
async def test_a_record_that_no_topic_takes_is_refused_alone(log: Log, place: int) -> None:
    records = records_of(5, 5)
    records[place] = Outgoing(b"k", (), bytes(200_000))
    log.never_takes(records[place].value)
    async with asyncio.timeout(60):
        if place:
            await append(log, records[:place])
        with pytest.raises(Refused, match="record_too_large"):
            await append(log, records[place:])
        await append(log, records[place + 1 :])
    found = [record.key for record in flat(await log.read())]
    assert found == [record.key for number, record in enumerate(records) if number != place]
