"""Kafka as the relay sees it: the one writer. Nothing else in the project publishes.

aiokafka's `send` spreads a batch over several requests; in an outage an early one can expire while a later one still
arrives, and the order breaks. Here a lane's records go as one record batch, appended by the broker all or nothing, and
the next is not sent before that one is acknowledged. Each lane has a producer of its own: what makes one unusable, or
lets it wait for a topic that has no leader, is nothing to the others. A topic has one partition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from shared.exchange.topics import inbox_topic
from shared.kernel.errors import Refused, Unavailable
from shared.runtime.kafka.access import KAFKA_ERRORS, TOO_LARGE, KafkaAccess, unavailable
from shared.runtime.post.ports import Appended, Outgoing
from shared.runtime.watch.telemetry import span, traceparents

#: Bytes of one record batch: `max.message.bytes` of every inbox topic (`deploy/kafka/layouts.json`). A record that does
#: not fit there is refused; one that does, and that its topic does not take, waits until the topic is mended.
BATCH_BYTES_MAX: Final = 131_072
#: So long an append may take before it says that it waits; what it has sent it waits for all the same.
BATCH_TIMEOUT_S: Final = 15.0
CLOSE_TIMEOUT_S: Final = 5.0

#: The only one.
_PARTITION: Final = 0


@dataclass(slots=True)
class _Batch:
    """Records that were handed to a producer, and the broker's answer to them."""

    records: Sequence[Outgoing]
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class _Lane:
    """A lane's topic and producer.

    `unanswered` is the batch that was sent last, until it is answered. `kept` is one of rows, until who brings them has
    had its answer; `followed` says that something was sent behind it meanwhile.
    """

    topic: str
    producer: AIOKafkaProducer | None = None
    unanswered: _Batch | None = None
    kept: _Batch | None = None
    followed: bool = False
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


class KafkaLogWriter:
    """Appends records to lanes, to one of each at a time. One relay uses it."""

    def __init__(self, access: KafkaAccess, *, instance: str) -> None:
        self._access = access
        self._instance = instance
        self._lanes: dict[str, _Lane] = {}

    async def append(self, lane: str, records: Sequence[Outgoing], *, once: bool = False) -> Appended:
        """Append as many of the first records as fit in a record batch, durable on all in-sync replicas.

        Raises as `LogWriter.append` does. What a call that raised has sent is not sent again by this process: the next
        one that brings the same records waits for its answer, whatever was said `once` in between.
        """
        if not records:
            return Appended(0, None, None)
        at = self._lanes.setdefault(lane, _Lane(inbox_topic(lane, self._instance)))
        with span("batch.publish", links=traceparents(each.headers for each in records)):
            async with at.busy:
                return await self._append(at, records, once=once)

    async def close(self) -> None:
        """Stop all producers; what was not acknowledged is still in the outbox."""
        await asyncio.gather(*(_stop(lane) for lane in self._lanes.values()))

    async def _append(self, lane: _Lane, records: Sequence[Outgoing], *, once: bool) -> Appended:
        count = len(records)
        while True:
            try:
                return await self._send(lane, records[:count], once=once)
            except (TimeoutError, KafkaTimeoutError):
                raise Unavailable("broker_unavailable") from None
            except KAFKA_ERRORS as error:
                await _stop(lane)  # an idempotent producer is unusable after any
                if count == 1 or not isinstance(error, TOO_LARGE):
                    raise unavailable(error) from None
                count //= 2  # too much together, or the first alone

    async def _send(self, lane: _Lane, records: Sequence[Outgoing], *, once: bool) -> Appended:
        batch = None if once else lane.kept
        if batch is None or batch.records != records[: len(batch.records)]:
            batch = await self._sent_behind(lane, records, once=once)
        said = await _answer(batch)
        if lane.unanswered is batch:
            lane.unanswered = None
        if once and _is_lost(lane.kept, said.offset):
            lane.kept = None  # who brings its rows again has not had them appended
        followed = False
        if lane.kept is batch:
            lane.kept, followed = None, lane.followed
        if followed:  # its place is before one that is known already
            return Appended(len(batch.records), None, None)
        known = said.offset is not None and said.offset >= 0
        at = datetime.fromtimestamp(said.timestamp / 1000, UTC) if (said.timestamp or -1) > 0 else None
        return Appended(len(batch.records), said.offset if known else None, at)

    async def _sent_behind(self, lane: _Lane, records: Sequence[Outgoing], *, once: bool) -> _Batch:
        """Send these once what was sent before is answered."""
        if lane.unanswered is not None:
            await _answer(lane.unanswered)
            lane.unanswered = None
        lane.unanswered = batch = await self._sent(lane, records)
        if once:
            lane.followed = True
        else:
            lane.kept, lane.followed = batch, False
        return batch

    async def _sent(self, lane: _Lane, records: Sequence[Outgoing]) -> _Batch:
        producer = await self._started(lane)
        await producer.partitions_for(lane.topic)  # a topic that is not there, or not ours, is refused here
        batch = producer.create_batch()
        fitting = 0
        for record in records:
            if not batch.append(key=record.key, value=record.value, timestamp=None, headers=list(record.headers)):
                break
            fitting += 1
        if batch.size() > BATCH_BYTES_MAX:  # the first alone: a batch takes it whatever its size
            raise Refused("record_too_large")
        return _Batch(records[:fitting], await producer.send_batch(batch, lane.topic, partition=_PARTITION))

    async def _started(self, lane: _Lane) -> AIOKafkaProducer:
        if lane.producer is None:
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
                # Where the first connection is lost while it asks for its id, it would ask for ever.
                async with asyncio.timeout(BATCH_TIMEOUT_S):
                    await producer.start()
            except BaseException:
                await producer.stop()
                raise
            lane.producer = producer
        return lane.producer


def _is_lost(kept: _Batch | None, offset: int | None) -> bool:
    """Whether the topic has lost its end, and this batch with it: what was sent behind it stands no further ahead."""
    if kept is None or offset is None or not kept.answer.done() or kept.answer.exception() is not None:
        return False
    before: int | None = kept.answer.result().offset
    return before is not None and 0 <= offset <= before


async def _answer(batch: _Batch) -> Any:
    """What the broker says. An idempotent batch is tried for ever: a wait that is given up does not take it back."""
    async with asyncio.timeout(BATCH_TIMEOUT_S):
        return await asyncio.shield(batch.answer)


async def _stop(lane: _Lane) -> None:
    producer, lane.producer, lane.unanswered, lane.kept = lane.producer, None, None, None
    if producer is not None:
        try:
            await asyncio.wait_for(producer.stop(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            # It waits for ever for a broker that is gone, and has no public way to give up.
            await producer._sender.close()
            await producer.client.close()
