"""Reading without a group: the requested records, once and in order, and never others silently."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from confluent_kafka import Producer, TopicCollection

from deploy.devstack.stack import DevStack
from deploy.site.access import admin_client
from shared.core.errors import Unavailable
from shared.core.ids import uuid7
from shared.core.protocol.message import Record
from shared.platform.kafka.access import KafkaAccess
from shared.platform.kafka.reader import GATHER_MS, GATHERED_RECORDS, LogReader, fetch_all, gathered, outside_groups
from shared.platform.kafka.topic_metadata import Coordinate, Offsets


@pytest.fixture
def produce(stack: DevStack, topic: str) -> Callable[[int, int], None]:
    """Write `count` records to a partition, in the order of the numbers that are their values."""
    producer = Producer(stack.endpoints.kafka.librdkafka_options("admin") | {"enable.idempotence": True})

    def write(partition: int, count: int) -> None:
        for number in range(count):
            producer.produce(topic, value=b"%d" % number, partition=partition)
        producer.flush()

    return write


@pytest.fixture
def reader(access: KafkaAccess, topic: str) -> LogReader:
    return LogReader(access, [topic], client_id="edges-test")


async def followed(reader: LogReader, cursors: dict[Coordinate, int], count: int) -> list[Record]:
    """Return the first `count` records from the cursors on."""
    found: list[Record] = []
    async with asyncio.timeout(60), aclosing(reader.follow(cursors)) as batches:
        async for batch in batches:
            found += batch
            if len(found) >= count:
                break
    return found


async def test_following_begins_at_the_cursors_and_at_the_first_record_where_there_is_none(
    reader: LogReader, topic: str, produce: Callable[[int, int], None]
) -> None:
    produce(0, 3)
    produce(1, 2)
    found = await followed(reader, {Coordinate(topic, 0): 2}, 3)
    assert sorted((r.partition, r.offset, r.value) for r in found) == [(0, 2, b"2"), (1, 0, b"0"), (1, 1, b"1")]


async def test_following_a_busy_topic_misses_nothing_and_keeps_the_order_of_each_partition(
    reader: LogReader, produce: Callable[[int, int], None]
) -> None:
    produce(0, 1)
    following = asyncio.create_task(followed(reader, {}, 241))
    for _ in range(40):
        await asyncio.to_thread(produce, 0, 3)
        await asyncio.to_thread(produce, 1, 3)
    found = await following
    for partition, count in ((0, 121), (1, 120)):
        assert [record.offset for record in found if record.partition == partition] == list(range(count))


async def test_a_range_ends_before_its_end_and_is_complete(
    reader: LogReader, topic: str, produce: Callable[[int, int], None]
) -> None:
    produce(0, 1200)
    found: list[Record] = []
    async with aclosing(reader.read_range(Coordinate(topic, 0), 100, 1100)) as batches:
        async for batch in batches:
            found += batch
    assert [record.offset for record in found] == list(range(100, 1100))


async def test_neither_the_broker_nor_a_reader_expands_a_compressed_batch(
    access: KafkaAccess, reader: LogReader, topic: str
) -> None:
    """Twice its expanded size does not fit into the broker's heap; compressed, it fits into one batch."""
    options = access.client_options("edges-test") | {"max_request_size": 100_000_000}
    for compression, value in (("gzip", bytes(90_000_000)), (None, b"plain")):
        async with AIOKafkaProducer(**options, compression_type=compression) as producer:
            await producer.send_and_wait(topic, value, partition=0)
    found = await followed(reader, {}, 2)
    assert [(each.value, each.time_stated) for each in found] == [(None, False), (b"plain", False)]


async def test_the_broker_reads_no_request_that_no_topic_would_accept(stack: DevStack, topic: str) -> None:
    options = {"message.max.bytes": 1_000_000_000, "message.timeout.ms": 5_000}
    producers = [Producer(stack.endpoints.kafka.librdkafka_options("admin") | options) for _ in range(6)]
    for each in producers:
        each.produce(topic, bytes(95_000_000), partition=0)
    assert [await asyncio.to_thread(each.flush, 10) for each in producers] == [0] * 6
    assert stack.kafka.running()


async def test_bounds_say_what_each_partition_holds(
    reader: LogReader, topic: str, produce: Callable[[int, int], None]
) -> None:
    produce(1, 4)
    assert await reader.bounds() == {Coordinate(topic, 0): Offsets(0, 0), Coordinate(topic, 1): Offsets(0, 4)}


async def test_a_cursor_beyond_the_end_is_reported_and_not_skipped_over(
    reader: LogReader, topic: str, produce: Callable[[int, int], None]
) -> None:
    produce(0, 1)
    with pytest.raises(Unavailable, match="offset_out_of_range"):
        await followed(reader, {Coordinate(topic, 0): 7}, 1)


async def ended_by(reader: LogReader, make: Callable[[], object]) -> str:
    """Follow all topics, make a topic after the first batch, and continue. Return the code with which that ends."""
    made = False
    try:
        async with asyncio.timeout(60), aclosing(reader.follow({}, await reader.topic_ids())) as batches:
            async for _ in batches:
                if not made:
                    made = bool(await asyncio.to_thread(make))
    except Unavailable as error:
        return error.code
    return ""


@pytest.mark.parametrize("there", [0, 1])
async def test_what_is_read_by_a_prefix_ends_when_another_topic_is_made_and_holds_it_the_next_time(
    access: KafkaAccess, new_topic: Callable[..., str], there: int
) -> None:
    prefix = f"edges.{uuid7()}."
    before = {new_topic(1, name=f"{prefix}{number}") for number in range(there)}
    foreign, new = new_topic(1), f"{prefix}new"
    reader = LogReader(access, client_id="edges-test", under=prefix)
    assert (await reader.topic_ids()).keys() == before
    assert await ended_by(reader, lambda: new_topic(1, name=new)) == "topics_changed"
    assert {where.topic for where in await reader.bounds()} == {*before, new}
    assert foreign not in await reader.topic_ids()


async def test_a_topic_id_is_the_one_that_other_clients_see(stack: DevStack, reader: LogReader, topic: str) -> None:
    admin = admin_client(stack.endpoints.kafka)
    described = admin.describe_topics(TopicCollection([topic]))[topic].result()
    high, low = described.topic_id.get_most_significant_bits(), described.topic_id.get_least_significant_bits()
    assert (await reader.topic_ids())[topic].int == ((high % 2**64) << 64) | (low % 2**64)


async def test_following_a_topic_that_is_not_there_is_unavailable(access: KafkaAccess) -> None:
    with pytest.raises(Unavailable, match="broker_refuses"):
        await followed(LogReader(access, ["edges.none"], client_id="edges-test"), {}, 1)


async def test_reading_without_a_broker_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await LogReader(KafkaAccess("127.0.0.1:1"), ["any"], client_id="edges-test").bounds()


async def test_following_ends_when_the_topic_is_made_again_even_if_the_new_one_has_gone_further(
    stack: DevStack, access: KafkaAccess, new_topic: Callable[..., str]
) -> None:
    topic = new_topic(1)
    reader = LogReader(access, [topic], client_id="edges-test")
    producer, admin = Producer(stack.endpoints.kafka.librdkafka_options("admin")), admin_client(stack.endpoints.kafka)
    producer.produce(topic, value=b"old", partition=0)
    producer.flush()
    found: list[Record] = []

    async def follow_through_the_change() -> None:
        async with asyncio.timeout(60), aclosing(reader.follow({}, await reader.topic_ids())) as batches:
            async for batch in batches:
                found.extend(batch)
                if batch:
                    admin.delete_topics([topic])[topic].result()
                    new_topic(1, name=topic)
                    for _ in range(3):
                        producer.produce(topic, value=b"new", partition=0)
                    producer.flush()

    with pytest.raises(Unavailable, match="topic_made_again"):
        await follow_through_the_change()
    assert [record.value for record in found] == [b"old"]


@pytest.mark.timing
async def test_following_reports_an_outage_and_can_be_begun_again(
    stack: DevStack, reader: LogReader, produce: Callable[[int, int], None]
) -> None:
    produce(0, 1)
    found: list[Record] = []

    async def follow_into_the_outage() -> None:
        async with asyncio.timeout(60), aclosing(reader.follow({})) as batches:
            async for batch in batches:
                if batch:
                    found.extend(batch)
                    await asyncio.to_thread(stack.kafka.kill)

    try:
        with pytest.raises(Unavailable) as raised:
            await follow_into_the_outage()
    finally:
        await asyncio.to_thread(stack.kafka.start)
    assert raised.value.code == "broker_unavailable"
    assert [record.offset for record in found] == [0]
    assert [record.offset for record in await followed(reader, {}, 1)] == [0]


class Fetching:
    """A client that has these batches ready, one after another: offsets by partition."""

    def __init__(self, *batches: dict[str, list[int]]) -> None:
        self.batches = list(batches)
        self.waits: list[int] = []

    async def fetch(self, *, timeout_ms: int, max_records: int) -> Any:
        self.waits.append(timeout_ms)
        ready = self.batches.pop(0)
        return {where: [SimpleNamespace(offset=offset) for offset in offsets] for where, offsets in ready.items()}


@pytest.mark.parametrize(
    ("batches", "waits", "gathered_offsets"),
    [
        # After a pause the first record is delivered at once.
        ([{}, {"p": [5]}], [0, 700], {"p": [5]}),
        ([{"p": [5]}, {"p": [6], "q": [1]}], [0, GATHER_MS], {"p": [5, 6], "q": [1]}),
        ([{"p": [5]}, {}], [0, GATHER_MS], {"p": [5]}),
        # The position went back in between: the records that are read again are complete and in order.
        ([{"p": [5, 6]}, {"p": [3, 4, 5]}], [0, GATHER_MS], {"p": [3, 4, 5]}),
        ([{"p": list(range(GATHERED_RECORDS))}], [0], {"p": list(range(GATHERED_RECORDS))}),
    ],
)
async def test_what_comes_fast_is_gathered_and_what_comes_after_a_pause_is_not(
    batches: list[dict[str, list[int]]], waits: list[int], gathered_offsets: dict[str, list[int]]
) -> None:
    client = Fetching(*batches)
    batch: Any = await gathered(client.fetch, wait_ms=700, records_max=500)
    assert {where: [each.offset for each in records] for where, records in batch.items()} == gathered_offsets
    assert client.waits == waits


async def seconds_until_here(
    access: KafkaAccess, topic: str, produce: Callable[[int, int], None], *, all_at_once: bool
) -> float:
    """Return the seconds until a record arrives whose partition has a fetched but untaken record."""
    async with outside_groups(access.client_options("fetch-test")) as consumer:
        consumer._fetcher._prefetch_backoff = 0.1  # aiokafka's own
        if all_at_once:
            fetch_all(consumer)
        consumer.assign([TopicPartition(topic, 0), TopicPartition(topic, 1)])
        for partition in (0, 1):
            consumer.seek(TopicPartition(topic, partition), 0)
        await asyncio.to_thread(produce, 0, 1)
        fetcher = consumer._fetcher
        async with asyncio.timeout(60):
            while not fetcher._records:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)  # aiokafka waits for 0.1 s before it asks for the others
            while bool(fetcher._in_flight) is all_at_once:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.02)
        assert await consumer.getmany(timeout_ms=60_000)
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(produce, 0, 1)
        assert await consumer.getmany(timeout_ms=60_000)
        return asyncio.get_running_loop().time() - began


@pytest.mark.timing
async def test_what_comes_for_one_partition_does_not_wait_for_a_fetch_of_the_others(
    access: KafkaAccess, topic: str, produce: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.platform.kafka.reader.FETCH_WAIT_MS", 8_000)
    left_out = await seconds_until_here(access, topic, produce, all_at_once=False)
    assert left_out > 4, "the control: aiokafka's own way waits for the fetch of the others"
    assert await seconds_until_here(access, topic, produce, all_at_once=True) < left_out / 2
