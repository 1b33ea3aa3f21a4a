"""The broker of the simulation: repeats, loses what it has, and writes late what it was sent before an outage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from shared.contracts.registry import GONE
from shared.exchange.message import Record
from shared.exchange.topics import inbox_prefix
from shared.kernel.errors import Unavailable
from shared.runtime.post.arrivals import Cursor
from shared.runtime.post.ports import Appended, Outgoing
from tests.simulation.cheap import opened
from tests.simulation.writing import read_clear
from tests.support.memory_stores import MemoryLog, MemoryLogWriter

if TYPE_CHECKING:
    from tests.simulation.world import World


class LateWriter(MemoryLogWriter["ChaoticLog"]):
    """What an append that failed had sent may still be written, long after it was sent again."""

    async def append(self, lane: str, records: Sequence[Outgoing], *, once: bool = False) -> Appended:
        try:
            return await super().append(lane, records)
        except Unavailable:
            world = self.log.world
            if not world.calm and world.random.random() < 0.3:
                world.loop.call_later(world.random.uniform(0.1, 90), self._write, lane, list(records))
            raise

    def _write(self, lane: str, records: Sequence[Outgoing]) -> None:
        for record in () if self.log.world.calm else records:
            held = self.log.append(lane, record, self.instance)
            self.log.marks_late |= not is_numbered(held)


class ChaoticLog(MemoryLog):
    """The log of the world: notes every append, wakes its readers, and remembers each message's bytes for good."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.world = world
        self.bytes_of: dict[tuple[UUID, UUID, int], set[object]] = {}
        #: Who was told that numbers are gone.
        self.told_gone: set[str] = set()
        #: Whether marks were written behind newer ones: by the broker's time they are the newest, and count.
        self.marks_late = False
        #: How many records were appended that have a number.
        self.numbered = 0

    def append(self, lane: str, record: Outgoing, instance: str) -> Record:
        stated = opened(tuple(record.headers), record.value).attributes
        # A message that is signed again has other bytes: under another number.
        self.bytes_of.setdefault((stated.id, stated.epoch, stated.sequence), set()).add((record.headers, record.value))
        self.numbered += stated.sequence > 0
        if stated.type == GONE.type and read_clear(GONE, opened(tuple(record.headers), record.value).body).numbers:
            self.told_gone.add(lane)
        held = super().append(lane, record, instance)
        if stated.sequence and self.world.random.random() < self.world.theme.echoes:
            self.world.loop.call_later(self.world.random.uniform(1, 60), self.repeat, held)
        return held

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
        """The record once more, later; not when all else is over."""
        if self.world.calm:
            return
        self.marks_late |= not is_numbered(record)
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

    def refill_some(self, prefix: str) -> None:
        """A tail is lost, and before anybody looks other records have its offsets: what was written late or twice."""
        chance = self.world.random
        names = sorted(name for name, each in self.topics.items() if name.startswith(prefix) and len(each.records) > 1)
        if not names:
            return
        name = chance.choice(names)
        topic = self.topics[name]
        count = min(len(topic.records) - 1, chance.randint(1, 4))
        topic.lose_tail(count)
        self.world.trace.note("refilled", name, count)
        numbered = [record for record in topic.records if is_numbered(record)] or topic.records
        for _ in range(count + chance.choice((0, 0, 1))):
            self.repeat(chance.choice(numbered))

    def lose_read(self, name: str, cursor: Cursor) -> None:
        """Retention has passed what a reader has read, or most of it."""
        topic = self.topics.get(name)
        if topic is not None and topic.topic_id == cursor.topic_id and cursor.following > topic.first:
            read = min(cursor.following, topic.end) - topic.first
            count = read - self.world.random.choice((0, 0, 0, min(2, read)))
            topic.lose_head(count)
            self.world.trace.note("lost", name, "read", count)


def is_numbered(record: Record) -> bool:
    """Whether it is anything but marks: these alone have no number."""
    return ("ce_sequence", b"0") not in record.headers
