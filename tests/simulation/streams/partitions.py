"""Kafka in the simulation: partitions that lose records in each way that the protocol survives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from shared.messaging.acks import Ack
from shared.messaging.ports import AppendPosition, PlacedRecord
from shared.messaging.reception import ArrivedMessage, ArrivedRecord
from shared.messaging.streams import Lane, Pair

if TYPE_CHECKING:
    from tests.simulation.streams.world import World

AUDIT = "AUD"


class Copy(NamedTuple):
    """A copy for audit of a message in the streams of another pair."""

    pair: Pair
    arrived: ArrivedMessage


class Partition:
    """One partition. `past`: every numbered record that was ever in it."""

    def __init__(self, new_id: UUID) -> None:
        self.past: list[ArrivedMessage | Ack | Copy] = []
        self.renew(new_id)

    def renew(self, new_id: UUID) -> None:
        """Delete the topic and create it again."""
        self.topic_id, self.first = new_id, 0
        self.records: list[tuple[ArrivedMessage | Ack | Copy, datetime]] = []

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def lose_tail(self, count: int) -> None:
        del self.records[max(0, len(self.records) - count) :]

    def expire(self, count: int) -> None:
        """Delete the first records, as retention does."""
        self.first += count
        del self.records[:count]

    def read(self, offset: int, count: int) -> list[ArrivedRecord]:
        start = offset - self.first
        return [
            ArrivedRecord(self.topic_id, offset + at, broker_time, content)  # type: ignore[arg-type]
            for at, (content, broker_time) in enumerate(self.records[start : start + count])
        ]


class MemoryLog:
    """The log port of one instance."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def append(self, topic: Pair, lane: Lane, records: Sequence[PlacedRecord]) -> AppendPosition:
        contents: list[ArrivedMessage | Ack | Copy] = []
        for each in records:
            arrived = self.world.arrive(each)
            contents.append(arrived if each.segment.pair == topic else Copy(each.segment.pair, arrived))
        return self.put(topic, lane, contents)

    def put(self, topic: Pair, lane: Lane, contents: Sequence[ArrivedMessage | Ack | Copy]) -> AppendPosition:
        partition = self.world.partitions[topic, lane]
        at = AppendPosition(partition.topic_id, partition.end, partition.end + len(contents))
        for content in contents:
            partition.records.append((content, self.world.now))
            if isinstance(content, ArrivedMessage):
                partition.past.append(content)
            self.world.count_append(topic, content)
        return at
