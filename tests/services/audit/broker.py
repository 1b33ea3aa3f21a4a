"""A broker in memory, as the follower sees it: topics that are made, cut, refused and made again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

from shared.exchange.message import Record
from shared.kernel.ids import uuid7
from shared.runtime.kafka.bounds import Bounds
from shared.runtime.kafka.follower import Life, Refusal, Seen
from shared.runtime.kafka.topic_metadata import Leader
from shared.runtime.post.ports import Coordinate


@dataclass
class Topic:
    """One topic of one partition: the records from `first` on."""

    name: str
    topic_id: UUID = field(default_factory=uuid7)
    epoch: int = 0
    first: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def append(self, *records: Record) -> None:
        for record in records:
            self.records.append(replace(record, topic=self.name, offset=self.end))

    def forget_before(self, offset: int) -> None:
        """As retention does."""
        self.records, self.first = self.records[offset - self.first :], offset

    def lose_from(self, offset: int) -> None:
        """As a broker does that comes back without what it had not written: it leads anew."""
        del self.records[offset - self.first :]
        self.epoch += 1


@dataclass
class Broker:
    """`LogFollower` and `Following` at once."""

    topics: dict[str, Topic] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    #: May be described, and not read.
    unreadable: set[str] = field(default_factory=set)
    followed: dict[Coordinate, Life] = field(default_factory=dict)
    positions: dict[Coordinate, int] = field(default_factory=dict)
    problems: dict[Coordinate, Refusal] = field(default_factory=dict)

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[Broker]:
        self.followed, self.positions, self.problems = {}, {}, {}
        yield self

    async def look(self, named: Iterable[str]) -> Seen:
        lives = {Coordinate(name, 0): self._life(name) for name in self.topics if name not in self.forbidden}
        return Seen(lives, frozenset(self.forbidden & set(named)))

    async def bounds(self, places: Iterable[Coordinate]) -> dict[Coordinate, Bounds]:
        return {place: Bounds(self.topics[place.topic].first, self.topics[place.topic].end) for place in places}

    def begin(self, at: Mapping[Coordinate, tuple[Life, int]]) -> None:
        for place, (life, offset) in at.items():
            self.followed[place], self.positions[place] = life, offset

    def leave(self, places: Iterable[Coordinate]) -> None:
        for place in list(places):
            if self.followed.pop(place, None) is not None:
                del self.positions[place]

    @property
    def any_refused(self) -> bool:
        return Refusal.OUT_OF_RANGE in self.problems.values()

    def refused(self) -> dict[Coordinate, Refusal]:
        problems, self.problems = self.problems, {}
        return problems

    async def batch(self, wait_s: float) -> list[Record]:
        await asyncio.sleep(0.001)
        found: list[Record] = []
        for place in list(self.followed):
            topic = self.topics.get(place.topic)
            if place.topic in self.unreadable:
                self._drop(place, Refusal.FORBIDDEN)
            elif topic is None or not topic.first <= self.positions[place] <= topic.end:
                self._drop(place, Refusal.OUT_OF_RANGE)
            elif records := topic.records[self.positions[place] - topic.first :]:
                if self.followed[place] == self._life(place.topic):
                    found += records
                    self.positions[place] = topic.end
                else:
                    self._drop(place, Refusal.OUT_OF_RANGE)
        return found

    def _life(self, name: str) -> Life:
        return Life(self.topics[name].topic_id, Leader(1, self.topics[name].epoch))

    def _drop(self, place: Coordinate, why: Refusal) -> None:
        self.leave([place])
        self.problems[place] = why
