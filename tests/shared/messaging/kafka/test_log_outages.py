"""The log during outages of real Kafka: it raises `Unavailable`, recovers afterwards, and never blocks a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import AdminClient

from deploy.devstack.stack import DevStack
from shared.core.errors import Unavailable
from shared.core.ids import uuid7
from shared.messaging.kafka.log import KafkaLog
from shared.messaging.segments import RecordBytes
from shared.messaging.streams import Lane, Pair
from shared.platform.kafka.access import KafkaAccess
from tests.shared.conftest import access_as
from tests.shared.messaging.builders import KEY
from tests.shared.messaging.kafka.test_log import access, admin, make_topic, pair, read
from tests.support.frozen import freeze, thaw

__all__ = ["access", "admin", "pair"]


@pytest.fixture
async def log(access: KafkaAccess, pair: Pair) -> AsyncIterator[KafkaLog]:
    opened = KafkaLog(access, instance=pair.writer, key=KEY)
    yield opened
    await opened.close()


def records(*values: bytes) -> list[RecordBytes]:
    return [RecordBytes(b"", (), value) for value in values]


async def append_all(log: KafkaLog, pair: Pair, sent: Sequence[RecordBytes]) -> None:
    """Append as the relay does: retry while the broker does not answer."""
    while True:
        try:
            await log.append_bytes(pair, Lane.ORDINARY, sent)
            return
        except Unavailable:
            await asyncio.sleep(0.1)


async def test_a_broker_that_is_not_there_is_unavailable_and_not_the_end() -> None:
    log = KafkaLog(KafkaAccess("127.0.0.1:1"), instance="industry", key=KEY)
    for _ in range(2):
        with pytest.raises(Unavailable, match="broker_unavailable"):
            await log.append_bytes(Pair("industry", "hotline"), Lane.URGENT, records(b"one"))
    await log.close()


async def test_a_wrong_password_is_unavailable(stack: DevStack) -> None:
    wrong = KafkaAccess(stack.endpoints.kafka.bootstrap_servers, "hotline", "wrong")
    log = KafkaLog(wrong, instance="hotline", key=KEY)
    with pytest.raises(Unavailable):
        await log.append_bytes(Pair("hotline", "industry"), Lane.URGENT, records(b"one"))
    await log.close()


@pytest.mark.timing
async def test_a_start_that_never_ends_is_given_up_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    async def start(self: AIOKafkaProducer) -> None:
        started.append(self)
        await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaProducer, "start", start)
    monkeypatch.setattr("shared.messaging.kafka.log.APPEND_TIMEOUT_S", 0.05)
    log = KafkaLog(KafkaAccess("127.0.0.1:1"), instance="hotline", key=KEY)
    for _ in range(2):
        with pytest.raises(Unavailable, match="broker_unavailable"):
            async with asyncio.timeout(60):
                await log.append_bytes(Pair("hotline", "industry"), Lane.URGENT, records(b"one"))
    assert len(started) == 2
    await log.close()


@pytest.mark.timing
@pytest.mark.parametrize("addressee", ["law_enforcement", "nobody"])
async def test_a_topic_that_is_missing_or_not_ours_to_write_is_refused_and_the_others_are_written(
    stack: DevStack, addressee: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hotline's login must not write the topic from industry to the agencies."""
    monkeypatch.setattr("shared.platform.kafka.access.REQUEST_TIMEOUT_MS", 5_000)
    log = KafkaLog(access_as(stack, "hotline"), instance="hotline", key=KEY)
    refused = Pair("industry" if addressee == "law_enforcement" else "hotline", addressee)
    for _ in range(2):
        with pytest.raises(Unavailable, match="broker_refuses"):
            await log.append_bytes(refused, Lane.ORDINARY, records(b"one"))
        await log.append_bytes(Pair("hotline", "industry"), Lane.ORDINARY, records(b"two"))
    await log.close()


@pytest.mark.timing
async def test_after_an_outage_the_same_log_goes_on(
    stack: DevStack, log: KafkaLog, access: KafkaAccess, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append_all(log, pair, records(b"before"))
    monkeypatch.setattr("shared.messaging.kafka.log.APPEND_TIMEOUT_S", 1.0)
    await asyncio.to_thread(stack.kafka.kill)
    for _ in range(2):
        with pytest.raises(Unavailable, match="broker_unavailable"):
            await log.append_bytes(pair, Lane.ORDINARY, records(b"during"))
    monkeypatch.undo()
    await asyncio.to_thread(stack.kafka.start)
    await append_all(log, pair, records(b"after"))
    found = [each.value for each in await read(access, pair, Lane.ORDINARY, 2)]
    assert (found[0], found[-1]) == (b"before", b"after")


@pytest.mark.timing
async def test_a_log_can_be_closed_while_the_broker_does_not_answer(
    stack: DevStack, access: KafkaAccess, admin: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.platform.kafka.access.REQUEST_TIMEOUT_MS", 5_000)
    pair = Pair("industry", f"industry-{uuid7()}")
    await asyncio.to_thread(make_topic, admin, pair)
    log = KafkaLog(access, instance=pair.writer, key=KEY)
    await log.append_bytes(pair, Lane.ORDINARY, records(b"one"))
    broker = stack.kafka.pid
    assert broker is not None
    await asyncio.to_thread(freeze, broker)
    try:
        # From here the broker never answers, however long the log waits, so the time-outs may be short.
        monkeypatch.setattr("shared.messaging.kafka.log.APPEND_TIMEOUT_S", 0.5)
        monkeypatch.setattr("shared.messaging.kafka.log.CLOSE_TIMEOUT_S", 0.5)
        with pytest.raises(Unavailable):
            await log.append_bytes(pair, Lane.ORDINARY, records(b"two"))
        async with asyncio.timeout(60):
            await log.close()
    finally:
        monkeypatch.undo()
        thaw(broker)
    after = KafkaLog(access, instance=pair.writer, key=KEY)
    await append_all(after, pair, records(b"three"))
    await after.close()
