"""The writer appends whole batches in order, or says `Unavailable`, against real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from deploy.devstack.stack import DevStack
from shared.envelope.headers import decode_headers
from shared.exchange.message import Record
from shared.exchange.topics import inbox_topic
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.kafka.reader import LogReader
from shared.runtime.kafka.unnumbered import UnnumberedWriter
from shared.runtime.kafka.writer import BATCH_BYTES_MAX, KafkaLogWriter
from shared.runtime.post.ports import Appended, Coordinate, Outgoing
from tests.shared.runtime.builders import KEY, draft, signed
from tests.shared.runtime.conftest import access_as
from tests.support.frozen import freeze, thaw
from tests.support.topics import configured


async def records_of(access: KafkaAccess, topic: str) -> list[Record]:
    """Everything a topic holds, partition after partition."""
    reader = LogReader(access, [topic], client_id="edges-test")
    found: list[Record] = []
    for where, bounds in (await reader.bounds()).items():
        async with aclosing(reader.read_range(where, bounds.first, bounds.end)) as batches:
            async for batch in batches:
                found += batch
    return found


async def append_all(writer: KafkaLogWriter, lane: str, records: Sequence[Outgoing]) -> None:
    """Append all as the relay does: as many as go together, and again while the broker is away."""
    while records:
        try:
            said = await writer.append(lane, records)
        except Unavailable:
            await asyncio.sleep(0.1)
            continue
        records = records[said.count :]


async def refused(writer: KafkaLogWriter, lane: str, records: Sequence[Outgoing]) -> bool:
    try:
        await writer.append(lane, records)
    except Unavailable:
        return True
    return False


def outgoing(*subjects: str, body: bytes = b"x") -> list[Outgoing]:
    return [each.record for each in signed([draft("any", subject=subject, body=body) for subject in subjects])]


@pytest.fixture
def lane(new_topic: Callable[..., str]) -> str:
    """An instance that nobody else writes to; its topic is there."""
    name = f"lane_{uuid7().hex}"
    new_topic(1, name=inbox_topic(name, "industry"))
    return name


async def test_a_record_arrives_with_its_key_headers_and_exact_body(access: KafkaAccess, lane: str) -> None:
    (sent,) = outgoing("0192d3a0-0000-7000-8000-000000000001", body=b'{"clear":{"n":1}}')
    writer = KafkaLogWriter(access, instance="industry")
    said = await writer.append(lane, [sent])
    await writer.close()
    (record,) = await records_of(access, inbox_topic(lane, "industry"))
    assert (record.key, tuple(record.headers), record.value) == (sent.key, sent.headers, sent.value)
    assert said == Appended(1, record.offset, record.broker_time)
    assert decode_headers(record.headers, record.value or b"").attributes.source == "/instances/industry"


async def test_what_has_no_number_arrives_as_it_was_signed(access: KafkaAccess, lane: str) -> None:
    """As audit says its marks: a client that does not take what it is handed would keep every outbox full for ever."""
    writer, topic = UnnumberedWriter(access, instance="industry", key=KEY), inbox_topic(lane, "industry")
    await writer.say([draft(topic, subject=str(uuid7()))] * 2)
    await writer.close()
    arrived = await records_of(access, topic)
    assert [decode_headers(each.headers, each.value or b"").attributes.sequence for each in arrived] == [0, 0]


async def test_records_stay_in_order_across_more_than_one_record_batch(access: KafkaAccess, lane: str) -> None:
    sent = outgoing(*[f"subject-{number % 5}" for number in range(60)], body=b"x" * 9_000)
    writer = KafkaLogWriter(access, instance="industry")
    await append_all(writer, lane, sent)
    await writer.close()
    assert [tuple(each.headers) for each in await records_of(access, inbox_topic(lane, "industry"))] == [
        each.headers for each in sent
    ]


async def test_the_largest_records_that_are_read_are_appended(access: KafkaAccess, lane: str) -> None:
    writer = KafkaLogWriter(access, instance="industry")
    await append_all(writer, lane, outgoing(*["one"] * 5, body=b"x" * 65_536))
    await writer.close()
    assert len(await records_of(access, inbox_topic(lane, "industry"))) == 5


async def test_a_broker_that_is_not_there_is_unavailable_and_not_the_end() -> None:
    writer = KafkaLogWriter(KafkaAccess("127.0.0.1:1"), instance="industry")
    for _ in range(2):
        with pytest.raises(Unavailable) as raised:
            await writer.append("hotline", outgoing("one"))
        assert raised.value.code == "broker_unavailable"


@pytest.mark.timing
async def test_a_start_that_never_ends_is_given_up_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    async def start(self: AIOKafkaProducer) -> None:
        started.append(self)
        await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaProducer, "start", start)
    monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 0.05)
    writer = KafkaLogWriter(KafkaAccess("127.0.0.1:1"), instance="hotline")
    for _ in range(2):
        with pytest.raises(Unavailable, match="broker_unavailable"):
            await asyncio.wait_for(writer.append("industry", outgoing("one")), 60)
    assert len(started) == 2
    await writer.close()


@pytest.mark.timing
@pytest.mark.parametrize("theirs", ["audit", "nobody"])
async def test_a_topic_that_is_missing_or_not_ours_to_write_is_refused_and_the_others_are_written(
    stack: DevStack, access: KafkaAccess, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Industry's login writes what hotline may not: the writer believes itself to be another instance."""
    # A topic that is nobody's is asked for until this has passed: not for longer than it takes to be answered.
    monkeypatch.setattr("shared.runtime.kafka.access.REQUEST_TIMEOUT_MS", 5_000)
    ours = "causeway.inbox.industry.hotline.v1"
    before = len(await records_of(access, ours))
    writer = KafkaLogWriter(access_as(stack, "hotline"), instance="hotline")
    stranger = KafkaLogWriter(access_as(stack, "hotline"), instance="industry")
    for written in (1, 2):
        with pytest.raises(Unavailable, match="broker_refuses"):
            await (stranger if theirs == "audit" else writer).append(theirs, outgoing("one"))
        await writer.append("industry", outgoing("two"))
        assert len(await records_of(access, ours)) == before + written
    await writer.close()
    await stranger.close()


async def test_what_a_topic_is_too_small_for_waits_and_is_there_once_and_in_order_when_it_is_mended(
    stack: DevStack, access: KafkaAccess, lane: str
) -> None:
    writer, topic = KafkaLogWriter(access, instance="industry"), inbox_topic(lane, "industry")
    sent = outgoing("one", "two", "three", body=b"x" * 4_000)
    probe = outgoing("probe", body=b"x" * 4_000)
    async with configured(stack.endpoints.kafka, topic, "max.message.bytes", "1500", before=str(BATCH_BYTES_MAX)):
        async with asyncio.timeout(60):
            while not await refused(writer, lane, probe):
                pass  # the broker acts by it a little later
        for _ in range(2):
            with pytest.raises(Unavailable, match="broker_record_bound"):
                await writer.append(lane, sent)
    async with asyncio.timeout(60):
        await append_all(writer, lane, sent)
    await writer.close()
    held = [tuple(each.headers) for each in await records_of(access, topic)]
    assert [each for each in held if each != probe[0].headers] == [each.headers for each in sent]


async def test_a_wrong_password_is_unavailable(stack: DevStack) -> None:
    wrong = KafkaAccess(stack.endpoints.kafka.bootstrap_servers, "hotline", "wrong")
    with pytest.raises(Unavailable):
        await KafkaLogWriter(wrong, instance="hotline").append("industry", outgoing("one"))


@pytest.mark.timing
async def test_after_an_outage_the_same_writer_goes_on_and_nothing_is_there_twice(
    stack: DevStack, access: KafkaAccess, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = KafkaLogWriter(access, instance="industry")
    sent = outgoing(*[f"subject-{number % 3}" for number in range(200)], body=b"x" * 4_000)
    await append_all(writer, lane, sent[:50])
    monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 1.0)
    await asyncio.to_thread(stack.kafka.kill)
    for _ in range(2):
        with pytest.raises(Unavailable) as raised:
            await writer.append(lane, sent[50:])
        assert raised.value.code == "broker_unavailable"
    monkeypatch.undo()
    await asyncio.to_thread(stack.kafka.start)
    await append_all(writer, lane, sent[50:])
    await writer.close()
    records = await records_of(access, inbox_topic(lane, "industry"))
    seen = [decode_headers(record.headers, b"").attributes.sequence for record in records]
    assert seen == list(range(1, 201))


@pytest.mark.timing
async def test_a_statement_beside_a_batch_that_nobody_has_answered_costs_no_copy(
    stack: DevStack, access: KafkaAccess, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = KafkaLogWriter(access, instance="industry")
    first, second, said = outgoing("one"), outgoing("two"), outgoing("said")
    await append_all(writer, lane, first)
    broker = stack.kafka.pid
    assert broker is not None
    await asyncio.to_thread(freeze, broker)
    try:
        monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 0.5)
        for records, once in ((second, False), (said, True)):
            with pytest.raises(Unavailable):
                await writer.append(lane, records, once=once)
    finally:
        monkeypatch.undo()
        thaw(broker)
    await writer.append(lane, said, once=True)
    await append_all(writer, lane, second)
    await writer.close()
    keys = [record.key for record in await records_of(access, inbox_topic(lane, "industry"))]
    assert keys == [b"one", b"two", b"said"]


@pytest.mark.timing
async def test_a_writer_can_be_closed_while_the_broker_does_not_answer(
    stack: DevStack, access: KafkaAccess, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.kafka.access.REQUEST_TIMEOUT_MS", 5_000)
    writer = KafkaLogWriter(access, instance="industry")
    await writer.append(lane, outgoing("one"))
    broker = stack.kafka.pid
    assert broker is not None
    await asyncio.to_thread(freeze, broker)
    try:
        # Nothing comes from now on, however long one waits: these may be short.
        monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 0.5)
        monkeypatch.setattr("shared.runtime.kafka.writer.CLOSE_TIMEOUT_S", 0.5)
        with pytest.raises(Unavailable):
            await writer.append(lane, outgoing("two"))
        async with asyncio.timeout(60):
            await writer.close()
    finally:
        monkeypatch.undo()
        thaw(broker)
    after = KafkaLogWriter(access, instance="industry")
    await append_all(after, lane, outgoing("three"))
    await after.close()


def test_access_names_the_protocol_that_its_credentials_need(tmp_path: Path) -> None:
    plain = KafkaAccess("kafka.example:9092")
    scram = KafkaAccess("kafka.example:9092", "hotline", "secret")
    assert plain.client_options("c")["security_protocol"] == "PLAINTEXT"
    assert scram.client_options("c")["security_protocol"] == "SASL_PLAINTEXT"
    assert scram.client_options("c")["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "secret" not in repr(scram)


def test_coordinates_are_comparable_with_plain_pairs() -> None:
    assert Coordinate("topic", 1) == ("topic", 1)
