"""What the writer makes of each error of a topic: it is waited for, and only what no topic may take is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    kafka_errors,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.kernel.errors import Refused, Unavailable
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.kafka.writer import BATCH_BYTES_MAX, KafkaLogWriter
from shared.runtime.post.ports import Appended, Outgoing
from tests.shared.runtime.post.senders import LANE as SENT_TO
from tests.shared.runtime.post.senders import Sender
from tests.support.builders import draft

Takes = Callable[[int], BaseException | None]

LANE = "industry"
ONE, TWO, THREE = (Outgoing(bytes([number]), (), bytes(100)) for number in range(3))
SAID = Outgoing(b"m", (), bytes(50))
TOO_LARGE = Outgoing(b"k", (), bytes(BATCH_BYTES_MAX))
#: What an operator must mend, by what is said of it.
MENDED = {
    "broker_record_bound": (MessageSizeTooLargeError, RecordListTooLargeError),
    "broker_refuses": (
        *(InvalidTimestampError, PolicyViolationError, UnknownTopicOrPartitionError),
        *(ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError),
    ),
}
CODES = {error: code for code, errors in MENDED.items() for error in errors}
#: Every error that a broker can answer with, but that nothing is wrong.
ERRORS = [error for number, error in sorted(kafka_errors.items()) if number]


class Topic:
    """How many records each batch had that it took; `takes` says what is wrong with so many together."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.takes: Takes = lambda _: None
        self.producers = 0
        #: Without one no batch is answered until there is one again.
        self.has_leader = asyncio.Event()
        self.has_leader.set()


class Producer:
    """A producer of one topic. It is of no use after an error, as an idempotent one is."""

    def __init__(self, topic: Topic, **options: Any) -> None:
        self._topic, self._size, self._spoilt = topic, options["max_batch_size"], False
        topic.producers += 1

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def partitions_for(self, topic: str) -> set[int]:
        return {0}

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self._size, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
        assert not self._spoilt
        return asyncio.ensure_future(self._answer(batch.record_count()))

    async def _answer(self, count: int) -> Any:
        await self._topic.has_leader.wait()
        wrong = self._topic.takes(count)
        self._spoilt = wrong is not None
        if wrong is not None:
            raise wrong
        self._topic.held.append(count)
        return SimpleNamespace(offset=sum(self._topic.held) - count, timestamp=1_000)


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Topic]:
    made = Topic()
    monkeypatch.setattr("shared.runtime.kafka.writer.AIOKafkaProducer", lambda **options: Producer(made, **options))
    return made


@pytest.fixture
def writer() -> KafkaLogWriter:
    return KafkaLogWriter(KafkaAccess("127.0.0.1:1"), instance="hotline")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
async def test_whatever_is_wrong_with_a_topic_its_lane_waits_and_goes_on_once_it_is_mended(
    topic: Topic, writer: KafkaLogWriter, error: type[BrokerResponseError]
) -> None:
    topic.takes = lambda _: error()
    for _ in range(2):
        with pytest.raises(Unavailable) as raised:
            await writer.append(LANE, [ONE, TWO, THREE])
        assert raised.value.code == CODES.get(error, "broker_unavailable")
    topic.takes = lambda _: None
    assert (await writer.append(LANE, [ONE, TWO, THREE])).count == 3
    assert topic.held == [3]


@pytest.mark.parametrize("error", MENDED["broker_record_bound"])
async def test_what_is_too_much_together_is_appended_in_parts(
    topic: Topic, writer: KafkaLogWriter, error: type[BrokerResponseError]
) -> None:
    topic.takes = lambda count: error() if count > 1 else None
    for each in (ONE, TWO, THREE):
        assert (await writer.append(LANE, [each, each])).count == 1
    assert topic.held == [1, 1, 1]


@pytest.mark.timing
async def test_a_topic_without_a_leader_gets_once_what_was_tried_again_and_again(
    topic: Topic, writer: KafkaLogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 0.02)
    topic.has_leader.clear()
    for _ in range(3):
        with pytest.raises(Unavailable, match="broker_unavailable"):
            await writer.append(LANE, [ONE, TWO, THREE])
    answer_at_last(topic, monkeypatch)
    assert (await writer.append(LANE, [ONE, TWO, THREE])).count == 3
    assert topic.held == [3]


async def test_only_what_no_topic_may_take_is_refused_and_costs_no_producer(
    topic: Topic, writer: KafkaLogWriter
) -> None:
    assert (await writer.append(LANE, [ONE, TOO_LARGE, TWO])).count == 1
    with pytest.raises(Refused, match="record_too_large"):
        await writer.append(LANE, [TOO_LARGE, TWO])
    assert (await writer.append(LANE, [TWO])).count == 1
    assert (topic.held, topic.producers) == ([1, 1], 1)


async def wait_without_a_leader(topic: Topic, writer: KafkaLogWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are handed over, and nobody answers in time."""
    monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 0.05)
    topic.has_leader.clear()
    with pytest.raises(Unavailable):
        await writer.append(LANE, [ONE, TWO, THREE])


def answer_at_last(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a leader again, and nobody is in a hurry."""
    monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 60.0)
    topic.has_leader.set()


@pytest.mark.timing
async def test_rows_behind_which_something_was_said_have_no_place_that_is_compared(
    topic: Topic, writer: KafkaLogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their place is below the one that is noted: it would look as if the topic had lost its end."""
    await wait_without_a_leader(topic, writer, monkeypatch)
    answer_at_last(topic, monkeypatch)
    said = await writer.append(LANE, [SAID], once=True)
    assert said.offset == 3
    assert await writer.append(LANE, [ONE, TWO, THREE]) == Appended(3, None, None)
    assert (await writer.append(LANE, [ONE])).offset == 4
    assert topic.held == [3, 1, 1]


@pytest.mark.timing
async def test_rows_are_not_appended_again_where_what_was_said_behind_them_is_late_too(
    topic: Topic, writer: KafkaLogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wait_without_a_leader(topic, writer, monkeypatch)
    topic.has_leader.set()
    await asyncio.sleep(0.01)  # they are answered
    topic.has_leader.clear()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await writer.append(LANE, [SAID], once=True)
    answer_at_last(topic, monkeypatch)
    assert (await writer.append(LANE, [ONE, TWO, THREE])).count == 3
    await asyncio.sleep(0.01)
    assert topic.held == [3, 1]


@pytest.mark.timing
async def test_rows_that_changed_meanwhile_go_behind_what_was_sent(
    topic: Topic, writer: KafkaLogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wait_without_a_leader(topic, writer, monkeypatch)
    answer_at_last(topic, monkeypatch)
    assert (await writer.append(LANE, [TWO, THREE])).offset == 3
    assert (await writer.append(LANE, [ONE, TWO, THREE])).offset == 5
    assert topic.held == [3, 2, 3]


@pytest.mark.timing
async def test_rows_that_the_topic_has_lost_before_they_are_brought_again_are_appended_again(
    topic: Topic, writer: KafkaLogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await writer.append(LANE, [SAID], once=True)).offset == 0
    await wait_without_a_leader(topic, writer, monkeypatch)
    answer_at_last(topic, monkeypatch)
    assert (await writer.append(LANE, [SAID], once=True)).offset == 4
    topic.held[:] = [1]  # its end is gone
    assert (await writer.append(LANE, [SAID], once=True)).offset == 1
    assert await writer.append(LANE, [ONE, TWO, THREE]) == Appended(3, 2, datetime.fromtimestamp(1, UTC))
    assert topic.held == [1, 1, 3]


@pytest.mark.timing
async def test_a_lane_is_not_sent_again_because_something_was_said_in_an_outage(
    topic: Topic, writer: KafkaLogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole relay: rows wait for their answer, marks are said behind them, then the rows are brought again."""
    monkeypatch.setattr("shared.runtime.post.gate.Gate.measure", lambda *_: None)  # this topic's time is another
    sender = Sender()
    monkeypatch.setattr(sender, "writer", writer)
    sender.start_again()
    await sender.enqueue(draft(), draft())
    assert await sender.relay.publish_once(SENT_TO)
    await sender.enqueue(draft(), draft())
    monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 0.05)
    topic.has_leader.clear()
    with pytest.raises(Unavailable):
        await sender.relay.publish_once(SENT_TO)
    answer_at_last(topic, monkeypatch)
    await sender.relay.say(draft())
    while SENT_TO in await sender.store.lanes():
        await sender.relay.publish_once(SENT_TO)
    assert topic.held == [2, 2, 1]
