"""A reader of many topics at once, independently of each other. The caller stores the cursors.

A partition that the broker refuses raises no error. The reader stops following it, and `refused` names it. An
incarnation of a partition's log ends when its topic is created again, and when its leader may have changed. Only then
can other records replace those that were read. A caller that begins again at the last record that it has read can
detect this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError

from shared.core.protocol.message import Record
from shared.platform.kafka.access import KafkaAccess
from shared.platform.kafka.reader import POLL_S, next_batch, outside_groups
from shared.platform.kafka.topic_metadata import (
    Coordinate,
    Leader,
    Offsets,
    TopicDescription,
    bounds_of,
    describe_topics,
    describe_topics_under,
    look_up_topics,
    metadata_client,
)

_LEADERLESS: Final = -1


class LogIncarnation(NamedTuple):
    """The identity of a partition's log. A partition with another `LogIncarnation` may hold other records."""

    topic_id: UUID
    leader: Leader


class VisibleTopics(NamedTuple):
    """The partitions that can be read now, and the requested topics that this login may not describe."""

    lives: Mapping[Coordinate, LogIncarnation]
    forbidden: frozenset[str]


class TopicRefusal(StrEnum):
    """The reason why reading of a partition stopped."""

    FORBIDDEN = "forbidden"
    #: Its position is not, or not yet, in the log.
    OUT_OF_RANGE = "out_of_range"


class LogFollower:
    """A follower of topics whose names begin with `under`. It has one `following` at a time."""

    def __init__(self, access: KafkaAccess, *, client_id: str, under: str) -> None:
        self._access = access
        self._client_id = client_id
        self._under = under

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[Following]:
        """Open a connection that follows no partition yet. After `Unavailable` in the block, open a new one."""
        async with (
            outside_groups(self._access.client_options(self._client_id)) as consumer,
            metadata_client(self._access.client_options(self._client_id)) as client,
        ):
            yield Following(consumer, client, self._under)


class Following:
    """One connection with the partitions that it reads."""

    def __init__(self, consumer: AIOKafkaConsumer, client: AIOKafkaClient, under: str) -> None:
        self._consumer = consumer
        self._client = client
        self._under = under
        self._described: Mapping[str, TopicDescription] = {}
        self._followed: dict[Coordinate, LogIncarnation] = {}
        #: The next offset of each partition. Fetched records beyond it that were not returned are fetched again.
        self._positions: dict[Coordinate, int] = {}
        self._refused: dict[Coordinate, TopicRefusal] = {}

    @property
    def followed(self) -> Mapping[Coordinate, LogIncarnation]:
        """The partitions that are read, with the incarnation in which the reading of each began."""
        return self._followed

    async def look(self, named: Iterable[str]) -> VisibleTopics:
        """Describe the topics under the prefix, and find those of `named` that this login may not describe."""
        self._described = described = await describe_topics_under(self._client, self._under)
        missing = set(named) - described.keys()
        forbidden = (await look_up_topics(self._client, missing)).forbidden if missing else frozenset()
        return VisibleTopics(_lives(described), forbidden)

    async def bounds(self, places: Iterable[Coordinate]) -> dict[Coordinate, Offsets]:
        """Return the present offsets of the topics of these partitions, as described by the last `look`."""
        return await bounds_of(self._client, {place.topic: self._described[place.topic] for place in places})

    def begin(self, at: Mapping[Coordinate, tuple[LogIncarnation, int]]) -> None:
        """Read these partitions from these offsets on, in addition to the present ones."""
        self._followed |= {place: life for place, (life, _) in at.items()}
        self._positions |= {place: offset for place, (_, offset) in at.items()}
        self._assign()

    def leave(self, places: Iterable[Coordinate]) -> None:
        """Stop reading these partitions."""
        if gone := self._followed.keys() & set(places):
            for place in gone:
                del self._followed[place], self._positions[place]
            self._assign()

    async def batch(self, wait_s: float = POLL_S) -> list[Record]:
        """Return the next records, or none after `wait_s` without any. Records of an ended incarnation are dropped."""
        if not self._followed:
            await asyncio.sleep(wait_s)
            return []
        try:
            records = await next_batch(self._consumer, wait_s)
        except (OffsetOutOfRangeError, TopicAuthorizationFailedError) as error:
            self._note(error)
            # Records of other partitions in the same fetch were lost with the error.
            self._assign()
            return []
        self._positions |= {Coordinate(each.topic, each.partition): each.offset + 1 for each in records}
        # Checked after reading: the client reads on at the same offset of a recreated topic, if that has the offset.
        lives = _lives(await describe_topics(self._client, {each.topic for each in records})) if records else {}
        return [record for record in records if self._is_of_present_log(record, lives)]

    @property
    def any_refused(self) -> bool:
        """Whether a partition was left because its log changed."""
        return TopicRefusal.OUT_OF_RANGE in self._refused.values()

    def refused(self) -> dict[Coordinate, TopicRefusal]:
        """Return the partitions that were left since the last call, with the reason."""
        refused, self._refused = self._refused, {}
        return refused

    def _is_of_present_log(self, record: Record, lives: Mapping[Coordinate, LogIncarnation]) -> bool:
        place = Coordinate(record.topic, record.partition)
        if place not in self._followed:
            return False
        if lives.get(place) == self._followed[place]:
            return True
        self._drop(place, TopicRefusal.OUT_OF_RANGE)
        return False

    def _note(self, error: OffsetOutOfRangeError | TopicAuthorizationFailedError) -> None:
        if isinstance(error, OffsetOutOfRangeError):
            for partition in error.args[0]:
                self._drop(Coordinate(*partition), TopicRefusal.OUT_OF_RANGE)
            return
        for place in [place for place in self._followed if place.topic == error.args[0]]:
            self._drop(place, TopicRefusal.FORBIDDEN)

    def _drop(self, place: Coordinate, why: TopicRefusal) -> None:
        self.leave([place])
        self._refused[place] = why

    def _assign(self) -> None:
        self._consumer.assign([TopicPartition(*place) for place in self._positions])
        for place, offset in self._positions.items():
            self._consumer.seek(TopicPartition(*place), offset)


def _lives(described: Mapping[str, TopicDescription]) -> dict[Coordinate, LogIncarnation]:
    """Return the partitions that have a leader. The others cannot be read until they have one again."""
    return {
        Coordinate(topic, number): LogIncarnation(each.topic_id, leader)
        for topic, each in described.items()
        for number, leader in zip(each.partitions, each.leaders, strict=True)
        if leader.broker != _LEADERLESS
    }
