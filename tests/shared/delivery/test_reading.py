"""The reader of an inbox takes each record once and in order, during all faults of topics, broker and features."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from deploy.devstack.stack import DevStack
from shared.catalog import CATALOG
from shared.core.errors import Defect, Unavailable
from shared.core.protocol.authority import inbox_topic
from shared.core.protocol.message import Record
from shared.delivery import reading
from shared.delivery.exception_desk import ExceptionDesk
from shared.delivery.reading import _Partition
from shared.messaging.acks import Ack
from shared.messaging.arrival import StatedAck
from shared.messaging.exceptions import OutcomeKind
from shared.messaging.reception import ArrivedRecord, receive_batch
from shared.messaging.scope import Scope
from shared.messaging.streams import Lane, Pair
from shared.platform.kafka.topic_metadata import Coordinate
from tests.shared.delivery.toy_instances import Toy, until, until_taken, until_taken_in_any_order
from tests.shared.messaging.kafka.test_log import make_topic
from tests.shared.messaging.test_ack_record import AT, FULL, PAIR
from tests.support.topics import configure


@pytest.fixture
def write(stack: DevStack) -> Callable[..., None]:
    """Return a function that writes one record with any headers and value."""
    producer = Producer(stack.endpoints.kafka.librdkafka_options("admin"))

    def to(topic: str, value: bytes | None, *, headers: object = None, partition: int = 1) -> None:
        producer.produce(topic, value=value, headers=headers, partition=partition)  # type: ignore[arg-type]
        producer.flush()

    return to


@pytest.mark.parametrize(("unread", "is_answered"), [(500, True), (501, False)])
def test_a_probe_is_never_answered_before_a_backlog_is_read(unread: int, is_answered: bool) -> None:
    found = SimpleNamespace(verify=lambda raws: [StatedAck(raws[0], FULL)])
    state = Coordinate("inbox", 0), PAIR, Lane.URGENT, UUID(int=7), 5, cast(Any, found), CATALOG, {"inbox": unread}
    (arrived,) = _Partition(*state).verify([Record("inbox", 0, 5, AT, None, (), b"")])
    assert cast(Ack, arrived.content).nonce == (FULL.nonce if is_answered else None)


@pytest.mark.timing
@pytest.mark.parametrize("failure", [Unavailable("database_unavailable"), Defect("consumer_defect"), ValueError()])
async def test_a_batch_that_cannot_be_taken_is_tried_again_and_nothing_overtakes_it(
    toys: tuple[Toy, Toy], failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.delivery.reading.RETRY_S", 0.1)
    a, b = toys
    b.failures = [failure, failure, failure]
    async with a.running(), b.running():
        sent = await a.send(3) + await a.send(3)
        await until_taken(b, sent)


async def test_a_batch_that_fails_is_done_again_with_care(
    toys: tuple[Toy, Toy], monkeypatch: pytest.MonkeyPatch
) -> None:
    care: list[bool] = []

    async def note_care(scope: Scope, pair: Pair, lane: Lane, **given: Any) -> int:
        care.append(scope.is_careful)
        return await receive_batch(scope, pair, lane, **given)

    monkeypatch.setattr(reading, "receive_batch", note_care)
    a, b = toys
    b.failures = [ValueError()]
    async with a.running(), b.running():
        await until_taken(b, await a.send())
    assert not care[0]
    assert care.count(True) == 1


@pytest.mark.timing
async def test_nothing_but_lines_of_ours_is_written_when_a_batch_fails(
    toys: tuple[Toy, Toy], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shared.delivery.reading.RETRY_S", 0.1)
    a, b = toys
    b.failures = [ValueError("hunter2")]
    verify, failures = _Partition.verify, [ValueError("hunter2")]

    def fail_once(partition: _Partition, records: Iterable[Record]) -> list[ArrivedRecord]:
        if failures:
            raise failures.pop()
        return verify(partition, records)

    monkeypatch.setattr(_Partition, "verify", fail_once)
    written: list[str] = []

    async def are_both_reported() -> bool:
        """Return whether the failure is reported by us, and by FastStream, which uses our logs."""
        written.extend(capfd.readouterr())
        lines = [json.loads(line) for line in "".join(written).splitlines() if line.startswith("{")]
        reported = {(line.get("event"), line.get("library"), line.get("error")) for line in lines}
        spoken = ("library_spoke", "shared.platform.kafka.inbox_door", "ValueError")
        return spoken in reported and any(event == "batch_failed" for event, *_ in reported)

    async with a.running(), b.running():
        await until_taken(b, await a.send())
        await until(are_both_reported)
    assert "hunter2" not in "".join((*written, *capfd.readouterr()))


@pytest.mark.timing
async def test_a_defect_stops_its_partition_alone(toys: tuple[Toy, Toy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.delivery.reading.ROOM_S", 0.2)
    is_defect: list[bool] = []

    async def fail(scope: Scope, pair: Pair, lane: Lane, **given: Any) -> int:
        if lane is Lane.URGENT and is_defect:
            raise Defect("consumer_defect")
        return await receive_batch(scope, pair, lane, **given)

    monkeypatch.setattr(reading, "receive_batch", fail)
    a, b = toys
    async with a.running(), b.running() as reader:
        ordinary = await a.send()
        await until_taken(b, ordinary)
        is_defect.append(True)
        urgent = await a.send(is_p0=True)
        await until(lambda: _is(reader.check().reason == "consumer_defect"))
        ordinary += await a.send(3)
        await until_taken(b, ordinary)
        assert reader.check().ok
        is_defect.clear()
        await until_taken(b, [*ordinary, *urgent])
        await until(lambda: _is(reader.check().reason == ""))


async def test_records_that_cannot_be_read_have_no_effect_and_are_reported(
    toys: tuple[Toy, Toy], write: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    a, b = toys
    topic = inbox_topic(b.name, a.name)
    async with a.running(), b.running():
        sent = await a.send(2)
        await until_taken(b, sent)
        write(topic, b"hunter2", headers=[("causeway", b"proof")])
        write(topic, b"hunter2", headers=[("causeway", b"ack")], partition=0)
        write(topic, None)
        write(topic, b"hunter2", headers=[("place", b"x" * 24), ("salt", b"\xff"), ("ce_id", b"1"), ("ce_id", b"2")])
        sent += await a.send(2)
        await until_taken(b, sent)
    out, err = capfd.readouterr()
    codes = {json.loads(line).get("code") for line in (out + err).splitlines() if "record_alarm" in line}
    assert {"proof_malformed", "ack_malformed", "record_empty"} <= codes
    assert "hunter2" not in out + err


async def test_a_segment_is_read_on_after_a_restart_in_its_middle(toys: tuple[Toy, Toy]) -> None:
    """The position is after the proof record. The reader goes back to it without a probe."""
    a, b = toys
    b.exceptions_max = 2
    b.refused = dict.fromkeys(range(1, 3), OutcomeKind.WAITING)

    async def is_stopped() -> bool:
        return bool(await b.database.fetch("SELECT FROM receive_state WHERE ordinary_is_stopped"))

    sent: list[UUID] = []

    async def has_all() -> bool:
        return set(await b.taken()) == set(sent)

    async with a.running():
        async with b.running() as reader:
            sent += await a.send(6)
            await until(is_stopped)
            assert reader.check().reason == "exceptions_full"
        b.exceptions_max, b.refused = 10, {}
        async with b.running():
            # A probe would come a minute later.
            await until(has_all, 15)


@pytest.mark.timing
async def test_a_full_stream_goes_on_once_there_is_room(toys: tuple[Toy, Toy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.delivery.reading.ROOM_S", 0.2)
    a, b = toys
    b.exceptions_max = 2
    b.refused = {1: OutcomeKind.DEAD, 2: OutcomeKind.DEAD}
    async with a.running(), b.running() as reader:
        sent = await a.send(5)
        await until(lambda: _is(reader.check().reason == "exceptions_full"))
        assert await b.taken() == []
        desk = ExceptionDesk(b.scopes)
        (first, second) = await desk.list(outcome="dead")
        await desk.discard([first])
        b.refused = {}
        await desk.retry([second])
        # The room admits the other records: before the retry or after it.
        await until_taken_in_any_order(b, [each for each in sent if each != first.taken.named.message_id])
        await until(lambda: _is(reader.check().reason == ""))


@pytest.mark.timing
async def test_a_reader_waits_for_a_broker_that_is_not_there_yet(stack: DevStack, toys: tuple[Toy, Toy]) -> None:
    a, b = toys
    async with a.running(), b.running():
        sent = await a.send()
        await until_taken(b, sent)
    await asyncio.to_thread(stack.kafka.kill)
    async with b.running() as reader, a.running():
        await until(lambda: _is(reader.check().reason == "broker_unavailable"))
        assert reader.check().ok
        sent += await a.send()
        await asyncio.to_thread(stack.kafka.start)
        await until_taken(b, sent)
        assert (reader.check().ok, reader.check().reason) == (True, "")
        topic = inbox_topic(b.name, a.name)
        assert reader.assignment() == {Coordinate(topic, 0), Coordinate(topic, 1)}
        assert await reader.door.lag() == 0


@pytest.mark.timing
async def test_a_topic_that_is_made_while_the_reader_runs_is_read_without_a_restart(
    toys: tuple[Toy, Toy], admin: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.delivery.reading.LOOK_S", 0.2)
    _, b = toys
    async with b.running() as reader:
        await until(lambda: _is(len(reader.assignment()) == 2))
        await asyncio.to_thread(make_topic, admin, Pair("newcomer", b.name))
        # An instance whose id begins like ours.
        await asyncio.to_thread(make_topic, admin, Pair("newcomer", f"{b.name}_two"))
        new = inbox_topic(b.name, "newcomer")
        await until(lambda: _is({Coordinate(new, 0), Coordinate(new, 1)} < reader.assignment()))
        assert len(reader.assignment()) == 4


@pytest.mark.timing
async def test_records_that_their_sender_dated_are_taken_once_the_topic_is_mended(
    stack: DevStack, toys: tuple[Toy, Toy]
) -> None:
    a, b = toys
    topic = inbox_topic(b.name, a.name)
    async with a.running(), b.running() as reader:
        sent = await a.send()
        await until_taken(b, sent)
        await configure(stack.endpoints.kafka, topic, "message.timestamp.type", "CreateTime")
        # The broker applies it a little later.
        async with asyncio.timeout(60):
            while not reader.check().reason:
                sent += await a.send()
                await asyncio.sleep(0.3)
        assert (reader.check().ok, reader.check().reason) == (True, "dated_by_sender")
        await configure(stack.endpoints.kafka, topic, "message.timestamp.type", "LogAppendTime")
        await asyncio.sleep(1)
        sent += await a.send()
        await until_taken(b, sent)


@pytest.mark.timing
async def test_a_batch_that_hangs_is_named(toys: tuple[Toy, Toy], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.delivery.reading.BATCH_PATIENCE_S", 0.05)
    a, b = toys
    b.pause.clear()
    async with a.running(), b.running() as reader:
        sent = await a.send()
        await until(lambda: _is(reader.check().reason == "batch_hangs"))
        assert not reader.check().ok
        b.pause.set()
        await until_taken(b, sent)
        await until(lambda: _is(reader.check().ok))


async def _is(value: bool) -> bool:
    return value
