"""The broker of the simulation: repeats, loses its disk, and writes late what it was sent before an outage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from shared.envelope.attributes import Envelope
from shared.envelope.headers import decode_headers
from shared.exchange.message import Record
from shared.exchange.topics import AUDIT, inbox_prefix
from shared.kernel.errors import Unavailable
from shared.runtime.post.ports import Appended, Outgoing
from tests.support.memory_outbox import Numbered
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
        #: What audit was told, and what it has seen of each pair and epoch: from whom, and the messages by number.
        self.facts: dict[UUID, Outgoing] = {}
        self.audited: dict[Numbered, dict[int, Envelope]] = {}
        self.audited_from: dict[Numbered, str] = {}

    def append(self, lane: str, record: Outgoing, instance: str) -> Record:
        held = super().append(lane, record, instance)
        envelope = decode_headers(record.headers, record.value)
        stated = envelope.attributes
        # A message that is signed again has other bytes: under another number.
        self.bytes_of.setdefault((stated.id, stated.epoch, stated.sequence), set()).add((record.headers, record.value))
        if stated.sequence:
            of = (stated.sender, stated.recipient, stated.epoch)
            self.audited_from[of] = instance
            self.audited.setdefault(of, {}).setdefault(stated.sequence, envelope)
        elif lane == AUDIT:
            self.world.auditor.asked(instance, record.value)
        if lane == AUDIT:
            self.facts[stated.id] = record
        self.world.trace.note("append", held.topic, held.offset, stated.id)
        self._tell(held.topic)
        return held

    def repeat(self, record: Record) -> None:
        """The record once more, later."""
        self.hold(record.topic, record.partition, record.key or b"", record.headers, record.value or b"")

    def hold(
        self, topic: str, partition: int, key: bytes, headers: Sequence[tuple[str, bytes | None]], value: bytes
    ) -> None:
        held = self.partitions.setdefault((topic, partition), [])
        held.append(Record(topic, partition, len(held), self.world.clock.now(), key, headers, value))
        self.world.trace.note("hold", topic, partition, len(held))
        self._tell(topic)

    def _tell(self, topic: str) -> None:
        for instance in self.world.instances.values():
            if topic.startswith(inbox_prefix(instance.name)):
                instance.news.set()
