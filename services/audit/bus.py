"""Audit's Kafka reader: it stores every message of both partitions of every topic, and acknowledges them.

It uses no consumer group: positions are those of the streams (`receive_state`). Each partition is read independently.
A partition may be missing, forbidden or recreated, or may have lost records that audit has not read. Its state then
shows the problem, and reading of the others continues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Final, Unpack

from services.audit import intake
from services.audit.domain.partitions import PartitionStatus
from services.audit.domain.reading import Reading
from services.audit.intake import SEGMENT_RECORDS, StreamVerifier, pair_of
from services.audit.store.entries import PostgresEntries, PostgresPartitions
from shared.core.clock import Clock
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Unavailable
from shared.core.protocol.authority import AUDIT, pairs_of
from shared.core.protocol.message import Record
from shared.core.protocol.sender_verification import SigningKeys
from shared.core.routing.directory_index import DirectoryIndex
from shared.instance.streams import first_of
from shared.messaging.acks import build_ack_record, find_ack_turn
from shared.messaging.kafka.log import KafkaLog
from shared.messaging.streams import LANES, Lane, Pair
from shared.platform.database.changes import Changes
from shared.platform.database.lease import ProcessLease
from shared.platform.kafka.follower import Following, LogFollower, TopicRefusal, VisibleTopics
from shared.platform.kafka.topic_metadata import Coordinate
from shared.platform.observability.health import Check
from shared.platform.observability.logs import Fields, log
from shared.platform.observability.metrics import AUDIT_PARTITIONS
from shared.platform.observability.telemetry import span, traceparents

#: A reader that has not polled for records for this time is not reading.
LOOK_S_MAX: Final = 5.0
#: The interval of queries for the topics and their leaders: a new topic is read within twice that.
TOPICS_S: Final = 4.0
#: The longest wait for records in one poll.
WAIT_S_MAX: Final = 2.0
#: After a batch of fewer than `GATHERED_RECORDS` records, the next one is read `GATHER_S` seconds later. No person
#: waits for it, and each batch has a cost here, at the database and at the broker.
GATHERED_RECORDS: Final = 300
GATHER_S: Final = 1.0
#: The pause before a partition is read again that was left because its log had changed.
AGAIN_S: Final = 0.2
BACK_OFF_S: Final = 0.5
#: The pause between two queries for acknowledgements that are due.
POLL_S: Final = 1.0
#: Without a turn for this time no writer is acknowledged, and each keeps all messages that it sends.
TURN_S_MAX: Final = 60.0
_LOST: Final = frozenset({PartitionStatus.GAP, PartitionStatus.TRUNCATED})


class AckWriter:
    """The writer of due acknowledgements, while this process holds the reader's lease."""

    def __init__(self, entries: PostgresEntries, log: KafkaLog, *, key: SigningKey, clock: Clock) -> None:
        self._entries = entries
        self._log = log
        self._key = key
        self._clock = clock
        self._untold: set[str] = set()
        #: The last time at which all pairs were checked; None: this process gives no acknowledgements.
        self._last_turn: datetime | None = None
        #: Only the process that has the lease stores messages.
        self.changes = Changes(hears_others=True)

    async def run(self) -> None:
        """Give acknowledgements until cancelled. Raises `Unavailable` if the database is unavailable."""
        self._last_turn = self._clock.now()
        try:
            while True:
                # The pause comes first: a reader that cannot begin yet cancels this at once, in no open connection.
                await self.changes.pause(POLL_S)
                await self.give_due()
                self._last_turn = self._clock.now()
        finally:
            self._last_turn = None
            await self._log.close()

    async def check(self) -> Check:
        """Not ready if the turns stop. An unreachable writer is no failure: it keeps its sent messages."""
        age_s = None if self._last_turn is None else (self._clock.now() - self._last_turn).total_seconds()
        if age_s is not None and age_s > TURN_S_MAX:
            return Check("acks", False, "acks_stand_still", age_s)
        return Check("acks", True, "acks_untold" if self._untold else "")

    async def give_due(self) -> None:
        """Give every acknowledgement that is due, once. An unreachable writer does not delay the others.

        Raises `Unavailable` if the database is unavailable, and a defect if it prevents all acknowledgements.
        """
        now = self._clock.now()
        by_writer: dict[str, list[Pair]] = {}
        for incoming in await self._entries.incoming():
            if find_ack_turn(incoming, None, now) is not None:
                by_writer.setdefault(incoming.pair.writer, []).append(incoming.pair)
        told = await asyncio.gather(*(self._tell(writer, pairs) for writer, pairs in by_writer.items()))
        defects = [each for each in told if each is not None]
        if defects and len(defects) == len(told):
            raise defects[0]

    async def _tell(self, writer: str, pairs: Sequence[Pair]) -> Exception | None:
        """Acknowledge the streams of one writer; return the defect that prevented it.

        The writer asks again for a lost acknowledgement.
        """
        try:
            records = []
            for pair in pairs:
                due = await intake.acknowledge(pair, entries=self._entries, now=self._clock.now())
                if due is not None:
                    records.append(build_ack_record(due, self._key))
            if records:
                await self._log.append_bytes(Pair(AUDIT, writer), Lane.URGENT, records)
            self._untold.discard(writer)
        except Unavailable as error:
            self._not_told(writer, topic=writer, code=error.code)
        except Exception as error:  # a fault in one writer's streams does not stop the others
            self._not_told(writer, topic=writer, code="acks_defect", error=type(error).__name__)
            return error
        return None

    def _not_told(self, writer: str, **why: Unpack[Fields]) -> None:
        if writer not in self._untold:
            log("broker_waits", **why)
        self._untold.add(writer)


@dataclass(eq=False)
class AuditConsumer:
    """The reader that stores the messages of all inboxes, new topics included, and acknowledges them to their writers.

    Only the process that holds the `lease` reads and acknowledges.
    """

    follower: LogFollower
    entries: PostgresEntries
    partitions: PostgresPartitions
    _: KW_ONLY
    reading: Reading
    acks: AckWriter
    lease: ProcessLease
    clock: Clock
    _last_look: datetime | None = field(default=None, init=False)
    _standing_by: bool = field(default=False, init=False)
    _states: dict[Coordinate, PartitionStatus] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Store records until cancelled. An outage only pauses the reader.

        One process reads. Another one takes over when the first has ended, or no longer renews its lease.
        """
        while True:
            try:
                fence = await self.lease.take()
                self._standing_by = fence is None
                if fence is not None:
                    await self._read_under(fence)
            except Unavailable as error:
                self._standing_by = False
                log("broker_waits", code=error.code)
            await asyncio.sleep(BACK_OFF_S)

    async def check(self) -> Check:
        """Ready: the reader is connected and polled in the last seconds, or another process is the reader."""
        if self._standing_by:
            return Check("reader", True, "standing_by")
        looked = self._last_look
        if looked is None or (self.clock.now() - looked).total_seconds() > LOOK_S_MAX:
            return Check("reader", False, "not_reading")
        # The operator sees each of these states. None of them stops the other partitions.
        states = set(self._states.values())
        if states & _LOST:
            return Check("reader", True, "records_lost")
        if PartitionStatus.FORBIDDEN in states:
            return Check("reader", True, "topics_forbidden")
        return Check("reader", True, "topics_missing" if PartitionStatus.NEW in states else "")

    def measure(self) -> None:
        """Set the gauge of partitions."""
        for state in PartitionStatus:
            AUDIT_PARTITIONS.labels(state.value).set(sum(each is state for each in self._states.values()))

    async def _read_under(self, fence: int) -> None:
        """Read until the broker is unavailable, or another process has the lease."""
        try:
            await first_of(self._follow(), self.acks.run(), self.lease.keep(fence))
        finally:
            await self.lease.release()

    async def _follow(self) -> None:
        # Without a directory, all records would be stored as unverified for good: wait for one.
        self._directory()
        noted = await self.partitions.noted()
        self._states = {Coordinate(*place): state for place, state in noted.items()}
        async with self.follower.following() as following:
            work = _ReadState(following, self.entries, self.reading.signing_keys)
            look_at_s = 0.0
            while True:
                now_s = asyncio.get_running_loop().time()
                if following.any_refused:
                    look_at_s = min(look_at_s, now_s + AGAIN_S)
                if now_s >= look_at_s:
                    await self._look(work)
                    look_at_s = now_s + TOPICS_S
                records = await following.batch(min(max(0.0, look_at_s - now_s), WAIT_S_MAX))
                self._last_look = self.clock.now()
                if records:
                    self.acks.changes.note()
                    with span(
                        "batch.consume",
                        links=traceparents(each.headers for each in records),
                        attributes={"batch_records": len(records)},
                    ):
                        await work.keep(records, self.reading)
                    if len(records) < GATHERED_RECORDS:
                        await asyncio.sleep(GATHER_S)

    async def _look(self, work: _ReadState) -> None:
        """Follow the partitions that exist, stop following the others, and store the state of each."""
        topics = {pair.topic for pair in pairs_of(self._directory().kinds())}
        seen = await work.following.look({*topics, *(place.topic for place in self._states)})
        refused = work.following.refused()
        begun = await work.begin(seen, self.clock.now())
        # Queried only where records were lost: quiet topics cost the database nothing.
        incomplete = await self.partitions.list_incomplete() if _LOST & set(self._states.values()) else frozenset()
        states: dict[Coordinate, PartitionStatus] = {}
        for place in work.following.followed:
            before = self._states.get(place, PartitionStatus.READING)
            healed = before not in _LOST or (tuple(place) not in incomplete and work.caught_up(place))
            now = begun.get(place, PartitionStatus.READING)
            states[place] = now if now in _LOST or healed else before
        forbidden = {Coordinate(topic, lane) for topic in seen.forbidden for lane in LANES}
        forbidden |= {place for place, why in refused.items() if why is TopicRefusal.FORBIDDEN}
        states |= dict.fromkeys(forbidden, PartitionStatus.FORBIDDEN)
        missing = {Coordinate(topic, lane) for topic in topics for lane in LANES} - states.keys()
        states |= dict.fromkeys(missing, PartitionStatus.NEW)
        self._say(begun, forbidden)
        if states != self._states:
            await self.partitions.note({(place.topic, place.partition): state for place, state in states.items()})
        self._states = states

    def _say(self, begun: Mapping[Coordinate, PartitionStatus], forbidden: AbstractSet[Coordinate]) -> None:
        for place, state in begun.items():
            if state in _LOST:
                log("records_lost", topic=place.topic, partition=place.partition, code=state.value)
        for place in forbidden:
            if self._states.get(place) is not PartitionStatus.FORBIDDEN:
                log("broker_waits", topic=place.topic, code="topic_forbidden")

    def _directory(self) -> DirectoryIndex:
        """Return the directory that is in force now. Raises `Unavailable` before the first."""
        return self.reading.shelf.directories.active(self.clock.now())


class _ReadState:
    """The reading of one connection: each partition's verifier, and the offset up to which it was read."""

    def __init__(self, following: Following, entries: PostgresEntries, keys: SigningKeys) -> None:
        self.following = following
        self._entries = entries
        self._keys = keys
        self._verifiers: dict[Coordinate, StreamVerifier] = {}
        self._read_to: dict[Coordinate, int] = {}
        self._ends: dict[Coordinate, int] = {}
        #: Partitions that were left because other records replaced those read, and that are not yet read again.
        self._replaced: set[Coordinate] = set()

    def caught_up(self, place: Coordinate) -> bool:
        """Return whether all records were read that the partition had when its reading began."""
        return self._read_to.get(place, 0) >= self._ends.get(place, 0)

    async def keep(self, records: Sequence[Record], reading: Reading) -> None:
        """Verify and store a batch. After `Unavailable`, all partitions are begun again."""
        by_place: dict[Coordinate, list[Record]] = {}
        for record in records:
            place = Coordinate(record.topic, record.partition)
            if place in self.following.followed:
                by_place.setdefault(place, []).append(record)
        for place, of_place in list(by_place.items()):
            if await self._is_replaced(place, of_place, reading.clock.now()):
                del by_place[place]
        batches = [self._verifiers[place].verify(of_place) for place, of_place in by_place.items()]
        if news := [batch for batch in batches if batch.arrived]:
            await intake.keep(news, entries=self._entries, reading=reading)
        for place, of_place in by_place.items():
            self._read_to[place] = max(self._read_to[place], of_place[-1].offset + 1)

    async def _is_replaced(self, place: Coordinate, records: Sequence[Record], now: datetime) -> bool:
        """Stop following a partition whose records were replaced; it is begun again at the first replaced record."""
        topic_id, read_to = self.following.followed[place].topic_id, self._read_to[place]
        if records[0].offset >= read_to:
            return False
        again = [each for each in records if each.offset < read_to]
        if not await intake.note_replaced(place, topic_id, again, entries=self._entries, now=now):
            return False
        self._replaced.add(place)
        self.following.leave([place])
        return True

    async def begin(self, seen: VisibleTopics, now: datetime) -> Mapping[Coordinate, PartitionStatus]:
        """Follow new and recreated partitions from their stored positions; return the status of each."""
        following = self.following
        following.leave(following.followed.keys() - seen.lives.keys())
        begun = {place: life for place, life in seen.lives.items() if following.followed.get(place) != life}
        begun = {place: life for place, life in begun.items() if _is_stream(place)}
        if not begun:
            return {}
        bounds = await following.bounds(begun)
        held = {place: (life.topic_id, bounds[place]) for place, life in begun.items()}
        found = await intake.begin(held, entries=self._entries, now=now)
        for place, (offset, _) in found.items():
            pair = pair_of(place.topic)
            assert pair is not None
            lane, topic_id = Lane(place.partition), begun[place].topic_id
            verifier = StreamVerifier(pair, lane, self._keys, topic_id=topic_id, next_offset=offset)
            self._verifiers[place] = verifier
            self._ends[place], self._read_to[place] = bounds[place].end, offset
        # The proof of the next records may lie before this offset.
        starts = {place: max(bounds[place].first, offset - SEGMENT_RECORDS) for place, (offset, _) in found.items()}
        following.begin({place: (begun[place], start) for place, start in starts.items()})
        replaced = dict.fromkeys(self._replaced & found.keys(), PartitionStatus.TRUNCATED)
        self._replaced -= found.keys()
        return {place: beginning.status for place, (_, beginning) in found.items()} | replaced


def _is_stream(place: Coordinate) -> bool:
    return pair_of(place.topic) is not None and place.partition < len(LANES)
