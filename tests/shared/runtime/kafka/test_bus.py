"""Records come in as they are, once and in order, whatever they hold, against real Kafka."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Producer
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from deploy.devstack.stack import DevStack
from shared.exchange.topics import inbox_topic
from shared.kernel.errors import Defect, Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.kafka.bus import wait_for_records
from shared.runtime.kafka.reader import LogReader
from shared.runtime.post.ports import Coordinate
from tests.support.buses import Collected, bus_of, running, until
from tests.support.topics import configure


@pytest.fixture
def topic(inbox: str) -> str:
    return inbox


HOSTILE: list[tuple[bytes | None, Any]] = [
    (b"not json at all \xff\xfe", [("ce_id", b"\xff\xfe\xfd")]),
    (None, [("ce_id", None)]),
    (b"", []),
    (b"{}", [("ce_type", b"\x00"), ("ce_type", b"twice"), ("é", b"x")]),
    (b"{}", [("content-type", b"\xff"), ("correlation_id", b"\xff")]),
]


async def test_a_hostile_record_never_takes_down_the_ones_beside_it(
    access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    produce(b"good 1")
    for value, headers in HOSTILE:
        produce(value, headers=headers)
    produce(b"good 2")
    consumer = Collected()
    async with running(bus_of(access, topic, consumer)):
        await until(lambda: len(consumer.records) == 7)
    assert [record.value for record in consumer.records] == [b"good 1", *(value for value, _ in HOSTILE), b"good 2"]
    assert [list(record.headers) for record in consumer.records[1:-1]] == [headers for _, headers in HOSTILE]
    assert [record.offset for record in consumer.records] == list(range(7))


@pytest.mark.timing
async def test_a_reply_to_header_makes_nothing_be_published(
    access: KafkaAccess, topic: str, new_topic: Callable[..., str], produce: Callable[..., None]
) -> None:
    elsewhere = new_topic(1)
    produce(b"{}", headers=[("reply_to", elsewhere.encode()), ("correlation_id", b"1")])
    consumer = Collected()
    async with running(bus_of(access, topic, consumer)):
        await until(lambda: bool(consumer.records))
        await asyncio.sleep(0.5)
    bounds = await LogReader(access, [elsewhere], client_id="edges-test").bounds()
    assert bounds[Coordinate(elsewhere, 0)].end == 0


async def test_faststreams_own_parser_would_lose_the_whole_batch(
    access: KafkaAccess, topic: str, produce: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Negative control of the hostile records: the same subscriber, parsing as FastStream does by itself.
    async def parse(raw: Any, original: Any) -> Any:
        return await original(raw)

    monkeypatch.setattr("shared.runtime.kafka.bus._parse", parse)
    produce(b"good 1")
    produce(b"{}", headers=[("ce_id", b"\xff")])
    consumer = Collected()
    async with running(bus_of(access, topic, consumer)), asyncio.timeout(60):
        # Whatever is read together with the first two is lost with them, so one after another comes.
        while not consumer.records:
            produce(b"good 2")
            await asyncio.sleep(0.1)
    assert set(consumer.values) == {b"good 2"}


async def test_with_faststreams_defaults_a_reply_to_header_publishes(
    access: KafkaAccess, topic: str, new_topic: Callable[..., str], produce: Callable[..., None]
) -> None:
    # Negative control of the reply: what a subscriber does that leaves the options alone.
    elsewhere = new_topic(1)
    broker = KafkaBroker(access.bootstrap_servers, security=access.security(), logger=None)

    @broker.subscriber(topic, batch=True, auto_offset_reset="earliest", group_id=f"edges_{uuid7().hex}")
    async def reply(_: list[Any]) -> str:
        return "published"

    produce(b"{}", headers=[("reply_to", elsewhere.encode()), ("correlation_id", b"1")])
    reader = LogReader(access, [elsewhere], client_id="edges-test")
    await broker.start()
    async with asyncio.timeout(60):
        while (await reader.bounds())[Coordinate(elsewhere, 0)].end == 0:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.1)
    await broker.stop()


@pytest.mark.timing
@pytest.mark.parametrize("failure", [Unavailable("database_unavailable"), Defect("consumer_defect"), ValueError()])
async def test_a_batch_that_fails_is_handed_over_again_and_nothing_after_it_overtakes(
    access: KafkaAccess, topic: str, produce: Callable[..., None], failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.kafka.bus.RETRY_S", 0.1)
    for number in range(6):
        produce(b"%d" % number, partition=number % 2)
    consumer = Collected()
    consumer.failures = [failure, failure, failure]
    async with running(bus_of(access, topic, consumer)):
        await until(lambda: len(consumer.records) >= 6)
    by_partition = [[r.value for r in consumer.records if r.partition == number] for number in (0, 1)]
    assert by_partition == [[b"0", b"2", b"4"], [b"1", b"3", b"5"]]


@pytest.mark.timing
async def test_nothing_but_lines_of_ours_is_written_when_a_batch_fails(
    access: KafkaAccess,
    topic: str,
    produce: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("shared.runtime.kafka.bus.RETRY_S", 0.1)
    produce(b"hunter2")
    consumer = Collected()
    consumer.failures = [ValueError("hunter2")]
    async with running(bus_of(access, topic, consumer)):
        await until(lambda: bool(consumer.records))
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in (out + err).splitlines()]
    assert "batch_failed" in {line["event"] for line in lines}
    # FastStream reports the exception too: through our logs, so without its text.
    assert ("shared.runtime.kafka.bus", "ValueError") in {(line.get("library"), line.get("error")) for line in lines}
    assert "hunter2" not in out + err


@pytest.mark.timing
async def test_a_batch_in_hand_at_the_end_is_finished_and_committed(
    access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    first = Collected()
    second = Collected(first)
    first.pause.clear()
    produce(b"1")
    async with running(bus_of(access, topic, first)):
        await until(lambda: first.calls == 1)
        asyncio.get_running_loop().call_later(0.3, first.pause.set)
    assert [record.value for record in first.records] == [b"1"]
    produce(b"2")
    async with running(bus_of(access, topic, second)):
        await until(lambda: bool(second.records))
    assert [record.value for record in second.records] == [b"2"]


@pytest.mark.timing
async def test_a_bus_waits_for_a_broker_that_is_not_there_yet(
    stack: DevStack, access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    produce(b"1")
    await asyncio.to_thread(stack.kafka.kill)
    consumer = Collected()
    bus = bus_of(access, topic, consumer)
    async with running(bus):
        assert (bus.check().ok, bus.check().reason) == (False, "no_partitions")
        await until(lambda: bus.check().ok)
        assert bus.check().reason == "broker_unavailable"
        await asyncio.to_thread(stack.kafka.start)
        await until(lambda: bool(consumer.records))
        assert (bus.check().ok, bus.check().reason) == (True, "")
        assert bus.assignment() == {Coordinate(topic, 0), Coordinate(topic, 1)}


async def test_lag_counts_what_was_not_read_yet(access: KafkaAccess, topic: str, produce: Callable[..., None]) -> None:
    consumer = Collected()
    bus = bus_of(access, topic, consumer)
    assert await bus.lag() == 0
    async with running(bus):
        produce(b"1")
        await until(lambda: len(consumer.records) == 1)
        assert await bus.lag() == 0


@pytest.mark.timing
async def test_a_topic_that_is_made_while_the_bus_runs_is_read_without_a_restart(
    stack: DevStack,
    access: KafkaAccess,
    topic: str,
    new_topic: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shared.runtime.kafka.bus.LOOK_S", 0.2)
    producer = Producer(stack.endpoints.kafka.librdkafka_options("admin"))
    me = topic.split(".")[2]
    consumer = Collected()
    bus = bus_of(access, topic, consumer)
    async with running(bus):
        await until(lambda: len(bus.assignment()) == 2)
        new = new_topic(1, name=inbox_topic(me, "newcomer"))
        # Of an instance whose id begins like ours.
        foreign = new_topic(1, name=inbox_topic(f"{me}_two", "newcomer"))
        for where in (foreign, new, topic):
            producer.produce(where, value=where.encode(), partition=0)
        producer.flush()
        await until(lambda: len(consumer.records) == 2)
        assert bus.assignment() == {Coordinate(topic, 0), Coordinate(topic, 1), Coordinate(new, 0)}
        assert await bus.lag() == 0
    assert sorted(record.topic for record in consumer.records) == sorted([new, topic])


async def test_a_bus_says_that_a_record_was_dated_by_its_sender(
    stack: DevStack, access: KafkaAccess, topic: str, produce: Callable[..., None]
) -> None:
    consumer = Collected()
    bus = bus_of(access, topic, consumer)
    async with running(bus):
        produce(b"dated by the broker")
        await until(lambda: len(consumer.records) == 1)
        assert bus.check().reason == ""
        await configure(stack.endpoints.kafka, topic, "message.timestamp.type", "CreateTime")
        # The broker acts by it a little later.
        async with asyncio.timeout(60):
            while not bus.check().reason:
                produce(b"dated by its sender")
                await asyncio.sleep(0.1)
        assert (bus.check().ok, bus.check().reason) == (True, "dated_by_sender")


@pytest.mark.timing
async def test_a_bus_says_that_a_batch_hangs(
    access: KafkaAccess, topic: str, produce: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.kafka.bus.BATCH_PATIENCE_S", 0.05)
    produce(b"1")
    consumer = Collected()
    consumer.pause.clear()
    bus = bus_of(access, topic, consumer)
    async with running(bus):
        await until(lambda: consumer.calls == 1)
        await asyncio.sleep(0.1)
        assert bus.check().reason == "batch_hangs"
        consumer.pause.set()
        await until(lambda: bool(consumer.records))


async def test_the_subscriber_states_every_option_that_delivery_rests_on(access: KafkaAccess) -> None:
    topic = inbox_topic("hotline", "any")
    broker, subscriber = bus_of(access, topic, Collected()).declare([Coordinate(topic, 0)])
    options = subscriber._connection_args
    assert broker.config.consumer_only
    assert not broker.config.allow_auto_create_topics
    assert (subscriber.ack_policy, subscriber._no_reply) == (AckPolicy.MANUAL, True)
    assert (subscriber.group_id, subscriber.topics, subscriber.pattern) == (None, [], None)
    assert [(each.topic, each.partition) for each in subscriber.partitions] == [(topic, 0)]
    assert (options["auto_offset_reset"], options["isolation_level"]) == ("earliest", "read_uncommitted")
    assert options["enable_auto_commit"] is False


class Quiet:
    """A Kafka client as FastStream asks it, to whom something comes after 0.3 s of waiting: none of them real."""

    def __init__(self) -> None:
        self.asked = 0
        self.quiet_ms = 300

    async def getmany(self, *, timeout_ms: int, max_records: int | None) -> dict[str, list[str]]:
        self.asked += 1
        await asyncio.sleep(0)
        waited_ms = min(timeout_ms, self.quiet_ms)
        self.quiet_ms -= waited_ms
        return {} if self.quiet_ms or not waited_ms else {"partition": ["record"]}


async def fetched(access: KafkaAccess, client: Any) -> Any:
    """What the bus is handed when something comes after a while of nothing."""
    topic = inbox_topic("hotline", "any")
    _, subscriber = bus_of(access, topic, Collected()).declare([Coordinate(topic, 0)])
    while not (records := await subscriber.get_msg(client)):
        pass
    return records


async def test_a_quiet_bus_is_woken_by_what_comes_and_hardly_asks(access: KafkaAccess) -> None:
    asking, waiting = Quiet(), Quiet()
    wait_for_records(waiting)
    assert await fetched(access, waiting) == await fetched(access, asking) == ("record",)
    assert waiting.asked == 2
    # Negative control: FastStream by itself.
    assert asking.asked > 3
