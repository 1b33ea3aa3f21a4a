"""The door through which records come in: one FastStream batch subscriber that hands raw records to the consumer.

FastStream decides nothing here. Its parser and decoder never look at a header or a value (one that does not decode
would lose the whole batch), it cannot publish (a record's `reply_to` header would name the topic), and it commits
offsets only after the consumer has returned: then everything of the batch is durable.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.exchange.message import Record
from shared.exchange.topics import inbox_prefix
from shared.kernel.clock import Clock
from shared.kernel.errors import CausewayError
from shared.runtime.kafka.access import KAFKA_ERRORS, REQUEST_TIMEOUT_MS, KafkaAccess, unavailable
from shared.runtime.kafka.tolerant_records import read_any_header_name
from shared.runtime.post.consumer import Consumer
from shared.runtime.post.ports import Coordinate
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import log
from shared.runtime.watch.telemetry import span, traceparents

read_any_header_name()

SESSION_TIMEOUT_MS: Final = 10_000
#: Between an empty fetch and the next FastStream sleeps as long again: the latency of a quiet topic.
BATCH_TIMEOUT_MS: Final = 5
BATCH_RECORDS_MAX: Final = 500
#: The consumer gives up after 60 s; a batch that takes longer hangs.
BATCH_PATIENCE_S: Final = 90.0
GRACE_S: Final = 15.0
#: Kafka protocol, record batch attributes: the broker, not the sender, has dated the record.
_LOG_APPEND_TIME: Final = 1
#: How long at most a topic that was just made goes unread: the client asks this often which topics there are.
NEW_TOPIC_MS: Final = 5_000
RETRY_S: Final = 2.0
BACK_OFF_S: Final = 0.5
BACK_OFF_S_MAX: Final = 5.0
#: Kafka's mark on a record whose time is the broker's own (`message.timestamp.type=LogAppendTime`).
LOG_APPEND_TIME: Final = 1


@dataclass(frozen=True, slots=True)
class Subscription:
    """Who reads its inbox topics, in which group, as which of its process slots.

    `slot` numbers the processes of an instance: a restarted one takes its partitions back at once instead of
    after the session's time-out.
    """

    instance: str
    slot: int = 0

    @property
    def group(self) -> str:
        # Rights on groups are by prefix: without the last part, those of `industry` would cover `industry_two`.
        return f"{group_prefix(self.instance)}inbox"

    @property
    def pattern(self) -> str:
        """All topics that others write for the instance: also one that is made while it runs."""
        return re.escape(inbox_prefix(self.instance)) + r"[a-z0-9_]+\.v1$"


def group_prefix(instance: str) -> str:
    """What the names of all consumer groups of an instance begin with, the dot included: no other's begin so."""
    return f"causeway.{instance}."


class Bus:
    """Reads the inbox topics of one instance until cancelled, and waits for a broker that is not there."""

    def __init__(self, access: KafkaAccess, subscription: Subscription, consumer: Consumer, *, clock: Clock) -> None:
        self._access = access
        self._subscription = subscription
        self._consumer = consumer
        self._clock = clock
        self._subscriber: BatchSubscriber | None = None
        self._busy_since: datetime | None = None
        self._waits_for = ""
        self._dated_by_sender = False

    async def run(self) -> None:
        """Consume until cancelled. A batch in hand is finished first, for at most `GRACE_S`."""
        back_off_s = BACK_OFF_S
        while True:
            broker, subscriber = self.declare()
            try:
                await broker.start()
                self._subscriber, self._waits_for, back_off_s = subscriber, "", BACK_OFF_S
                await _ended(subscriber)
                log("bus_restarted")
            except KAFKA_ERRORS as error:
                self._waits_for = unavailable(error).code
                log("broker_waits", code=self._waits_for)
            finally:
                await broker.stop()
                self._subscriber = None
            await asyncio.sleep(back_off_s)
            back_off_s = min(back_off_s * 2, BACK_OFF_S_MAX)

    def declare(self) -> tuple[KafkaBroker, BatchSubscriber]:
        """The broker with its one subscriber, not started. Every option that matters is stated."""
        wanted = self._subscription
        broker = KafkaBroker(
            self._access.bootstrap_servers.split(","),
            security=self._access.security(),
            client_id=f"causeway-{wanted.instance}-bus",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=NEW_TOPIC_MS,
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=GRACE_S,
            parser=_parse,
            decoder=_decode,
            apply_types=False,
            # Not FastStream's own logger: that one writes texts, past `shared.runtime.watch.logs`.
            logger=logging.getLogger(__name__),
        )
        subscriber = broker.subscriber(
            pattern=wanted.pattern,
            batch=True,
            group_id=wanted.group,
            group_instance_id=f"{wanted.instance}-{wanted.slot}",
            auto_offset_reset="earliest",
            # Nobody may write transactionally; if somebody could, an open transaction must not hold back the rest.
            isolation_level="read_uncommitted",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            no_reply=True,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            batch_timeout_ms=BATCH_TIMEOUT_MS,
            max_records=BATCH_RECORDS_MAX,
        )
        subscriber(self._handle)
        assert isinstance(subscriber, BatchSubscriber)
        return broker, subscriber

    def assignment(self) -> frozenset[Coordinate]:
        """The partitions this process has now, each of one topic."""
        reading = self._reading()
        return frozenset(Coordinate(*each) for each in reading.assignment()) if reading is not None else frozenset()

    async def lag(self) -> int:
        """Records that are in the assigned partitions and not yet read, as far as the last fetch knows."""
        reading = self._reading()
        if reading is None:
            return 0
        behind = 0
        for partition in reading.assignment():
            end = reading.highwater(partition)
            if end is not None:
                behind += max(0, end - await reading.position(partition))
        return behind

    def check(self) -> Check:
        """Ready: has partitions, and no batch hangs; also without a broker, which `reason` names.

        An outage is no reason to turn referrals away. A broker that went away later is not seen here.
        """
        if self._waits_for:
            return Check("bus", True, self._waits_for)
        if not self.assignment():
            return Check("bus", False, "no_partitions")
        if self._busy_since is not None:
            busy_s = (self._clock.now() - self._busy_since).total_seconds()
            if busy_s > BATCH_PATIENCE_S:
                return Check("bus", False, "batch_hangs")
        # Said until the next start: what was dated so has been judged by a time of its sender's choosing.
        return Check("bus", True, "dated_by_sender" if self._dated_by_sender else "")

    @property
    def last_progress(self) -> datetime | None:
        """When a batch was last applied by this process."""
        return self._consumer.last_progress

    def _reading(self) -> AIOKafkaConsumer | None:
        return None if self._subscriber is None else self._subscriber.consumer

    async def _handle(self, raw: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        records = [to_record(each) for each in raw]
        self._dated_by_sender = self._dated_by_sender or any(each.timestamp_type != _LOG_APPEND_TIME for each in raw)
        self._busy_since = self._clock.now()
        try:
            with span(
                "batch.consume",
                links=traceparents(each.headers for each in records),
                attributes={"batch_records": len(records)},
            ):
                await self._consumer.consume(records)
        except Exception as error:
            # Unavailable for too long, or our own defect: the partitions stand still until it is mended.
            code = error.code if isinstance(error, CausewayError) else "consumer_defect"
            log("batch_failed", code=code, count=len(records))
            self._rewind(records)
            await asyncio.sleep(RETRY_S)
            raise
        finally:
            self._busy_since = None

    def _rewind(self, records: Sequence[Record]) -> None:
        """Go back to the first record of each partition.

        FastStream does so too, but stops at the first partition that was taken away meanwhile: the others would
        stay where they are, and the next commit would skip their records.
        """
        reading = self._reading()
        if reading is None:
            return
        firsts: dict[TopicPartition, int] = {}
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            firsts[partition] = min(record.offset, firsts.get(partition, record.offset))
        for partition in firsts.keys() & reading.assignment():
            reading.seek(partition, firsts[partition])


def to_record(raw: ConsumerRecord[bytes, bytes]) -> Record:
    """aiokafka's record as ours: every byte as it came."""
    return Record(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        broker_time=datetime.fromtimestamp(raw.timestamp / 1000, UTC),
        key=raw.key,
        headers=tuple(raw.headers),
        value=raw.value,
        time_stated=raw.timestamp_type != LOG_APPEND_TIME,
    )


async def _parse(raw: Sequence[ConsumerRecord[bytes, bytes]], original: Any) -> KafkaAckableMessage:
    """A message about the batch that has looked at nothing in it."""
    return KafkaAckableMessage(raw_message=raw, body=b"", consumer=original.__self__._consumer)


async def _decode(message: KafkaAckableMessage) -> Any:
    return message.raw_message


async def _ended(subscriber: BatchSubscriber) -> None:
    """Return when FastStream has stopped reading of its own accord, which it should never do."""
    # A task that fails is replaced by another before we look again.
    while running := [task for task in subscriber.tasks if not task.done()]:
        await asyncio.wait(running)
