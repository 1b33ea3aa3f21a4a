"""An in-memory broker, as audit's follower sees it. Tests create, truncate, forbid and recreate its topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from shared.core.ids import uuid7
from shared.core.protocol.message import Record
from shared.messaging.streams import LANES
from shared.platform.kafka.follower import LogIncarnation, TopicRefusal, VisibleTopics
from shared.platform.kafka.topic_metadata import Coordinate, Leader, Offsets
from tests.support.builders import AT
from tests.support.wire_records import Written


@dataclass
class Partition:
    """The records of one partition, from offset `first` on."""

    first: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    @property
    def bounds(self) -> Offsets:
        return Offsets(self.first, self.end)


@dataclass
class Topic:
    """One topic, with a partition for each lane."""

    name: str
    topic_id: UUID = field(default_factory=uuid7)
    epoch: int = 0
    partitions: tuple[Partition, ...] = field(default_factory=lambda: tuple(Partition() for _ in LANES))

    def append(self, *written: Written, at: datetime = AT) -> list[Record]:
        """Append records, one a millisecond; return them as Kafka holds them."""
        found = []
        for each in written:
            partition = self.partitions[each.lane]
            broker_time = at + timedelta(milliseconds=partition.end)
            key, headers, value = each.record
            found.append(Record(self.name, int(each.lane), partition.end, broker_time, key, headers, value))
            partition.records.append(found[-1])
        return found

    def forget_before(self, offset: int, *, lane: int = 1) -> None:
        """Delete the records before an offset, as Kafka's retention does."""
        partition = self.partitions[lane]
        del partition.records[: offset - partition.first]
        partition.first = offset

    def lose_from(self, offset: int, *, lane: int = 1) -> None:
        """Delete the records from an offset on, as a broker that returns without its unflushed records.

        Increment the epoch.
        """
        partition = self.partitions[lane]
        del partition.records[offset - partition.first :]
        self.epoch += 1


@dataclass
class Broker:
    """A substitute for `LogFollower`, `Following` and the log reader of the reconciliation."""

    topics: dict[str, Topic] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    #: Topics that can be described but not read.
    unreadable: set[str] = field(default_factory=set)
    followed: dict[Coordinate, LogIncarnation] = field(default_factory=dict)
    positions: dict[Coordinate, int] = field(default_factory=dict)
    problems: dict[Coordinate, TopicRefusal] = field(default_factory=dict)

    def append(self, *written: Written, at: datetime = AT) -> list[Record]:
        """Append each record to its topic. A missing topic is created."""
        found = []
        for each in written:
            found += self.topics.setdefault(each.topic, Topic(each.topic)).append(each, at=at)
        return found

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[Broker]:
        self.followed, self.positions, self.problems = {}, {}, {}
        yield self

    async def look(self, named: Iterable[str]) -> VisibleTopics:
        there = [name for name in self.topics if name not in self.forbidden]
        lives = {Coordinate(name, int(lane)): self._life(name) for name in there for lane in LANES}
        return VisibleTopics(lives, frozenset(self.forbidden & set(named)))

    async def bounds(self, places: Iterable[Coordinate] | None = None) -> dict[Coordinate, Offsets]:
        everywhere = [Coordinate(name, int(lane)) for name in self.topics for lane in LANES]
        return {place: self._partition(place).bounds for place in (everywhere if places is None else places)}

    async def read_range(self, where: Coordinate, first: int, end: int) -> AsyncIterator[list[Record]]:
        yield [each for each in self._partition(where).records if first <= each.offset < end]

    def begin(self, at: Mapping[Coordinate, tuple[LogIncarnation, int]]) -> None:
        for place, (life, offset) in at.items():
            self.followed[place], self.positions[place] = life, offset

    def leave(self, places: Iterable[Coordinate]) -> None:
        for place in list(places):
            if self.followed.pop(place, None) is not None:
                del self.positions[place]

    @property
    def any_refused(self) -> bool:
        return TopicRefusal.OUT_OF_RANGE in self.problems.values()

    def refused(self) -> dict[Coordinate, TopicRefusal]:
        problems, self.problems = self.problems, {}
        return problems

    async def batch(self, wait_s: float) -> list[Record]:
        await asyncio.sleep(0.001)
        found: list[Record] = []
        for place in list(self.followed):
            if place.topic in self.unreadable:
                self._drop(place, TopicRefusal.FORBIDDEN)
            elif place.topic not in self.topics:
                self._drop(place, TopicRefusal.OUT_OF_RANGE)
            else:
                found += self._read(place)
        return found

    def _read(self, place: Coordinate) -> list[Record]:
        partition, position = self._partition(place), self.positions[place]
        if not partition.first <= position <= partition.end:
            self._drop(place, TopicRefusal.OUT_OF_RANGE)
            return []
        records = partition.records[position - partition.first :]
        if records and self.followed[place] != self._life(place.topic):
            self._drop(place, TopicRefusal.OUT_OF_RANGE)
            return []
        self.positions[place] = partition.end
        return records

    def _partition(self, place: Coordinate) -> Partition:
        return self.topics[place.topic].partitions[place.partition]

    def _life(self, name: str) -> LogIncarnation:
        return LogIncarnation(self.topics[name].topic_id, Leader(1, self.topics[name].epoch))

    def _drop(self, place: Coordinate, why: TopicRefusal) -> None:
        self.leave([place])
        self.problems[place] = why


def with_life(record: Record, topic: Topic) -> Record:
    """Return the record with the topic id, as audit's entries name it."""
    return replace(record, topic_id=topic.topic_id)
