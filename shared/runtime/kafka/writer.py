"""Kafka as the relay sees it: the one writer. Nothing else in the project publishes.

aiokafka's `send` spreads a batch over several requests; in an outage an early one can expire while a later one still
arrives, and the order of a key breaks. Here each partition's rows go as whole record batches, appended by the broker
all or nothing, and the next is not sent before the last one is acknowledged. So whatever fails, the log holds a
prefix of the rows, and sending all of them again keeps their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaTimeoutError,
)
from aiokafka.partitioner import DefaultPartitioner

from shared.runtime.kafka.access import KAFKA_ERRORS, TOPIC_REFUSALS, KafkaAccess, unavailable
from shared.runtime.post.ports import OutboxRow
from shared.runtime.post.stamping import wire
from shared.runtime.watch.telemetry import span

#: Bytes of one record batch: `max.message.bytes` of every inbox topic (`deploy/kafka/topics.json`).
BATCH_BYTES_MAX: Final = 131_072
BATCH_TIMEOUT_S: Final = 15.0
CLOSE_TIMEOUT_S: Final = 5.0


_PARTITIONER: Final = DefaultPartitioner()

_WAITING: Final = (TimeoutError, KafkaTimeoutError)


@lru_cache(4096)  # the library computes it in Python, and the messages about one referral share a key
def place_among(subject: str, count: int) -> int:
    """The place of a key among `count` partitions, in order: where every Kafka client puts it."""
    places = range(count)
    place: int = _PARTITIONER(subject.encode(), places, places)
    return place


class KafkaLogWriter:
    """Appends stamped rows to their topics. One relay uses it at a time."""

    def __init__(self, access: KafkaAccess, *, instance: str) -> None:
        self._access = access
        self._instance = instance
        self._producer: AIOKafkaProducer | None = None

    async def append(self, rows: Sequence[OutboxRow]) -> frozenset[str]:
        """Append all rows, in order within each key, durable on all in-sync replicas.

        Returns the topics that the broker refuses, which an operator mends while the others are served.
        Raises `Unavailable`: a prefix of each partition's rows may be there, so append all of them again.
        """
        traces = [row.draft.traceparent for row in rows if row.draft.traceparent is not None]
        with span("batch.publish", links=traces, attributes={"batch_records": len(rows)}):
            return await self._append(rows)

    async def close(self) -> None:
        """Stop the producer; what was not acknowledged stays in the outbox."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), CLOSE_TIMEOUT_S)
            except TimeoutError:
                # It waits for ever for a broker that is gone, and has no public way to give up.
                await producer._sender.close()
                await producer.client.close()

    async def _append(self, rows: Sequence[OutboxRow]) -> frozenset[str]:
        try:
            producer = await self._started()
            partitions = await self._partitions(producer, {row.draft.topic for row in rows})
        except KAFKA_ERRORS as error:
            raise unavailable(error) from None
        by_partition: dict[tuple[str, int], list[OutboxRow]] = {}
        for row in rows:
            topic = row.draft.topic
            if found := partitions[topic]:
                place = place_among(row.draft.subject, len(found))
                by_partition.setdefault((topic, found[place]), []).append(row)
        appends = [self._append_to(producer, where, rows) for where, rows in by_partition.items()]
        # All are waited for, also after a failure: two calls never append to one partition at once.
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        if failures and not any(isinstance(failure, _WAITING) for failure in failures):
            # An idempotent producer can be unusable after a failure: the next append makes a new one. One that only
            # waits goes on by itself when the broker is back, and what it holds is the beginning of what comes again.
            await self.close()
        for failure in failures:
            if not isinstance(failure, TOPIC_REFUSALS):
                raise unavailable(failure) if isinstance(failure, KAFKA_ERRORS) else failure
        refused = {topic for topic, found in partitions.items() if not found}
        return frozenset(
            refused | {topic for (topic, _), outcome in zip(by_partition, outcomes, strict=True) if outcome is not None}
        )

    async def _partitions(self, producer: AIOKafkaProducer, topics: Iterable[str]) -> dict[str, list[int]]:
        """The partitions of each topic, none where the broker refuses it. One that is missing costs a time-out."""

        async def of(topic: str) -> tuple[str, list[int]]:
            try:
                return topic, sorted(await producer.partitions_for(topic))
            except TOPIC_REFUSALS:
                return topic, []

        return dict(await asyncio.gather(*(of(topic) for topic in topics)))

    async def _append_to(self, producer: AIOKafkaProducer, where: tuple[str, int], rows: Sequence[OutboxRow]) -> None:
        topic, partition = where
        waiting = list(reversed(rows))
        while waiting:
            batch = producer.create_batch()
            while waiting and batch.append(
                key=waiting[-1].draft.subject.encode(),
                value=waiting[-1].draft.body,
                timestamp=None,
                headers=wire(waiting[-1], self._instance),
            ):
                waiting.pop()
            # An idempotent batch is tried for ever: the time-out is ours.
            async with asyncio.timeout(BATCH_TIMEOUT_S):
                await (await producer.send_batch(batch, topic, partition=partition))

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._access.client_options(f"causeway-{self._instance}-relay"),
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                compression_type=None,
                max_batch_size=BATCH_BYTES_MAX,
                max_request_size=BATCH_BYTES_MAX,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer
