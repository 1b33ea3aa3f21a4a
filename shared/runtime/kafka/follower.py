"""Following many topics at once, each by itself: what becomes of one never stops another. The caller keeps the cursors.

What cannot be read is said, not raised: a partition that the broker refuses is left, and named by `refused`. A life of
a partition ends when its topic is made again, and also when its leader may have changed: only then can what was read
of it be gone, with other records in its place. Whoever begins at the last record it has read sees whether that is so.
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

from shared.exchange.message import Record
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.kafka.reader import POLL_S, next_batch, outside_groups
from shared.runtime.kafka.topic_metadata import (
    Bounds,
    Coordinate,
    Leader,
    TopicDescription,
    bounds_of,
    describe_topics,
    describe_topics_under,
    look_up_topics,
    metadata_client,
)

_LEADERLESS: Final = -1


class Life(NamedTuple):
    """What tells one state of a partition from another that may hold other records."""

    topic_id: UUID
    leader: Leader


class Seen(NamedTuple):
    """The partitions that can be read now, and the topics asked for by name that are not ours to see."""

    lives: Mapping[Coordinate, Life]
    forbidden: frozenset[str]


class Refusal(StrEnum):
    """Why a partition is not read on."""

    FORBIDDEN = "forbidden"
    #: Its position is not, or not yet, in the log.
    OUT_OF_RANGE = "out_of_range"


class LogFollower:
    """Follows topics whose names begin with `under`. One `following` at a time."""

    def __init__(self, access: KafkaAccess, *, client_id: str, under: str) -> None:
        self._access = access
        self._client_id = client_id
        self._under = under

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[Following]:
        """A connection that follows nothing yet. Raises `Unavailable` within in an outage: then begin anew."""
        async with (
            outside_groups(self._access.client_options(self._client_id)) as consumer,
            metadata_client(self._access.client_options(self._client_id)) as client,
        ):
            yield Following(consumer, client, self._under)


class Following:
    """One connection: the partitions that are read, each from where it was begun."""

    def __init__(self, consumer: AIOKafkaConsumer, client: AIOKafkaClient, under: str) -> None:
        self._consumer = consumer
        self._client = client
        self._under = under
        self._described: Mapping[str, TopicDescription] = {}
        self._followed: dict[Coordinate, Life] = {}
        #: Up to where each was taken: what was fetched beyond and not taken is fetched again.
        self._positions: dict[Coordinate, int] = {}
        self._refused: dict[Coordinate, Refusal] = {}

    @property
    def followed(self) -> Mapping[Coordinate, Life]:
        """The partitions that are read, and in which life each was begun."""
        return self._followed

    async def look(self, named: Iterable[str]) -> Seen:
        """What is there under the prefix; of the topics `named` also which are not ours to see."""
        self._described = described = await describe_topics_under(self._client, self._under)
        missing = set(named) - described.keys()
        forbidden = (await look_up_topics(self._client, missing)).forbidden if missing else frozenset()
        return Seen(_lives(described), forbidden)

    async def bounds(self, places: Iterable[Coordinate]) -> dict[Coordinate, Bounds]:
        """What the topics of these partitions, as the last look has seen them, hold now."""
        return await bounds_of(self._client, {place.topic: self._described[place.topic] for place in places})

    def begin(self, at: Mapping[Coordinate, tuple[Life, int]]) -> None:
        """Read these partitions from these offsets on, beside those that are read already."""
        self._followed |= {place: life for place, (life, _) in at.items()}
        self._positions |= {place: offset for place, (_, offset) in at.items()}
        self._assign()

    def leave(self, places: Iterable[Coordinate]) -> None:
        """Read these no more."""
        if gone := self._followed.keys() & set(places):
            for place in gone:
                del self._followed[place], self._positions[place]
            self._assign()

    async def batch(self, wait_s: float = POLL_S) -> list[Record]:
        """The next records, none when nothing came for `wait_s`. Those of a life that has ended are dropped."""
        if not self._followed:
            await asyncio.sleep(wait_s)
            return []
        try:
            records = await next_batch(self._consumer, wait_s)
        except (OffsetOutOfRangeError, TopicAuthorizationFailedError) as error:
            self._note(error)
            # What came beside it was lost with the error.
            self._assign()
            return []
        self._positions |= {Coordinate(each.topic, each.partition): each.offset + 1 for each in records}
        # Asked after reading: the client goes on at the same offset of a topic made again, if it is there.
        lives = _lives(await describe_topics(self._client, {each.topic for each in records})) if records else {}
        return [record for record in records if self._still_lives(record, lives)]

    @property
    def any_refused(self) -> bool:
        """Whether a partition was left because its log has changed."""
        return Refusal.OUT_OF_RANGE in self._refused.values()

    def refused(self) -> dict[Coordinate, Refusal]:
        """The partitions that were left since the last call, and why."""
        refused, self._refused = self._refused, {}
        return refused

    def _still_lives(self, record: Record, lives: Mapping[Coordinate, Life]) -> bool:
        place = Coordinate(record.topic, record.partition)
        if place not in self._followed:
            return False
        if lives.get(place) == self._followed[place]:
            return True
        self._drop(place, Refusal.OUT_OF_RANGE)
        return False

    def _note(self, error: OffsetOutOfRangeError | TopicAuthorizationFailedError) -> None:
        if isinstance(error, OffsetOutOfRangeError):
            for partition in error.args[0]:
                self._drop(Coordinate(*partition), Refusal.OUT_OF_RANGE)
            return
        for place in [place for place in self._followed if place.topic == error.args[0]]:
            self._drop(place, Refusal.FORBIDDEN)

    def _drop(self, place: Coordinate, why: Refusal) -> None:
        self.leave([place])
        self._refused[place] = why

    def _assign(self) -> None:
        self._consumer.assign([TopicPartition(*place) for place in self._positions])
        for place, offset in self._positions.items():
            self._consumer.seek(TopicPartition(*place), offset)


def _lives(described: Mapping[str, TopicDescription]) -> dict[Coordinate, Life]:
    """The partitions that somebody leads: any other can be read when it is led again."""
    return {
        Coordinate(topic, number): Life(each.topic_id, leader)
        for topic, each in described.items()
        for number, leader in zip(each.partitions, each.leaders, strict=True)
        if leader.broker != _LEADERLESS
    }
