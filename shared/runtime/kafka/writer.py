"""Kafka as the relay sees it: the one writer. Nothing else in the project publishes.

aiokafka's `send` spreads a batch over several requests; in an outage an early one can expire while a later one still
arrives, and the order breaks. Here each topic's rows go as whole record batches, appended by the broker all or nothing,
and the next is not sent before the last one is acknowledged. So whatever fails, the log holds a prefix of the rows, and
sending all of them again keeps their order. A topic has one partition: what has a number stands in the order of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from shared.runtime.kafka.access import KAFKA_ERRORS, TOPIC_REFUSALS, KafkaAccess, unavailable
from shared.runtime.post.ports import OutboxRow
from shared.runtime.post.stamping import wire
from shared.runtime.watch.telemetry import span

#: Bytes of one record batch: `max.message.bytes` of every inbox topic (`deploy/kafka/layouts.json`).
BATCH_BYTES_MAX: Final = 131_072
BATCH_TIMEOUT_S: Final = 15.0
CLOSE_TIMEOUT_S: Final = 5.0


#: The only one.
_PARTITION: Final = 0
_WAITING: Final = (TimeoutError, KafkaTimeoutError)


class KafkaLogWriter:
    """Appends stamped rows to their topics. One relay uses it at a time."""

    def __init__(self, access: KafkaAccess, *, instance: str) -> None:
        self._access = access
        self._instance = instance
        self._producer: AIOKafkaProducer | None = None

    async def append(self, rows: Sequence[OutboxRow]) -> frozenset[str]:
        """Append all rows, in order within each topic, durable on all in-sync replicas.

        Returns the topics that the broker refuses, which an operator mends while the others are served.
        Raises `Unavailable`: a prefix of each topic's rows may be there, so append all of them again.
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
            refused = await self._refused(producer, {row.draft.topic for row in rows})
        except KAFKA_ERRORS as error:
            raise unavailable(error) from None
        by_topic: dict[str, list[OutboxRow]] = {}
        for row in rows:
            if row.draft.topic not in refused:
                by_topic.setdefault(row.draft.topic, []).append(row)
        appends = [self._append_to(producer, topic, rows) for topic, rows in by_topic.items()]
        # All are waited for, also after a failure: two calls never append to one topic at once.
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        if failures and not any(isinstance(failure, _WAITING) for failure in failures):
            # An idempotent producer can be unusable after a failure: the next append makes a new one. One that only
            # waits goes on by itself when the broker is back, and what it holds is the beginning of what comes again.
            await self.close()
        for failure in failures:
            if not isinstance(failure, TOPIC_REFUSALS):
                raise unavailable(failure) if isinstance(failure, KAFKA_ERRORS) else failure
        return refused | {topic for topic, outcome in zip(by_topic, outcomes, strict=True) if outcome is not None}

    async def _refused(self, producer: AIOKafkaProducer, topics: Iterable[str]) -> frozenset[str]:
        """The topics that the broker refuses. One that is missing costs a time-out."""

        async def refused(topic: str) -> bool:
            try:
                await producer.partitions_for(topic)
            except TOPIC_REFUSALS:
                return True
            return False

        asked = list(topics)
        found = await asyncio.gather(*map(refused, asked))
        return frozenset(topic for topic, is_refused in zip(asked, found, strict=True) if is_refused)

    async def _append_to(self, producer: AIOKafkaProducer, topic: str, rows: Sequence[OutboxRow]) -> None:
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
                await (await producer.send_batch(batch, topic, partition=_PARTITION))

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
