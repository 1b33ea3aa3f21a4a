"""What relay and consumer need from outside. Adapters: PostgreSQL and Kafka; in memory for the simulation.

Both pass the same conformance suite (`tests/conformance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from shared.exchange.message import Draft
from shared.vocabulary.answers import Outcome


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the relay adds to a draft, once and for ever: resending uses the same bytes."""

    outbox_id: int
    sequence: int
    key_id: str
    root: bytes
    signature: bytes
    index: int
    size: int
    path: bytes


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A draft in the outbox; `stamp` is None until the relay has stamped it."""

    outbox_id: int
    draft: Draft
    stamp: Stamp | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """One receipt entry as the sender keeps it. `by` is the instance that signed the receipt."""

    message_id: UUID
    digest: str
    outcome: Outcome
    code: str | None
    receipt_id: UUID
    by: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified message as the inbox keeps it: no body."""

    message_id: UUID
    sender: str
    recipient: str
    sequence: int
    type: str
    digest: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Admission:
    """What the inbox says of an arrival: new, done before (with its stored outcome), or its sequence was reused."""

    fresh: frozenset[UUID]
    done: dict[UUID, tuple[Outcome, str | None]]
    reused: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Parked:
    """A quarantine row. `body` is set only where signature and guard both passed; the adapter encrypts it."""

    topic: str
    partition: int
    offset: int
    length_bytes: int
    digest: str
    reason: str
    sender: str | None
    message_id: UUID | None
    body: bytes | None


class OutboxStore(Protocol):
    """The relay's side of the outbox."""

    async def unstamped(self, limit: int) -> list[OutboxRow]: ...

    async def stamp(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Give each row the next sequence of its pair and sign all as one batch; durable before it returns."""
        ...

    async def unreceipted(self, sent_before: datetime | None, limit: int) -> list[OutboxRow]:
        """Stamped rows not yet receipted, in stamping order; all of them when `sent_before` is None."""
        ...

    async def mark_sent(self, rows: Sequence[OutboxRow], at: datetime) -> None:
        """Note the sending. Rows that nobody receipts (facts, receipts) end here."""
        ...


class LogWriter(Protocol):
    """The broker as the relay sees it."""

    async def append(self, rows: Sequence[OutboxRow]) -> None:
        """Durably append all rows in order, or raise `Unavailable` (some may have been appended)."""
        ...


class Unit(Protocol):
    """One transaction of a consumed batch: inbox, effects and outgoing messages commit together."""

    connection: Any

    async def admit(self, arrivals: Sequence[Arrival]) -> Admission: ...

    async def record_outcomes(self, outcomes: Sequence[tuple[UUID, Outcome, str]]) -> None:
        """Overwrite `applied` for the fresh messages that the service refused or parked."""
        ...

    async def enqueue(self, drafts: Sequence[Draft]) -> None: ...

    async def settle(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """Apply receipt entries to the outbox; return those that match nothing this instance sent."""
        ...

    async def park(self, parked: Sequence[Parked]) -> list[Parked]:
        """Put records into quarantine; return those that were not there already."""
        ...


class InboxStore(Protocol):
    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Open the transaction of one batch: commits when left normally, rolls back on an exception."""
        ...
