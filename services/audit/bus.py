"""The Kafka door: reads every topic by its own cursors, not by a group, and keeps every record.

Each topic is read by itself. What happens to one, that it is not there, not ours to read, made again, or without what
was read of it or was to be read, is said of that one; the others are read on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final
from uuid import UUID

from services.audit import use_cases
from services.audit.domain.partitions import (
    Beginning,
    Cursor,
    Life,
    Loss,
    PartitionStatus,
    beginning,
    entry_of,
    made_again,
    refilled,
)
from services.audit.domain.reading import Reading
from services.audit.ports import Entries, Partitions
from shared.exchange.correspondents import pairs_of
from shared.exchange.message import Record, record_digest
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.instance.parts import first_of
from shared.runtime.kafka.bounds import Bounds
from shared.runtime.kafka.follower import Following, LogFollower, Refusal, Seen
from shared.runtime.kafka.follower import Life as BrokerLife
from shared.runtime.post.lease import Lease
from shared.runtime.post.ports import Coordinate
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import log
from shared.runtime.watch.metrics import AUDIT_PARTITIONS
from shared.runtime.watch.telemetry import span, traceparents

#: A reader that did not look for records for so long is not reading.
LOOK_S_MAX: Final = 5.0
#: How often the reader asks which topics there are, and who leads them: a new one is read within twice that.
TOPICS_S: Final = 4.0
#: So long it waits for records at a time.
WAIT_S_MAX: Final = 2.0
#: After a batch of fewer than so many records the next is taken that much later, seconds: nobody waits for it, and each
#: has its price, here, at the database and at the broker.
GATHERED_RECORDS: Final = 300
GATHER_S: Final = 0.2
#: After a partition was left because its log had changed, it is looked at again that soon.
AGAIN_S: Final = 0.2
BACK_OFF_S: Final = 0.5
_LOST: Final = frozenset({PartitionStatus.GAP, PartitionStatus.TRUNCATED})


class AuditDoor:
    """Keeps what is in any inbox, each life of a topic from its first record on, and those made meanwhile too."""

    def __init__(
        self,
        follower: LogFollower,
        entries: Entries,
        partitions: Partitions,
        *,
        reading: Reading,
        lease: Lease,
        clock: Clock,
    ) -> None:
        """Whoever holds the `lease` reads."""
        self._follower = follower
        self._entries = entries
        self._partitions = partitions
        self._reading = reading
        self._lease = lease
        self._clock = clock
        self._last_look: datetime | None = None
        self._standing_by = False
        self._states: dict[Coordinate, PartitionStatus] = {}

    async def run(self) -> None:
        """Keep records until cancelled; outages are waited out.

        One process reads; any other stands by and takes over when the first has gone, or renews its lease no more.
        """
        while True:
            try:
                fence = await self._lease.take()
                self._standing_by = fence is None
                if fence is not None:
                    await self._read_under(fence)
            except Unavailable as error:
                self._standing_by = False
                log("broker_waits", code=error.code)
            await asyncio.sleep(BACK_OFF_S)

    async def check(self) -> Check:
        """Ready: the reader is connected and looked for news in the last seconds, or another process is the reader."""
        if self._standing_by:
            return Check("reader", True, "standing_by")
        looked = self._last_look
        if looked is None or (self._clock.now() - looked).total_seconds() > LOOK_S_MAX:
            return Check("reader", False, "not_reading")
        # Each is the operator's to see, and no reason to stop the others.
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
        """Read until the broker is away, or another has the lease: what both have kept meanwhile is kept once."""
        try:
            await first_of(self._follow(), self._lease.keep(fence))
        finally:
            await self._lease.release()

    async def _follow(self) -> None:
        # Judged by no directory, what is read would stand there as unverified for ever: wait for one.
        self._directory()
        noted = await self._partitions.noted()
        self._states = {Coordinate(*place): state for place, state in noted.items()}
        async with self._follower.following() as following:
            work = _Work(following, self._entries, dict(await self._entries.cursors()), clock=self._clock)
            look_at_s = 0.0
            while True:
                now_s = asyncio.get_running_loop().time()
                if work.changed:
                    look_at_s = min(look_at_s, now_s + AGAIN_S)
                if now_s >= look_at_s:
                    await self._look(work)
                    look_at_s = now_s + TOPICS_S
                records = work.news(await following.batch(min(max(0.0, look_at_s - now_s), WAIT_S_MAX)))
                self._last_look = self._clock.now()
                if records:
                    with span(
                        "batch.consume",
                        links=traceparents(each.headers for each in records),
                        attributes={"batch_records": len(records)},
                    ):
                        await self._keep(records, work)
                    if len(records) < GATHERED_RECORDS:
                        await asyncio.sleep(GATHER_S)

    async def _look(self, work: _Work) -> None:
        """Follow what is there, leave what is not, and note how each partition stands."""
        wanted = {pair.topic for pair in pairs_of(self._directory().kinds())}
        seen = await work.following.look({*wanted, *(place.topic for place in self._states)})
        refused = work.take_refused()
        begun = await work.begin(seen)
        # Asked only where something was lost: a look at quiet topics costs the database nothing.
        holes = await self._partitions.topics_with_holes() if _LOST & set(self._states.values()) else frozenset()
        states: dict[Coordinate, PartitionStatus] = {}
        for place in work.following.followed:
            before = self._states.get(place, PartitionStatus.READING)
            healed = before not in _LOST or (place.topic not in holes and work.caught_up(place))
            now = begun.get(place, PartitionStatus.READING)
            states[place] = now if now in _LOST or healed else before
        forbidden = {Coordinate(topic, 0) for topic in seen.forbidden}
        forbidden |= {place for place, why in refused.items() if why is Refusal.FORBIDDEN}
        states |= dict.fromkeys(forbidden, PartitionStatus.FORBIDDEN)
        missing = wanted - {place.topic for place in states}
        states |= {Coordinate(topic, 0): PartitionStatus.NEW for topic in missing}
        self._say(begun, forbidden)
        if states != self._states:
            await self._partitions.note({(place.topic, place.partition): state for place, state in states.items()})
        self._states = states

    def _say(self, begun: Mapping[Coordinate, PartitionStatus], forbidden: AbstractSet[Coordinate]) -> None:
        for place, state in begun.items():
            if state in _LOST:
                log("records_lost", topic=place.topic, partition=place.partition, code=state.value)
        for place in forbidden:
            if self._states.get(place) is not PartitionStatus.FORBIDDEN:
                log("broker_waits", topic=place.topic, code="topic_forbidden")

    async def _keep(self, records: Sequence[Record], work: _Work) -> None:
        kept = await use_cases.keep(
            records, topic_ids=work.topic_ids(records), entries=self._entries, reading=self._reading
        )
        work.cursors |= kept

    def _directory(self) -> DirectoryIndex:
        """The one in force now. Raises `Unavailable` before the first."""
        return self._reading.shelf.directories.active(self._clock.now())


class _Work:
    """One connection's reading: where each partition stands, and which have still to show that they go on."""

    def __init__(self, following: Following, entries: Entries, cursors: dict[Life, Cursor], *, clock: Clock) -> None:
        self.following = following
        self.cursors = cursors
        self.changed = False
        self._entries = entries
        self._clock = clock
        #: The last record kept, where it is read again to see whether it is still the same.
        self._expected: dict[Coordinate, Cursor] = {}
        self._refilled: set[Coordinate] = set()
        self._ends: dict[Coordinate, int] = {}

    def take_refused(self) -> Mapping[Coordinate, Refusal]:
        self.changed = False
        return self.following.refused()

    def topic_ids(self, records: Sequence[Record]) -> Mapping[str, UUID]:
        places = {Coordinate(each.topic, each.partition) for each in records}
        return {place.topic: self.following.followed[place].topic_id for place in places}

    def caught_up(self, place: Coordinate) -> bool:
        """Whether everything was read that was there when this partition was begun."""
        cursor = self.cursors.get(self._life(place, self.following.followed[place]))
        return cursor is not None and cursor.next_offset >= self._ends.get(place, 0)

    def news(self, records: Sequence[Record]) -> list[Record]:
        """What was not kept yet. A partition whose last record is another by now is left, to be begun again."""
        if not self._expected:
            self.changed = self.following.any_refused
            return list(records)
        found = [record for record in records if self._is_news(record)]
        left = [place for place in self._refilled if place in self.following.followed]
        self.following.leave(left)
        self.changed = bool(left) or self.following.any_refused
        return [record for record in found if Coordinate(record.topic, record.partition) in self.following.followed]

    def _is_news(self, record: Record) -> bool:
        place = Coordinate(record.topic, record.partition)
        if (last := self._expected.pop(place, None)) is None:
            return True
        if record.offset != last.next_offset - 1:
            return True
        if record_digest(record) != last.digest:
            self._refilled.add(place)
        return False

    async def begin(self, seen: Seen) -> Mapping[Coordinate, PartitionStatus]:
        """Follow what is there and not followed in its present life, from where it was left. How each stands then."""
        following = self.following
        following.leave(following.followed.keys() - seen.lives.keys())
        begun = {place: life for place, life in seen.lives.items() if following.followed.get(place) != life}
        if not begun:
            return {}
        bounds = await following.bounds(begun)
        self._ends |= {place: each.end for place, each in bounds.items()}
        found = {place: self._beginning(place, life, bounds[place]) for place, life in begun.items()}
        again = await self._note(begun, found)
        following.begin({place: (begun[place], each.offset) for place, each in found.items()})
        return {place: again.get(place, each.status) for place, each in found.items()}

    def _beginning(self, place: Coordinate, broker_life: BrokerLife, bounds: Bounds) -> Beginning:
        life = self._life(place, broker_life)
        cursor = self.cursors.get(life)
        self._expected.pop(place, None)
        if place in self._refilled and cursor is not None:
            self._refilled.discard(place)
            return refilled(life, cursor, first=bounds.first)
        found = beginning(life, cursor, first=bounds.first, end=bounds.end)
        if cursor is not None and found.offset < cursor.next_offset and not found.again:
            self._expected[place] = cursor
        return found

    async def _note(
        self, begun: Mapping[Coordinate, BrokerLife], found: Mapping[Coordinate, Beginning]
    ) -> Mapping[Coordinate, PartitionStatus]:
        """Keep the losses, and the cursors that are new or go back, before anything is read by them.

        Returns the partitions that were made again.
        """
        lives = {place: self._life(place, life) for place, life in begun.items()}
        new = {place for place, life in lives.items() if life not in self.cursors}
        losses = [each.loss for each in found.values() if each.loss is not None]
        before = self._lives_before(lives[place] for place in new)
        losses += before
        cursors = {lives[place]: Cursor(each.offset) for place, each in found.items() if each.again or place in new}
        if cursors:
            at = self._clock.now()
            await self._entries.begin([entry_of(loss, at) for loss in losses], cursors)
            self.cursors |= cursors
        made_again = {Coordinate(each.life.topic, each.life.partition) for each in before}
        return dict.fromkeys(made_again, PartitionStatus.TRUNCATED)

    def _lives_before(self, new: Iterable[Life]) -> list[Loss]:
        """What earlier lives of these partitions took with them."""
        places = {(life.topic, life.partition) for life in new}
        return [
            made_again(life, cursor) for life, cursor in self.cursors.items() if (life.topic, life.partition) in places
        ]

    def _life(self, place: Coordinate, life: BrokerLife) -> Life:
        return Life(place.topic, life.topic_id, place.partition)
