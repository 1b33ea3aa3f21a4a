"""Records as a topic holds them, read with a client that does not parse messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from shared.messaging.placement import KIND
from shared.messaging.streams import LANES, Lane
from shared.platform.kafka.access import KafkaAccess


class Bounds(NamedTuple):
    """The first offset of a partition, and the offset after its last record."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record of a partition. A proof or an acknowledgement has the header `causeway` and no message id."""

    topic: str
    lane: Lane
    offset: int
    broker_time: datetime
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None

    @property
    def is_message(self) -> bool:
        return "ce_id" in self.texts and KIND not in self.texts

    @property
    def texts(self) -> Mapping[str, bytes]:
        return dict(self.headers)


async def find_bounds(access: KafkaAccess, topic: str, lane: Lane = Lane.ORDINARY) -> Bounds:
    async with _consumer(access) as consumer:
        return await _bounds(consumer, TopicPartition(topic, int(lane)))


async def list_topics(access: KafkaAccess, *, under: str) -> list[str]:
    """Return the topics whose names begin with `under`."""
    async with _consumer(access) as consumer:
        return sorted(topic for topic in await consumer.topics() if topic.startswith(under))


async def read_topic(access: KafkaAccess, topic: str) -> list[StoredRecord]:
    """Return the records of both lanes, the urgent one first.

    Raises the broker's own error for a missing permission.
    """
    return [record for lane in LANES for record in await read_partition(access, topic, lane)]


async def read_partition(access: KafkaAccess, topic: str, lane: Lane) -> list[StoredRecord]:
    where = TopicPartition(topic, int(lane))
    found: list[StoredRecord] = []
    async with _consumer(access) as consumer:
        first, end = await _bounds(consumer, where)
        if first >= end:
            return found
        consumer.assign([where])
        consumer.seek(where, first)
        while await consumer.position(where) < end:
            for each in (await consumer.getmany(where, timeout_ms=1000)).get(where, ()):
                at = datetime.fromtimestamp(each.timestamp / 1000, UTC)
                found.append(StoredRecord(topic, lane, each.offset, at, each.key, tuple(each.headers), each.value))
    return [record for record in found if record.offset < end]


async def _bounds(consumer: AIOKafkaConsumer, where: TopicPartition) -> Bounds:
    """Return the bounds.

    Raises `TopicAuthorizationFailedError`: without metadata rights the client would retry forever.
    """
    for _ in range(20):
        if where.topic in await consumer.topics():
            break
        await asyncio.sleep(0.1)
    else:
        raise TopicAuthorizationFailedError(where.topic)
    first = (await consumer.beginning_offsets([where]))[where]
    return Bounds(first, (await consumer.end_offsets([where]))[where])


@asynccontextmanager
async def _consumer(access: KafkaAccess) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**access.client_options("causeway-tests"), enable_auto_commit=False)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
