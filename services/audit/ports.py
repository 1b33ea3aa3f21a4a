"""What audit's use cases need from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from services.audit.domain import Read


class Place(NamedTuple):
    """One partition of one generation of a topic: a topic deleted and made again starts a new one."""

    topic: str
    generation: UUID
    partition: int


class Entries(Protocol):
    """The entries, append-only. One writer (an advisory lock)."""

    async def cursors(self) -> Mapping[Place, int]:
        """The next offset of every place read so far."""
        ...

    async def append(self, read: Read, cursors: Mapping[Place, int]) -> None:
        """Keep a batch and move the cursors, in one transaction; what is kept already stays as it is."""
        ...

    async def flow(self, referral_id: UUID) -> list[dict[str, Any]]:
        """Everything that belongs to one referral, in order of broker time."""
        ...

    async def page(self, topic: str, partition: int, *, from_offset: int, limit: int) -> list[dict[str, Any]]:
        """Entries of one partition, in order, from an offset on."""
        ...

    async def note_reading(self, auditor: str, purpose: str, what: str) -> None:
        """Keep who looked at what, and why."""
        ...
