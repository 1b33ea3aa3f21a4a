"""Where reading goes on: by cursors in the database, shared between processes by leases, against real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from deploy.devstack.stack import DevStack
from deploy.site.access import admin_client
from shared.exchange.topics import inbox_topic
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.kafka.bus import Bus
from shared.runtime.kafka.reader import LogReader
from shared.runtime.post.arrivals import Cursor
from shared.runtime.post.cursors import LEASE_S
from tests.support.buses import Collected, bus_of, running, until


@pytest.fixture
def topic(inbox: str) -> str:
    return inbox


async def test_a_restarted_process_goes_on_where_the_last_one_committed(
    access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    first = Collected()
    second = Collected(first)
    produce(b"1")
    async with running(bus_of(access, topic, first)):
        await until(lambda: len(first.records) == 1)
    produce(b"2")
    async with running(bus_of(access, topic, second)):
        await until(lambda: len(second.records) == 1)
    assert (first.values, second.values) == ([b"1"], [b"2"])


async def test_a_restored_database_reads_kafka_again_by_itself(
    access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    consumer = Collected()
    produce(b"1")
    async with running(bus_of(access, topic, consumer)):
        await until(lambda: len(consumer.records) == 1)
        before = dict(consumer.cursors)
        produce(b"2")
        produce(b"3")
        await until(lambda: len(consumer.records) == 3)
    restored = Collected()
    restored.cursors |= before
    async with running(bus_of(access, topic, restored)):
        await until(lambda: len(restored.records) == 2)
    assert restored.values == [b"2", b"3"]


@pytest.mark.timing
async def test_a_topic_that_was_made_again_is_read_from_its_first_record(
    stack: DevStack, access: KafkaAccess, topic: str, new_topic: Callable[..., str], produce: Callable[..., None]
) -> None:
    consumer = Collected()
    async with running(bus_of(access, topic, consumer)):
        produce(b"1")
        produce(b"2")
        await until(lambda: len(consumer.records) == 2)
        admin = admin_client(stack.endpoints.kafka)
        admin.delete_topics([topic])[topic].result()
        async with asyncio.timeout(60):
            while topic in admin.list_topics(timeout=60).topics:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.1)
        new_topic(name=topic)
        # A client that knew the topic before goes on writing to that.
        fresh = Producer(stack.endpoints.kafka.librdkafka_options("admin"))
        for value in (b"a", b"b", b"c"):
            fresh.produce(topic, value=value, partition=0)
        fresh.flush()
        # A client goes on at its offset in the new topic for a moment: what that brings comes again.
        await until(lambda: consumer.values[-3:] == [b"a", b"b", b"c"])
    assert consumer.values[:2] == [b"1", b"2"]


@pytest.mark.parametrize("records", [1, 5], ids=["shorter", "longer"])
async def test_a_lost_tail_is_found_and_what_was_written_over_it_is_read_whole(
    access: KafkaAccess, topic: str, produce: Callable[..., None], records: int
) -> None:
    """The cursor stands behind three records that the topic lost; `records` others stand in their place."""
    for number in range(records):
        produce(b"%d" % number)
    consumer = Collected()
    (described,) = (await LogReader(access, [topic], client_id="edges-test").topic_ids()).values()
    consumer.cursors[topic, 0] = Cursor(topic, 0, described, 3, "0" * 64)
    async with running(bus_of(access, topic, consumer)):
        await until(lambda: len(consumer.records) == records)
    assert consumer.values == [b"%d" % number for number in range(records)]
    assert consumer.cursors[topic, 0].following == records


async def test_without_the_tails_digest_what_lies_below_the_cursor_would_never_be_read(
    access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    # Negative control of the lost tail.
    for number in range(5):
        produce(b"%d" % number)
    consumer = Collected()
    (described,) = (await LogReader(access, [topic], client_id="edges-test").topic_ids()).values()
    consumer.cursors[topic, 0] = Cursor(topic, 0, described, 3, None)
    async with running(bus_of(access, topic, consumer)):
        await until(lambda: len(consumer.records) == 2)
    assert consumer.values == [b"3", b"4"]


async def test_a_batch_that_another_process_was_faster_with_is_dropped(
    access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    consumer = Collected()
    consumer.pause.clear()
    produce(b"1")
    async with running(bus_of(access, topic, consumer)):
        await until(lambda: consumer.calls == 1)
        held = consumer.cursors[topic, 0]
        consumer.cursors[topic, 0] = replace(held, following=1)
        consumer.pause.set()
        produce(b"2")
        await until(lambda: bool(consumer.records))
    assert consumer.values == [b"2"]


@pytest.mark.timing
async def test_two_processes_share_the_topics_and_one_takes_over_what_the_other_left(
    stack: DevStack, access: KafkaAccess, topic: str, new_topic: Callable[..., str]
) -> None:
    topics = [topic, *(new_topic(1, name=inbox_topic(topic.split(".")[2], f"other{n}")) for n in range(3))]
    producer = Producer(stack.endpoints.kafka.librdkafka_options("admin"))
    first = Collected()
    second = Collected(first)
    one, two = bus_of(access, topic, first), bus_of(access, topic, second)

    def read_by(bus: Bus) -> set[str]:
        return {where.topic for where in bus.assignment()}

    def write(value: bytes) -> None:
        for where in topics:
            producer.produce(where, value=value, partition=0)
        producer.flush()

    dying = asyncio.create_task(one.run())
    async with running(two):
        await until(lambda: (len(read_by(one)), len(read_by(two))) == (2, 2))
        write(b"both")
        await until(lambda: len(first.records + second.records) == 4)
        dying.cancel()
        await asyncio.wait([dying])
        write(b"alone")
        await until(lambda: len(first.records + second.records) == 8, seconds=10 * LEASE_S)
        assert read_by(two) == set(topics)
    assert sorted(first.values + second.values) == [b"alone"] * 4 + [b"both"] * 4  # type: ignore[type-var]
