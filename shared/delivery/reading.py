"""The reader of an instance's inbox: all topics that other instances write for it, both lanes of each.

Each batch of one partition is verified in order and taken in one transaction, which moves the position as well. After
a restart the reader begins a segment's length before its position: it verifies those records and takes none of them.
If a partition has no room for exceptions, or its records cause a defect here, it stops; the others continue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

from aiokafka.client import AIOKafkaClient

from shared.core.acts.catalog import Catalog
from shared.core.clock import Clock
from shared.core.errors import CausewayError, Unavailable
from shared.core.protocol.authority import inbox_prefix, inbox_topic
from shared.core.protocol.message import Record
from shared.delivery.arriving import read_arrival
from shared.delivery.sending import ScopeFactory
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, RawRecord, StatedAck, UnreadableRecord, Verified
from shared.messaging.exceptions import EXCEPTIONS_MAX
from shared.messaging.placement import PlaceKeys
from shared.messaging.reception import ArrivedRecord, receive_batch
from shared.messaging.sending import SEGMENT_MESSAGES_MAX
from shared.messaging.streams import LANES, Lane, Pair
from shared.platform.kafka.access import KAFKA_ERRORS, KafkaAccess, unavailable
from shared.platform.kafka.inbox_door import BATCH_RECORDS_MAX, PartitionReader
from shared.platform.kafka.topic_metadata import (
    Coordinate,
    TopicDescription,
    bounds_of,
    describe_topics_under,
    ends_of,
    metadata_client,
)
from shared.platform.observability.health import Check, until_turn
from shared.platform.observability.logs import log
from shared.platform.observability.telemetry import span, traceparents

#: A batch that takes longer hangs.
BATCH_PATIENCE_S: Final = 90.0
#: The pause between two queries for the topics and their ends.
LOOK_S: Final = 5.0
#: The time for which a batch is tried while the database does not answer. Then the other partitions go on.
COMMIT_PATIENCE_S: Final = 5.0
#: The pause between two attempts at records that were read and not taken.
ROOM_S: Final = 2.0
RETRY_S: Final = 2.0
BACK_OFF_S: Final = 0.5
BACK_OFF_S_MAX: Final = 5.0
#: A segment with its proof record.
_SEGMENT_RECORDS: Final = SEGMENT_MESSAGES_MAX + 1

_Found = Mapping[str, TopicDescription]


@dataclass(slots=True)
class _Partition:
    """The reading state of one partition. Records below `next_offset` were read; those in `held` are not yet taken.

    `unread`: by topic, the records of both lanes that existed when reading began and are not read yet. `defect` is the
    code of the last error on taking `held`.
    """

    where: Coordinate
    pair: Pair
    lane: Lane
    topic_id: UUID
    next_offset: int
    verifier: PartitionVerifier
    catalog: Catalog
    unread: dict[str, int]
    held: list[ArrivedRecord] = field(default_factory=list)
    defect: str = ""

    def verify(self, records: Iterable[Record]) -> list[ArrivedRecord]:
        """Return the records that are not yet taken, each verified or unreadable."""
        arrived = []
        for record in records:
            raw = RawRecord(self.topic_id, record.offset, record.broker_time, tuple(record.headers), record.value)
            stated = [UnreadableRecord(raw, "broker_time_stated")] if record.time_stated else ()
            (found,) = stated or self.verifier.verify([raw])
            if record.offset >= self.next_offset:
                arrived.append(self._arrive(record, found))
        if arrived:
            self.unread[self.where.topic] -= arrived[-1].offset + 1 - self.next_offset
            self.next_offset = arrived[-1].offset + 1
        return arrived

    def _arrive(self, record: Record, found: Verified) -> ArrivedRecord:
        if isinstance(found, UnreadableRecord) and found.code is not None:
            log("record_alarm", code=found.code, offset=record.offset, **self.where._asdict())
        stated = found.ack if isinstance(found, StatedAck) else None
        if stated is not None and self.unread[self.where.topic] > BATCH_RECORDS_MAX:
            # An answer now would make the writer append the unread records again. It asks again later.
            stated = replace(stated, nonce=None)
        content = read_arrival(record, found, self.catalog) if isinstance(found, PlacedMessage) else stated
        return ArrivedRecord(self.topic_id, record.offset, record.broker_time, content)


class InboxReader:
    """The reader of an inbox. It waits for a broker that does not answer. One is active per instance."""

    def __init__(
        self,
        access: KafkaAccess,
        instance: str,
        scopes: ScopeFactory,
        *,
        keys: PlaceKeys,
        clock: Clock,
        catalog: Catalog,
        exceptions_max: int = EXCEPTIONS_MAX,
    ) -> None:
        """Set up the reader. `exceptions_max`: the number of a stream's exceptions at which reading stops."""
        self._access = access
        self._instance = instance
        self._scopes = scopes
        self._keys = keys
        self._clock = clock
        self._catalog = catalog
        self._exceptions_max = exceptions_max
        self.door = PartitionReader(access, client_id=self._client_id, handle=self._handle)
        self._partitions: dict[Coordinate, _Partition] = {}
        self._taking = asyncio.Lock()
        self._is_changed, self._has_held = asyncio.Event(), asyncio.Event()
        self._busy_since: datetime | None = None
        self._waits_for = ""
        self._is_dated_by_sender = False
        self.last_progress: datetime | None = None

    async def run(self) -> None:
        """Read until cancelled. A batch in hand is finished first."""
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

    def assignment(self) -> frozenset[Coordinate]:
        """Return the partitions that this process reads now."""
        return frozenset(self._partitions if self.door.is_open else ())

    def check(self) -> Check:
        """Return ready if the reader has partitions and no batch hangs, also without a broker, as `reason` shows."""
        if self._waits_for:
            return Check("bus", True, self._waits_for)
        if not self.assignment():
            return Check("bus", False, "no_partitions")
        if self._busy_since is not None:
            busy_s = (self._clock.now() - self._busy_since).total_seconds()
            if busy_s > BATCH_PATIENCE_S:
                return Check("bus", False, "batch_hangs")
        if held := [partition for partition in self._partitions.values() if partition.held]:
            return Check("bus", True, max(partition.defect for partition in held) or "exceptions_full")
        return Check("bus", True, "dated_by_sender" if self._is_dated_by_sender else "")

    @property
    def _client_id(self) -> str:
        return f"causeway-{self._instance}-bus"

    # -- the topics, and the positions in them ----------------------------------------------------------------

    async def _read(self, client: AIOKafkaClient) -> None:
        """Read until topics are added or removed, or one of them has changed."""
        found = await self._describe(client)
        if not found:
            self._waits_for = "no_partitions"
            await asyncio.sleep(LOOK_S)
            return
        self._is_changed.clear()
        at = await self._begin(client, found)
        try:
            async with self.door.open(at):
                self._waits_for = ""
                await self._read_on(client, found)
        finally:
            self._partitions = {}

    async def _describe(self, client: AIOKafkaClient) -> dict[str, TopicDescription]:
        found = await describe_topics_under(client, inbox_prefix(self._instance))
        return {topic: each for topic, each in found.items() if self._pair_of(topic) is not None}

    def _pair_of(self, topic: str) -> Pair | None:
        """Return the pair of a topic that this instance reads."""
        writer = topic.removeprefix(inbox_prefix(self._instance)).partition(".")[0]
        return Pair(writer, self._instance) if inbox_topic(self._instance, writer) == topic else None

    async def _begin(self, client: AIOKafkaClient, found: _Found) -> dict[Coordinate, int]:
        """Load the positions of these topics, and return the offset to read each partition from."""
        bounds = await bounds_of(client, found)
        at: dict[Coordinate, int] = {}
        partitions: dict[Coordinate, _Partition] = {}
        unread = dict.fromkeys(found, 0)
        async with self._scopes.read() as tx:
            for topic, described in found.items():
                pair = self._pair_of(topic)
                assert pair is not None
                incoming = await tx.load_incoming(pair, lock=False)
                for lane in LANES:
                    where = Coordinate(topic, int(lane))
                    if where not in bounds:
                        continue
                    first, end = bounds[where]
                    before = incoming.lanes[lane].topic_id, incoming.lanes[lane].next_offset
                    offset = incoming.seek(lane, described.topic_id, first=first, end=end)
                    if before[0] is not None and before != (described.topic_id, offset):
                        log("topic_read_again", topic=topic, partition=where.partition, offset=offset)
                    unread[topic] += end - offset
                    verifier = PartitionVerifier(pair, lane, self._keys)
                    partitions[where] = _Partition(
                        where, pair, lane, described.topic_id, offset, verifier, self._catalog, unread
                    )
                    at[where] = max(first, offset - _SEGMENT_RECORDS)
        self._partitions = partitions
        return at

    async def _read_on(self, client: AIOKafkaClient, found: _Found) -> None:
        ends = [
            asyncio.ensure_future(each)
            for each in (self._is_changed.wait(), self._look(client, found), self.door.ended(), self._try_held())
        ]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
            if ends[2] in done:
                log("bus_restarted")
        finally:
            for each in ends:
                each.cancel()
            await asyncio.wait(ends)

    async def _look(self, client: AIOKafkaClient, found: _Found) -> None:
        """Return when there are other topics, when one was recreated, or when one ends before its position."""
        known = {topic: (each.topic_id, each.partitions) for topic, each in found.items()}
        while True:
            await asyncio.sleep(until_turn(LOOK_S))
            now = await self._describe(client)
            if {topic: (each.topic_id, each.partitions) for topic, each in now.items()} != known:
                return
            ends = await ends_of(client, now)
            if any(ends[where] < each.next_offset for where, each in self._partitions.items()):
                return

    # -- records read -----------------------------------------------------------------------------------------

    async def _handle(self, records: Sequence[Record]) -> None:
        self._is_dated_by_sender = self._is_dated_by_sender or any(record.time_stated for record in records)
        if self._is_changed.is_set():
            return  # they are read again from the positions in the database
        self._busy_since = self._clock.now()
        try:
            async with self._taking:
                with span(
                    "batch.consume",
                    links=traceparents(each.headers for each in records),
                    attributes={"batch_records": len(records)},
                ):
                    await self._take_all(records)
        except Exception as error:
            # A defect of this code: the partition stops until a release fixes it.
            _report(error, count=len(records))
            self._is_changed.set()
            await asyncio.sleep(RETRY_S)
            raise
        finally:
            self._busy_since = None

    async def _take_all(self, records: Sequence[Record]) -> None:
        """Take the records of each partition. An error of one is raised after the others are taken."""
        errors = []
        by_place = sorted(records, key=lambda record: (record.topic, record.partition))
        for where, of_place in groupby(by_place, key=lambda record: Coordinate(record.topic, record.partition)):
            partition = self._partitions.get(where)
            if partition is not None:
                try:
                    await self._take(partition, partition.verify(of_place))
                except Exception as error:
                    errors.append(error)
        if errors:
            raise errors[0]

    async def _take(self, partition: _Partition, records: Sequence[ArrivedRecord]) -> None:
        """Take records after the held ones. Records that cannot be taken are held, and the partition is paused."""
        rest = [*partition.held, *records]
        was_held = bool(partition.held)
        while rest:
            read_count = await self._try_commit(partition, rest)
            rest = rest[read_count:]
            if not read_count:
                break
        partition.held = rest
        if rest:
            self._has_held.set()
            self.door.pause(partition.where)
        elif was_held:
            self.door.resume(partition.where)

    async def _try_commit(self, partition: _Partition, records: Sequence[ArrivedRecord]) -> int:
        """Take records; return how many were read: none if they break this code, or if the database does not answer."""
        partition.defect = ""
        try:
            return await self._commit(partition, records)
        except Exception as error:
            partition.defect = _code_of(error)
            _report(error, count=len(records), where=partition.where)
            return 0

    async def _commit(self, partition: _Partition, records: Sequence[ArrivedRecord]) -> int:
        """Take records in one transaction; return how many were read.

        If a message breaks the features, the transaction is repeated with a savepoint. Raises `Unavailable` after
        `COMMIT_PATIENCE_S`.
        """
        back_off_s, begin, is_careful = 0.05, time.monotonic(), False
        while True:
            try:
                async with self._scopes.open(is_careful=is_careful) as scope:
                    read_count = await receive_batch(
                        scope, partition.pair, partition.lane, records=records, exceptions_max=self._exceptions_max
                    )
                self.last_progress = self._clock.now()
                return read_count
            except Unavailable as error:
                log("consumer_waits", code=error.code, count=len(records))
                if time.monotonic() - begin > COMMIT_PATIENCE_S:
                    raise
            except Exception as error:
                if is_careful:
                    raise
                is_careful = True
                log("batch_redone", error=type(error).__name__, count=len(records))
                continue
            await asyncio.sleep(back_off_s)
            back_off_s = min(back_off_s * 2, 2.0)

    async def _try_held(self) -> None:
        """Retry the records that were not taken, without a limit."""
        while True:
            await self._has_held.wait()
            await asyncio.sleep(ROOM_S)
            self._has_held.clear()
            async with self._taking:
                for partition in list(self._partitions.values()):
                    if partition.held:
                        await self._take(partition, [])


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, CausewayError) else "consumer_defect"


def _report(error: Exception, *, count: int, where: Coordinate | None = None) -> None:
    place = where._asdict() if where else {}
    log("batch_failed", code=_code_of(error), error=type(error).__name__, count=count, **place)
