"""The broker of the simulation: repeats, loses its disk, and writes late what it was sent before an outage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from shared.exchange.message import Record
from shared.exchange.topics import AUDIT, inbox_prefix
from shared.kernel.errors import Unavailable
from shared.runtime.post.ports import OutboxRow
from tests.support.memory_stores import MemoryLog, MemoryLogWriter

if TYPE_CHECKING:
    from tests.simulation.world import World


class LateWriter(MemoryLogWriter["ChaoticLog"]):
    """What an append that failed had sent may still be written, long after it was sent again."""

    async def append(self, rows: Sequence[OutboxRow]) -> frozenset[str]:
        try:
            return await super().append(rows)
        except Unavailable:
            world = self.log.world
            if not world.calm and world.random.random() < 0.3:
                world.loop.call_later(world.random.uniform(0.1, 90), self._write, rows)
            raise

    def _write(self, rows: Sequence[OutboxRow]) -> None:
        for row in () if self.log.world.calm else rows:
            self.log.append(row, self.instance)


class ChaoticLog(MemoryLog):
    """The log of the world: notes every append, wakes its readers, and remembers each message's bytes for good."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.world = world
        self.bytes_of: dict[tuple[UUID, UUID, int], set[object]] = {}
        self.facts: list[OutboxRow] = []

    def append(self, row: OutboxRow, instance: str) -> None:
        super().append(row, instance)
        place = self.place_of(row)
        record = self.partitions[place][-1]
        # A message that is signed again has other bytes: under another number.
        assert row.stamp is not None
        number = (row.draft.message_id, row.stamp.epoch, row.stamp.sequence)
        self.bytes_of.setdefault(number, set()).add((record.headers, record.value))
        self.world.trace.note("append", place, record.offset, row.draft.message_id)
        self._tell(place[0], row)

    def repeat(self, record: Record) -> None:
        """The record once more, later."""
        self.hold(record.topic, record.partition, record.key or b"", record.headers, record.value or b"")

    def hold(
        self, topic: str, partition: int, key: bytes, headers: Sequence[tuple[str, bytes | None]], value: bytes
    ) -> None:
        held = self.partitions.setdefault((topic, partition), [])
        held.append(Record(topic, partition, len(held), self.world.clock.now(), key, headers, value))
        self.world.trace.note("hold", topic, partition, len(held))
        self._tell(topic, None)

    def _tell(self, topic: str, row: OutboxRow | None) -> None:
        if topic.startswith(inbox_prefix(AUDIT)) and row is not None:
            self.facts.append(row)
        for instance in self.world.instances.values():
            if topic.startswith(inbox_prefix(instance.name)):
                instance.news.set()
