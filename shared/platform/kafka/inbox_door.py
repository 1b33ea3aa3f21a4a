"""The Kafka input of an inbox: one FastStream batch subscriber that passes raw records to its reader.

FastStream decides nothing here. Its parser and decoder read no header and no value, because one that does not decode
would lose the whole batch. It cannot publish, because a record's `reply_to` header would name the topic. It commits
nothing, because there is no consumer group. The database of the instance stores the positions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka import TopicPartition as Declared
from faststream.kafka.message import KafkaAckableMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.core.protocol.message import Record
from shared.platform.kafka.access import FETCH_WAIT_MS, FETCHER_LOOKS_MS, REQUEST_TIMEOUT_MS, KafkaAccess
from shared.platform.kafka.reader import Fetched, fetch_all, gathered, read_any_header_name, to_record
from shared.platform.kafka.topic_metadata import Coordinate

read_any_header_name()

#: After an empty fetch FastStream sleeps for this time: the latency of a quiet topic.
BATCH_TIMEOUT_MS: Final = 5
#: The time that a fetch waits for records; the first one wakes it at once (`wait_for_records`).
QUIET_MS: Final = 15_000
BATCH_RECORDS_MAX: Final = 500
GRACE_S: Final = 15.0

#: Takes one batch of records, of any of the partitions.
Handle = Callable[[Sequence[Record]], Awaitable[None]]


class PartitionReader:
    """Reads given partitions from given offsets. One `open` at a time."""

    def __init__(self, access: KafkaAccess, *, client_id: str, handle: Handle) -> None:
        self._access = access
        self._client_id = client_id
        self._handle = handle
        self._subscriber: BatchSubscriber | None = None

    def declare(self, places: Sequence[Coordinate]) -> tuple[KafkaBroker, BatchSubscriber]:
        """Return the broker with its one subscriber, not started. Every option that matters is stated."""
        broker = KafkaBroker(
            self._access.bootstrap_servers.split(","),
            security=self._access.security(),
            client_id=self._client_id,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=GRACE_S,
            parser=_parse,
            decoder=_decode,
            apply_types=False,
            # FastStream's own logger would write texts, past `shared.platform.observability.logs`.
            logger=logging.getLogger(__name__),
        )
        subscriber = broker.subscriber(
            partitions=[Declared(topic, partition) for topic, partition in places],
            batch=True,
            group_id=None,
            # Only where the topic lost the records at our position. Records that come twice are dropped.
            auto_offset_reset="earliest",
            # No writer is transactional. If one were, an open transaction must not hold back the rest.
            isolation_level="read_uncommitted",
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            batch_timeout_ms=BATCH_TIMEOUT_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            consumer_timeout_ms=FETCHER_LOOKS_MS,
            max_records=BATCH_RECORDS_MAX,
        )
        subscriber(self._receive)
        assert isinstance(subscriber, BatchSubscriber)
        return broker, subscriber

    @asynccontextmanager
    async def open(self, at: Mapping[Coordinate, int]) -> AsyncIterator[None]:
        """Read these partitions from these offsets until the block ends. Raises aiokafka's errors."""
        broker, subscriber = self.declare(list(at))
        try:
            await broker.start()
            self._subscriber = subscriber
            fetch_all(subscriber.consumer)
            wait_for_records(subscriber.consumer)
            for where, offset in at.items():
                self._consumer.seek(TopicPartition(*where), offset)
            yield
        finally:
            await broker.stop()
            self._subscriber = None

    @property
    def is_open(self) -> bool:
        """Whether it reads."""
        return self._subscriber is not None

    def pause(self, where: Coordinate) -> None:
        """Fetch no more of a partition."""
        if self._subscriber is not None:
            self._consumer.pause(TopicPartition(*where))

    def resume(self, where: Coordinate) -> None:
        """Fetch a paused partition again, from its position."""
        if self._subscriber is not None:
            self._consumer.resume(TopicPartition(*where))

    async def lag(self) -> int:
        """Return how many records are in the partitions and not yet read, as far as the last fetch knows."""
        if self._subscriber is None:
            return 0
        behind = 0
        for partition in self._consumer.assignment():
            end = self._consumer.highwater(partition)
            if end is not None:
                behind += max(0, end - await self._consumer.position(partition))
        return behind

    async def ended(self) -> None:
        """Return when FastStream has stopped reading without a request, which it should never do."""
        # FastStream replaces a failed task before the next check.
        while self._subscriber is not None and (running := [t for t in self._subscriber.tasks if not t.done()]):
            await asyncio.wait(running)

    @property
    def _consumer(self) -> AIOKafkaConsumer:
        assert self._subscriber is not None
        return self._subscriber.consumer

    async def _receive(self, raw: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        await self._handle([to_record(each) for each in raw])


def wait_for_records(consumer: AIOKafkaConsumer) -> None:
    """Make a fetch wait until records come, and gather them if they come fast.

    FastStream has one number for this wait and for its pause after an empty fetch: a quiet instance would ask its
    client a hundred times a second.
    """
    fetch = consumer.getmany

    async def waiting(*, timeout_ms: int, max_records: int | None) -> Fetched:
        records_max = max_records or BATCH_RECORDS_MAX
        return await gathered(fetch, wait_ms=max(timeout_ms, QUIET_MS), records_max=records_max)

    consumer.getmany = waiting


async def _parse(raw: Sequence[ConsumerRecord[bytes, bytes]], original: Any) -> KafkaAckableMessage:
    """Return a message for the batch without parsing any of its records."""
    return KafkaAckableMessage(raw_message=raw, body=b"", consumer=original.__self__._consumer)


async def _decode(message: KafkaAckableMessage) -> object:
    return message.raw_message
