"""The door through which records come in: one FastStream batch subscriber that hands raw records to the consumer.

FastStream decides nothing here. Its parser and decoder never look at a header or a value (one that does not decode
would lose the whole batch), it cannot publish (a record's `reply_to` header would name the topic), and it commits
nothing: there is no consumer group. Which topics a process reads, and from where, its database says (`CursorStore`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka import TopicPartition as Declared
from faststream.kafka.message import KafkaAckableMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.exchange.topics import inbox_prefix
from shared.kernel.clock import Clock
from shared.kernel.errors import CausewayError, Unavailable
from shared.kernel.ids import uuid4
from shared.runtime.kafka.access import (
    FETCH_WAIT_MS,
    FETCHER_LOOKS_MS,
    KAFKA_ERRORS,
    REQUEST_TIMEOUT_MS,
    KafkaAccess,
    unavailable,
)
from shared.runtime.kafka.bounds import bounds_of
from shared.runtime.kafka.places import Places
from shared.runtime.kafka.raw_records import LOG_APPEND_TIME, to_record
from shared.runtime.kafka.reader import fetch_all, paced
from shared.runtime.kafka.tolerant_records import read_any_header_name
from shared.runtime.kafka.topic_metadata import TopicDescription, describe_topics_under, metadata_client
from shared.runtime.post.arrivals import Cursor, Superseded
from shared.runtime.post.consumer import DUE_MAX, Consumer
from shared.runtime.post.ports import Coordinate, CursorStore
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import log
from shared.runtime.watch.telemetry import span, traceparents

read_any_header_name()

#: After an empty fetch FastStream sleeps for so long: the latency of a quiet topic.
BATCH_TIMEOUT_MS: Final = 5
#: How long a fetch waits for what comes, which wakes it at once: see `wait_for_records`.
QUIET_MS: Final = 5_000
BATCH_RECORDS_MAX: Final = 500
#: The consumer gives up after 60 s; a batch that takes longer hangs.
BATCH_PATIENCE_S: Final = 90.0
GRACE_S: Final = 15.0
#: How often leases are renewed, and how often it is asked which topics there are, who leads them and where they end.
RENEW_S: Final = 1.0
LOOK_S: Final = 2.0
#: How often what waits is looked through for what need wait no longer.
TAKE_UP_S: Final = 1.0
RETRY_S: Final = 2.0
BACK_OFF_S: Final = 0.5
BACK_OFF_S_MAX: Final = 5.0

_Found = Mapping[str, TopicDescription]


class Bus:
    """Reads the inbox topics of one instance until cancelled, and waits for a broker that is not there."""

    def __init__(
        self, access: KafkaAccess, instance: str, consumer: Consumer, *, cursors: CursorStore, clock: Clock
    ) -> None:
        self._access = access
        self._instance = instance
        self._consumer = consumer
        self._cursors = cursors
        self._clock = clock
        #: One for each run of a process: a restarted one is another reader.
        self._holder: UUID = uuid4()
        self._places = Places([])
        self._subscriber: BatchSubscriber | None = None
        self._changed = asyncio.Event()
        self._busy_since: datetime | None = None
        self._waits_for = ""
        self._dated_by_sender = False

    async def run(self) -> None:
        """Consume until cancelled. A batch in hand is finished first, for at most `GRACE_S`."""
        taking_up = asyncio.create_task(self._take_up())
        try:
            await self._keep_reading()
        finally:
            taking_up.cancel()
            with suppress(Unavailable):  # else its leases end by themselves
                await self._cursors.leave(self._holder)

    def declare(self, places: Sequence[Coordinate]) -> tuple[KafkaBroker, BatchSubscriber]:
        """The broker with its one subscriber, not started. Every option that matters is stated."""
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
            # Not FastStream's own logger: that one writes texts, past `shared.runtime.watch.logs`.
            logger=logging.getLogger(__name__),
        )
        subscriber = broker.subscriber(
            partitions=[Declared(topic, partition) for topic, partition in places],
            batch=True,
            group_id=None,
            # Only where a topic has lost what lay before our place; then we go back ourselves.
            auto_offset_reset="earliest",
            # Nobody may write transactionally; if somebody could, an open transaction must not hold back the rest.
            isolation_level="read_uncommitted",
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            batch_timeout_ms=BATCH_TIMEOUT_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            consumer_timeout_ms=FETCHER_LOOKS_MS,
            max_records=BATCH_RECORDS_MAX,
        )
        subscriber(self._handle)
        assert isinstance(subscriber, BatchSubscriber)
        return broker, subscriber

    def assignment(self) -> frozenset[Coordinate]:
        """The partitions this process reads now, each of one topic."""
        return frozenset(where for where, _ in self._places.items()) if self._subscriber is not None else frozenset()

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

    @property
    def _client_id(self) -> str:
        return f"causeway-{self._instance}-bus"

    def _reading(self) -> AIOKafkaConsumer | None:
        return None if self._subscriber is None else self._subscriber.consumer

    # -- which topics, from where -----------------------------------------------------------------------------

    async def _keep_reading(self) -> None:
        back_off_s = BACK_OFF_S
        while True:
            try:
                async with metadata_client(self._access.client_options(self._client_id)) as client:
                    while True:
                        await self._read(client)
                        back_off_s = BACK_OFF_S
            except KAFKA_ERRORS as error:
                self._waits_for = unavailable(error).code
            except Unavailable as error:
                self._waits_for = error.code
            log("broker_waits", code=self._waits_for)
            await asyncio.sleep(back_off_s)
            back_off_s = min(back_off_s * 2, BACK_OFF_S_MAX)

    async def _read(self, client: AIOKafkaClient) -> None:
        """Read the topics that are leased to this process, until there are others, or one is not what it was."""
        found = await self._described(client)
        leased = await self._cursors.lease(sorted(found), holder=self._holder)
        places = [Coordinate(topic, each) for topic in sorted(leased) for each in found[topic].partitions]
        if not places:
            # None is there, or other processes read them all.
            self._waits_for = "standing_by" if found else ""
            await asyncio.sleep(RENEW_S)
            return
        self._changed.clear()
        self._places = Places([])
        broker, subscriber = self.declare(places)
        try:
            await broker.start()
            self._subscriber, self._waits_for = subscriber, ""
            fetch_all(subscriber.consumer)
            wait_for_records(subscriber.consumer)
            await self._go_to(client, {topic: found[topic] for topic in leased})
            await self._until_changed(client, found, leased)
        finally:
            await broker.stop()
            self._subscriber = None

    async def _described(self, client: AIOKafkaClient) -> dict[str, TopicDescription]:
        return await describe_topics_under(client, inbox_prefix(self._instance))

    async def _until_changed(self, client: AIOKafkaClient, found: _Found, leased: frozenset[str]) -> None:
        subscriber = self._subscriber
        assert subscriber is not None
        ends = [
            asyncio.ensure_future(each)
            for each in (
                self._changed.wait(),
                self._renew(sorted(found), leased),
                self._look(client, found),
                _ended(subscriber),
            )
        ]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
            if ends[-1] in done:
                log("bus_restarted")
        finally:
            for each in ends:
                each.cancel()
            await asyncio.wait(ends)

    async def _renew(self, topics: Sequence[str], leased: frozenset[str]) -> None:
        """Keep the leases; returns when they are others. In an outage of the database nobody takes them over."""
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(Unavailable):
                if await self._cursors.lease(topics, holder=self._holder) != leased:
                    return

    async def _look(self, client: AIOKafkaClient, found: _Found) -> None:
        """Look after the topics; returns when there are others, or one of them was made again."""
        leaders = {topic: each.leader_epochs for topic, each in found.items()}
        while True:
            await asyncio.sleep(LOOK_S)
            now = await self._described(client)
            if {topic: each.topic_id for topic, each in now.items()} != {t: e.topic_id for t, e in found.items()}:
                return
            if any(each.partitions != found[topic].partitions for topic, each in now.items()):
                return
            if leaders != (leaders := {topic: each.leader_epochs for topic, each in now.items()}):
                self._places.doubt()
                self._seek()
            await self._check_places()

    async def _go_to(self, client: AIOKafkaClient, leased: _Found) -> None:
        """Stand where the cursors say; where there is none, or it is of another life of its topic, at the beginning.

        So also where the topic does not reach our place: it has lost its tail.
        """
        bounds = await bounds_of(client, leased)
        held = {Coordinate(c.topic, c.partition): c for c in await self._cursors.cursors(sorted(leased))}
        cursors: list[Cursor] = []
        for where, (first, end) in bounds.items():
            before, topic_id = held.get(where), leased[where.topic].topic_id
            if before is None or before.topic_id != topic_id or not first <= before.following <= end:
                cursors.append(await self._set_back(before, Cursor(*where, topic_id, first)))
            else:
                cursors.append(before)
        self._places = Places(cursors)
        self._seek()

    async def _check_places(self) -> None:
        """A topic that ends before our place has lost its tail: our client has gone back by itself, and so do we."""
        reading = self._reading()
        if reading is None:
            return
        for where, place in self._places.items():
            position = place.read_from
            with suppress(TimeoutError):  # it is about to go back: seen at the next look
                async with asyncio.timeout(0):
                    position = await reading.position(TopicPartition(*where))
            if position < place.read_from:
                await self._read_again(where)

    async def _read_again(self, where: Coordinate) -> None:
        reading = self._reading()
        place = dict(self._places.items()).get(where)
        if reading is None or place is None:
            return
        # Where its first record is another by now, our client goes there.
        after = Cursor(*where, place.cursor.topic_id, 0)
        reading.seek(TopicPartition(*where), self._places.put(await self._set_back(place.cursor, after)).read_from)

    async def _set_back(self, before: Cursor | None, after: Cursor) -> Cursor:
        if not await self._cursors.set_back(before, after):
            self._changed.set()  # another process was faster: begin again from what it has noted
        elif before is not None:
            log("topic_read_again", topic=after.topic, partition=after.partition, offset=after.following)
        return after

    def _seek(self) -> None:
        reading = self._reading()
        if reading is not None:
            for where, place in self._places.items():
                reading.seek(TopicPartition(*where), place.read_from)

    # -- what was read ----------------------------------------------------------------------------------------

    async def _handle(self, raw: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        self._dated_by_sender = self._dated_by_sender or any(each.timestamp_type != LOG_APPEND_TIME for each in raw)
        self._busy_since = self._clock.now()
        news = self._places.news([to_record(each) for each in raw])
        try:
            for where in news.lost:
                await self._read_again(where)
            if news.records:
                with span(
                    "batch.consume",
                    links=traceparents(each.headers for each in news.records),
                    attributes={"batch_records": len(news.records)},
                ):
                    await self._consumer.consume(news.records, news.steps)
                self._places.moved(news.steps)
        except Superseded:
            log("batch_superseded", count=len(news.records))
            self._changed.set()
        except Exception as error:
            # Unavailable for too long, or our own defect: the partitions stand still until it is mended.
            code = error.code if isinstance(error, CausewayError) else "consumer_defect"
            log("batch_failed", code=code, count=len(news.records))
            self._seek()
            await asyncio.sleep(RETRY_S)
            raise
        finally:
            self._busy_since = None

    async def _take_up(self) -> None:
        """Again and again, take up what has waited long enough. What fails is reported, and tried again."""
        while True:
            await asyncio.sleep(TAKE_UP_S)
            try:
                while await self._consumer.take_up() == DUE_MAX:
                    pass
            except Exception as error:  # nothing else stands still for it
                log("batch_failed", code=error.code if isinstance(error, CausewayError) else "consumer_defect")


def wait_for_records(consumer: Any) -> None:
    """From now on a fetch waits until records come, and gathers them where they come fast. FastStream has one number
    for waiting and for its pause after an empty fetch: a quiet instance would ask its client a hundred times a second.
    """
    fetch = paced(consumer.getmany)

    async def waiting(*, timeout_ms: int, max_records: int | None) -> Any:
        return await fetch(timeout_ms=max(timeout_ms, QUIET_MS), max_records=max_records or BATCH_RECORDS_MAX)

    consumer.getmany = waiting


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
