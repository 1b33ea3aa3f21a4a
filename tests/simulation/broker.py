"""The broker of the simulation: repeats, loses what it has, and writes late what it was sent before an outage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from shared.exchange.message import Record
from shared.exchange.topics import inbox_prefix
from shared.kernel.errors import Unavailable
from shared.runtime.post.ports import Appended, Outgoing
from tests.simulation.cheap import opened
from tests.support.memory_stores import MemoryLog, MemoryLogWriter

if TYPE_CHECKING:
    from tests.simulation.world import World


class LateWriter(MemoryLogWriter["ChaoticLog"]):
    """What an append that failed had sent may still be written, long after it was sent again."""

    async def append(self, lane: str, records: Sequence[Outgoing]) -> Appended:
        try:
            return await super().append(lane, records)
        except Unavailable:
            world = self.log.world
            if not world.calm and world.random.random() < 0.3:
                world.loop.call_later(world.random.uniform(0.1, 90), self._write, lane, list(records))
            raise

    def _write(self, lane: str, records: Sequence[Outgoing]) -> None:
        for record in () if self.log.world.calm else records:
            self.log.append(lane, record, self.instance)


class ChaoticLog(MemoryLog):
    """The log of the world: notes every append, wakes its readers, and remembers each message's bytes for good."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.world = world
        self.bytes_of: dict[tuple[UUID, UUID, int], set[object]] = {}
        #: How many records were appended that have a number.
        self.numbered = 0

    def append(self, lane: str, record: Outgoing, instance: str) -> Record:
        stated = opened(tuple(record.headers), record.value).attributes
        # A message that is signed again has other bytes: under another number.
        self.bytes_of.setdefault((stated.id, stated.epoch, stated.sequence), set()).add((record.headers, record.value))
        self.numbered += stated.sequence > 0
        return super().append(lane, record, instance)

    def hold(self, name: str, key: bytes, headers: Sequence[tuple[str, bytes | None]], value: bytes) -> Record:
        held = super().hold(name, key, headers, value)
        self.world.trace.note("hold", name, held.offset, len(value))
        for instance in self.world.instances.values():
            if name.startswith(inbox_prefix(instance.name)):
                instance.news.set()
        return held

    def _is_unread(self, name: str) -> bool:
        readers = [each for each in self.world.instances.values() if name.startswith(inbox_prefix(each.name))]
        return not self.world.auditor.has_read(name) or any(each.lag_of(name) for each in readers)

    def repeat(self, record: Record) -> None:
        """The record once more, later."""
        self.hold(record.topic, record.key or b"", record.headers, record.value or b"")

    def lose_some(self) -> None:
        """A tail is lost, a topic made again, or retention has passed: of a topic that has anything."""
        chance = self.world.random
        names = sorted(name for name, topic in self.topics.items() if topic.records)
        if not names:
            return
        # What somebody has not read yet hurts most.
        unread = [name for name in names if self._is_unread(name)]
        name = chance.choice(unread if unread and chance.random() < 0.8 else names)
        topic, how = self.topics[name], chance.random()
        count = min(len(topic.records), chance.randint(1, 4))
        if how < 0.5:
            topic.lose_tail(count)
        elif how < 0.6:
            del self.topics[name]
        else:
            topic.lose_head(chance.randint(1, len(topic.records)))
        self.world.trace.note("lost", name, how, count)
