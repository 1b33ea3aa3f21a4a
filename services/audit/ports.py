"""What audit's use cases need from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from services.audit.domain import Read


class Place(NamedTuple):
    """One partition of one generation of a topic: a topic deleted and made again starts a new one."""

    topic: str
    generation: UUID
    partition: int


@dataclass(frozen=True, slots=True)
class Partition:
    """What is asked of one partition: entries from an offset on, in one generation; the newest if none is named."""

    topic: str
    partition: int
    from_offset: int
    generation: UUID | None


class Entries(Protocol):
    """The entries, append-only. One process at a time appends (an advisory lock)."""

    async def cursors(self) -> Mapping[Place, int]:
        """The next offset of every place read so far."""
        ...

    async def append(self, read: Read, cursors: Mapping[Place, int]) -> None:
        """Keep a batch and move the cursors, in one transaction; what is kept already stays as it is."""
        ...

    async def flow(self, referral_id: UUID, *, exercise: bool) -> list[dict[str, Any]]:
        """Everything that belongs to one referral of this world, in order of broker time."""
        ...

    async def generations(self, topic: str) -> list[UUID]:
        """The generations of a topic that were read, the newest last."""
        ...

    async def page(self, place: Partition, generation: UUID, *, exercise: bool, limit: int) -> list[dict[str, Any]]:
        """Entries of one partition, in order, without those of the other world."""
        ...

    async def note_reading(self, auditor: str, purpose: str, what: str) -> None:
        """Keep who looked at what, and why."""
        ...
