"""The log on real Kafka: readers verify exactly the appended records, in every repetition."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.devstack.stack import DevStack
from deploy.site.access import admin_client
from shared.core.errors import Refused, Unavailable
from shared.core.ids import uuid7
from shared.core.protocol.authority import inbox_topic
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, RawRecord
from shared.messaging.incarnations import Head
from shared.messaging.kafka import log as kafka_log
from shared.messaging.kafka.log import APPEND_BYTES_MAX, KafkaLog, read_own_heads
from shared.messaging.relay import list_records
from shared.messaging.segments import RecordBytes, Segment
from shared.messaging.streams import LANES, Lane, Pair
from shared.platform.kafka.access import KafkaAccess
from tests.shared.conftest import access_as
from tests.shared.messaging.builders import COMPOSER, KEY, PAIR, draft, keys, letter, outgoing, place

SECONDS = 60


@pytest.fixture(scope="module")
def admin(stack: DevStack) -> AdminClient:
    return admin_client(stack.endpoints.kafka)


@pytest.fixture(scope="module")
def access(stack: DevStack) -> KafkaAccess:
    return access_as(stack, "admin")


@pytest.fixture
async def log(access: KafkaAccess) -> AsyncIterator[KafkaLog]:
    opened = KafkaLog(access, instance=PAIR.writer, key=KEY)
    yield opened
    await opened.close()


def make_topic(admin: AdminClient, pair: Pair, *, bytes_max: int = APPEND_BYTES_MAX) -> str:
    name = inbox_topic(pair.addressee, pair.writer)
    config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(bytes_max)}
    admin.create_topics([NewTopic(name, len(LANES), 1, config=config)])[name].result()
    deadline = time.monotonic() + SECONDS
    while name not in admin.list_topics(timeout=SECONDS).topics:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return name


def make_again(admin: AdminClient, pair: Pair) -> None:
    name = inbox_topic(pair.addressee, pair.writer)
    admin.delete_topics([name])[name].result()
    deadline = time.monotonic() + SECONDS
    while name in admin.list_topics(timeout=SECONDS).topics:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    make_topic(admin, pair)


@pytest.fixture
def pair(admin: AdminClient) -> Pair:
    """Return a pair with an addressee of its own, and its topic."""
    made = Pair(PAIR.writer, f"industry-{uuid7()}")
    make_topic(admin, made)
    return made


async def read(access: KafkaAccess, pair: Pair, lane: Lane, count: int) -> list[RawRecord]:
    consumer = AIOKafkaConsumer(**access.client_options("test"), group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    try:
        where = TopicPartition(inbox_topic(pair.addressee, pair.writer), int(lane))
        consumer.assign([where])
        await consumer.seek_to_beginning(where)
        found: list[RawRecord] = []
        async with asyncio.timeout(SECONDS):
            while len(found) < count:
                for record in (await consumer.getmany(timeout_ms=500)).get(where, []):
                    at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                    found.append(RawRecord(uuid7(), record.offset, at, tuple(record.headers), record.value))
        return found
    finally:
        await consumer.stop()


def segments_of(pair: Pair, lane: Lane, *counts: int) -> list[Segment]:
    streams = outgoing()
    placed = []
    for count in counts:
        (unplaced,) = COMPOSER.compose(pair, {lane: [draft(letter()) for _ in range(count)]})
        placed.append(place(unplaced, streams))
    return placed


@pytest.mark.parametrize("lane", LANES)
async def test_a_reader_verifies_what_was_appended_to_each_lane(
    log: KafkaLog, access: KafkaAccess, pair: Pair, lane: Lane
) -> None:
    records = list_records(segments_of(pair, lane, 3, 2), above=1)

    at = await log.append(pair, lane, records)

    assert (at.offset, at.end) == (0, 6)
    appended = await read(access, pair, lane, 6)
    assert {each.broker_time for each in appended} == {at.broker_at}
    found = PartitionVerifier(pair, lane, keys).verify(appended)
    assert [each.place.number for each in found if isinstance(each, PlacedMessage)] == [2, 3, 4, 5]


async def test_an_append_that_is_made_again_has_the_same_bytes(log: KafkaLog, access: KafkaAccess, pair: Pair) -> None:
    records = list_records(segments_of(pair, Lane.URGENT, 2), above=0)

    first = await log.append(pair, Lane.URGENT, records)
    second = await log.append(pair, Lane.URGENT, records)

    assert (second.offset, second.topic_id) == (first.end, first.topic_id)
    found = await read(access, pair, Lane.URGENT, 6)
    assert [(each.headers, each.value) for each in found[:3]] == [(each.headers, each.value) for each in found[3:]]


async def test_more_than_one_record_batch_holds_is_appended_in_order(
    log: KafkaLog, access: KafkaAccess, pair: Pair
) -> None:
    values = [bytes([number]) * 300_000 for number in range(8)]

    at = await log.append_bytes(pair, Lane.ORDINARY, [RecordBytes(b"", (), value) for value in values])

    assert at.end - at.offset == 8
    assert [each.value for each in await read(access, pair, Lane.ORDINARY, 8)] == values


async def test_a_record_above_every_bound_is_refused_and_the_log_goes_on(log: KafkaLog, pair: Pair) -> None:
    with pytest.raises(Refused, match="record_too_large"):
        await log.append_bytes(pair, Lane.ORDINARY, [RecordBytes(b"", (), bytes(APPEND_BYTES_MAX + 1))])

    assert (await log.append_bytes(pair, Lane.ORDINARY, [RecordBytes(b"", (), b"next")])).offset == 0


async def test_a_topic_that_is_too_small_or_missing_holds_up_no_other(
    log: KafkaLog, admin: AdminClient, pair: Pair
) -> None:
    small = Pair(PAIR.writer, f"industry-{uuid7()}")
    make_topic(admin, small, bytes_max=1_000)

    with pytest.raises(Unavailable, match="broker_record_bound"):
        await log.append_bytes(small, Lane.ORDINARY, [RecordBytes(b"", (), bytes(2_000))])
    with pytest.raises(Unavailable, match="broker_refuses"):
        await log.append_bytes(Pair(PAIR.writer, "nobody"), Lane.ORDINARY, [RecordBytes(b"", (), b"x")])
    assert (await log.append_bytes(pair, Lane.ORDINARY, [RecordBytes(b"", (), b"next")])).offset == 0
    assert (await log.append_bytes(small, Lane.ORDINARY, [RecordBytes(b"", (), b"fits")])).offset == 0


async def test_each_lane_is_read_to_its_end_even_if_one_needs_several_fetches(
    log: KafkaLog, access: KafkaAccess, pair: Pair
) -> None:
    large = [draft(replace(letter(), clear={"text": "x" * 150_000})) for _ in range(14)]
    (unplaced,) = COMPOSER.compose(pair, {Lane.ORDINARY: large})
    segments = [*segments_of(pair, Lane.URGENT, 1), place(unplaced)]
    for segment in segments:
        await log.append(pair, segment.lane, list_records([segment], above=0))

    found = await read_own_heads(access, pair.writer, [pair.addressee], keys=keys)

    assert sorted(found[pair.addressee], key=lambda head: head.lane) == [
        Head(each.incarnation, each.lane, each.last, digest=each.messages[-1].digest) for each in segments
    ]


async def test_the_id_of_a_topic_is_looked_up_once_in_a_while(
    log: KafkaLog, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_log, "TOPIC_ID_AGE_S", SECONDS)
    with patch.object(kafka_log, "describe_topics", wraps=kafka_log.describe_topics) as described:
        for _ in range(3):
            await log.append_bytes(pair, Lane.URGENT, [RecordBytes(b"", (), b"value")])
    assert described.call_count == 1


async def test_a_topic_that_is_made_again_has_another_id(log: KafkaLog, admin: AdminClient, pair: Pair) -> None:
    first = await log.append_bytes(pair, Lane.URGENT, [RecordBytes(b"", (), b"before")])
    await asyncio.to_thread(make_again, admin, pair)

    async with asyncio.timeout(SECONDS):
        while True:
            try:
                second = await log.append_bytes(pair, Lane.URGENT, [RecordBytes(b"", (), b"after")])
            except Unavailable:
                continue
            if second.topic_id != first.topic_id:
                break
    assert second.topic_id != first.topic_id
