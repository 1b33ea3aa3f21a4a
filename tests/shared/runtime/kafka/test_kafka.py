"""The writer appends whole batches in order, or says `Unavailable`, against real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from deploy.devstack.stack import DevStack
from shared.envelope.headers import decode_headers
from shared.exchange.message import Record
from shared.kernel.errors import Unavailable
from shared.kernel.ids import uuid7
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.kafka.reader import LogReader
from shared.runtime.kafka.writer import KafkaLogWriter
from shared.runtime.post.ports import Coordinate, OutboxRow
from tests.shared.runtime.builders import draft, stamped
from tests.shared.runtime.conftest import access_as
from tests.support.frozen import freeze, thaw


async def records_of(access: KafkaAccess, topic: str) -> list[Record]:
    """Everything a topic holds, partition after partition."""
    reader = LogReader(access, [topic], client_id="edges-test")
    found: list[Record] = []
    for where, bounds in (await reader.bounds()).items():
        async with aclosing(reader.read_range(where, bounds.first, bounds.end)) as batches:
            async for batch in batches:
                found += batch
    return found


async def append_as_the_relay_does(writer: KafkaLogWriter, rows: Sequence[OutboxRow]) -> None:
    """Append all rows again until it is done."""
    while True:
        try:
            await writer.append(rows)
            return
        except Unavailable:
            await asyncio.sleep(0.1)


async def test_a_row_arrives_with_its_key_headers_and_exact_body(access: KafkaAccess, topic: str) -> None:
    rows = stamped([draft(topic, subject="0192d3a0-0000-7000-8000-000000000001", body=b'{"clear":{"n":1}}')])
    writer = KafkaLogWriter(access, instance="industry")
    await writer.append(rows)
    await writer.close()
    (record,) = await records_of(access, topic)
    envelope = decode_headers(record.headers, record.value or b"")
    assert record.key == b"0192d3a0-0000-7000-8000-000000000001"
    assert record.value == b'{"clear":{"n":1}}'
    assert envelope.attributes.id == rows[0].draft.message_id
    assert envelope.attributes.source == "/instances/industry"


async def test_rows_of_a_key_stay_in_order_across_more_than_one_record_batch(access: KafkaAccess, topic: str) -> None:
    subjects = [f"subject-{number % 5}" for number in range(60)]
    rows = stamped([draft(topic, subject=each, body=b"x" * 9_000) for each in subjects])
    writer = KafkaLogWriter(access, instance="industry")
    await writer.append(rows)
    await writer.close()
    records = await records_of(access, topic)
    assert len(records) == 60
    for subject in set(subjects):
        sent = [row.draft.message_id for row in rows if row.draft.subject == subject]
        ids = [decode_headers(r.headers, b"").attributes.id for r in records if r.key == subject.encode()]
        assert ids == sent


async def test_the_largest_rows_an_outbox_can_hold_are_appended(access: KafkaAccess, topic: str) -> None:
    rows = stamped([draft(topic, subject="one", body=b"x" * 65_536) for _ in range(5)])
    writer = KafkaLogWriter(access, instance="industry")
    await writer.append(rows)
    await writer.close()
    assert len(await records_of(access, topic)) == 5


async def test_a_broker_that_is_not_there_is_unavailable_and_not_the_end() -> None:
    writer = KafkaLogWriter(KafkaAccess("127.0.0.1:1"), instance="industry")
    for _ in range(2):
        with pytest.raises(Unavailable) as raised:
            await writer.append(stamped([draft("any", subject="one")]))
        assert raised.value.code == "broker_unavailable"


@pytest.mark.timing
@pytest.mark.parametrize("there", [True, False])
async def test_a_topic_that_is_missing_or_not_ours_to_write_is_named_and_the_others_are_written(
    stack: DevStack, access: KafkaAccess, topic: str, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.kafka.access.REQUEST_TIMEOUT_MS", 1_000)
    ours, theirs = "causeway.inbox.industry.hotline.v1", topic if there else f"edges.{uuid7()}"
    before = len(await records_of(access, ours))
    writer = KafkaLogWriter(access_as(stack, "hotline"), instance="hotline")
    for written in (1, 2):
        rows = stamped([draft(theirs, subject="one"), draft(ours, subject="two")])
        assert await writer.append(rows) == {theirs}
        assert len(await records_of(access, ours)) == before + written
    await writer.close()


async def test_a_wrong_password_is_unavailable(stack: DevStack) -> None:
    wrong = KafkaAccess(stack.endpoints.kafka.bootstrap_servers, "hotline", "wrong")
    with pytest.raises(Unavailable):
        await KafkaLogWriter(wrong, instance="hotline").append(stamped([draft("any", subject="one")]))


@pytest.mark.timing
async def test_after_an_outage_the_same_writer_appends_again_and_first_occurrences_are_in_order(
    stack: DevStack, access: KafkaAccess, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = KafkaLogWriter(access, instance="industry")
    rows = stamped([draft(topic, subject=f"subject-{number % 3}", body=b"x" * 4_000) for number in range(200)])
    await writer.append(rows[:50])
    monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 1.0)
    await asyncio.to_thread(stack.kafka.kill)
    for _ in range(2):
        with pytest.raises(Unavailable) as raised:
            await writer.append(rows[50:])
        assert raised.value.code == "broker_unavailable"
    monkeypatch.undo()
    await asyncio.to_thread(stack.kafka.start)
    await append_as_the_relay_does(writer, rows[50:])
    await writer.close()
    seen = [decode_headers(record.headers, b"").attributes for record in await records_of(access, topic)]
    for subject in {row.draft.subject for row in rows}:
        first_seen = list(dict.fromkeys(each.sequence for each in seen if each.subject == subject))
        assert first_seen == sorted(first_seen)
    assert len({each.sequence for each in seen}) == 200


@pytest.mark.timing
async def test_a_writer_can_be_closed_while_the_broker_does_not_answer(
    stack: DevStack, access: KafkaAccess, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.runtime.kafka.access.REQUEST_TIMEOUT_MS", 2_000)
    writer = KafkaLogWriter(access, instance="industry")
    rows = stamped([draft(topic, subject="one")])
    await writer.append(rows)
    broker = stack.kafka.pid
    assert broker is not None
    await asyncio.to_thread(freeze, broker)
    try:
        # Nothing comes from now on, however long one waits: these may be short.
        monkeypatch.setattr("shared.runtime.kafka.writer.BATCH_TIMEOUT_S", 0.5)
        monkeypatch.setattr("shared.runtime.kafka.writer.CLOSE_TIMEOUT_S", 0.5)
        with pytest.raises(Unavailable):
            await writer.append(rows)
        async with asyncio.timeout(60):
            await writer.close()
    finally:
        monkeypatch.undo()
        thaw(broker)
    after = KafkaLogWriter(access, instance="industry")
    await append_as_the_relay_does(after, rows)
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
