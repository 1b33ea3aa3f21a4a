"""What audit's use cases need from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol
from uuid import UUID

from pydantic import Field

from services.audit.domain import EntryKind, Read
from shared.contracts.base import Contract, Digest, ErrorCode, Flag, Instant, JsonObject, RuleId, Uuid
from shared.vocabulary.answers import ReceiptOutcome

Count = Annotated[int, Field(ge=0)]


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


class KeptEntry(Contract):
    """What audit keeps of one record: where it is, what it claims, whether its sender's proof held then.

    A topic that was deleted and made again is another `generation`. `problem` says why a record is not verified, what
    is wrong with what it states, or why a statement that is `not_entitled` does not count: its sender signed it, and
    it was not its sender's to make.
    `detail` is what a fact states: a decision with its facts and what was not sent, a refusal, or why a record was
    parked. `rules`, `outcome` and `code` are there where a decided fact or a receipt speaks of the message.
    """

    position: Count
    at: Instant
    topic: str
    generation: Uuid
    partition: Count
    offset: Count
    previous_offset: Count | None
    kind: EntryKind
    type: str | None
    subject: str | None
    sender: str | None
    recipient: str | None
    epoch: UUID | None
    sequence: Count | None
    message_id: Uuid | None
    digest: Digest
    verified: Flag
    problem: ErrorCode | None
    exercise: Flag | None
    detail: JsonObject | None
    rules: tuple[RuleId, ...]
    outcome: ReceiptOutcome | None
    code: ErrorCode | None


class Flow(Contract):
    """All messages of one referral, in the order of the broker's time."""

    referral_id: Uuid
    messages: Annotated[tuple[KeptEntry, ...], Field(min_length=1)]


class EntryPage(Contract):
    """Entries of one partition, in the order of their offsets; and the topic's generations, the newest last."""

    generations: tuple[Uuid, ...]
    items: tuple[KeptEntry, ...]


class Entries(Protocol):
    """The entries, append-only. One process at a time appends (an advisory lock)."""

    async def cursors(self) -> Mapping[Place, int]:
        """The next offset of every place read so far."""
        ...

    async def append(self, read: Read, cursors: Mapping[Place, int]) -> None:
        """Keep a batch and move the cursors, in one transaction; what is kept already stays as it is."""
        ...

    async def flow(self, referral_id: UUID, *, exercise: bool) -> list[KeptEntry]:
        """Everything that belongs to one referral of this world, in order of broker time."""
        ...

    async def generations(self, topic: str) -> list[UUID]:
        """The generations of a topic that were read, the newest last."""
        ...

    async def page(self, place: Partition, generation: UUID, *, exercise: bool, limit: int) -> list[KeptEntry]:
        """Entries of one partition, in order, without those of the other world."""
        ...

    async def note_reading(self, auditor: str, purpose: str, what: str) -> None:
        """Keep who looked at what, and why."""
        ...
