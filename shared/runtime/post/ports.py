"""What relay and consumer need from outside. Adapters: PostgreSQL and Kafka; in memory for the simulation.

Both pass the same conformance suite (`tests/conformance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from shared.exchange.message import Draft, Record
from shared.runtime.database.transactions import Session
from shared.vocabulary.answers import ReceiptOutcome

RESEND_WAIT_MAX: Final = timedelta(minutes=10)
#: A restore costs a message one signature more. A recipient that goes on refusing the numbers of new epochs is wrong.
SIGNED_AGAIN_MAX: Final = 3


class Coordinate(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the relay adds to a draft, once and for ever: resending uses the same bytes."""

    outbox_id: int
    epoch: UUID
    sequence: int
    #: Of the epoch before, stated on the first message of an epoch; None for what is not known.
    prev_epoch: UUID | None
    prev_last: int | None
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
    outcome: ReceiptOutcome
    code: str | None
    receipt_id: UUID
    by: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified message as the inbox keeps it: no body. `digest` covers all of it: it is the message's identity."""

    message_id: UUID
    sender: str
    recipient: str
    epoch: UUID
    sequence: int
    type: str
    subject: str
    digest: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Admission:
    """What the inbox says of arrivals, by digest. Every arrival is in exactly one of the three.

    `fresh` are new, and in the inbox from now on. `done` were there before, with their stored outcome. `reused` are
    other messages under an id or a sequence number that is taken, with the code that says which.
    """

    fresh: frozenset[str]
    done: dict[str, tuple[ReceiptOutcome, str | None]]
    reused: dict[str, str]


@dataclass(frozen=True, slots=True)
class Settled:
    """What receipt entries did: `taken` changed what this instance knows, `unmatched` fit nothing it ever sent.

    An entry that repeats what was known before is in neither.
    """

    taken: list[Settlement]
    unmatched: list[Settlement]


@dataclass(frozen=True, slots=True)
class Parked:
    """A quarantine row. `record` is kept only where signature and guard both passed; the adapter encrypts it.

    The broker's time is part of the place: once a topic has been made again, its offsets name other records.
    """

    topic: str
    partition: int
    offset: int
    broker_time: datetime
    length_bytes: int
    digest: str
    reason: str
    sender: str | None
    message_id: UUID | None
    record: Record | None


class OutboxStore(Protocol):
    """The relay's side of the outbox. Rows for the topics in `without` are left where they are."""

    async def unsent(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        """Stamped rows whose sending was never noted, in stamping order."""
        ...

    async def unstamped(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        """Rows to stamp, in order. One waits while an earlier one of its subject to its recipient is still there.

        So one message of a subject is under way at a time. If it is lost with the broker's disk and sent again, it
        still comes before the next.
        """
        ...

    async def stamp(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Give each row the next sequence of its pair and sign all, a batch a recipient; durable before it returns.

        The pair's epoch is a new one where this database is another than gave out its last number, or where that
        number was refused as given out before.

        Raises `Unavailable` if one of the rows is not there unstamped any more: then none is stamped.
        """
        ...

    async def unreceipted(self, sent_before: datetime, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        """Rows last sent before then and not yet receipted, in stamping order.

        One that had been waiting at its last sending waits as long again, at most `RESEND_WAIT_MAX`: a recipient
        that is down for a day does not fill the broker with copies.
        """
        ...

    async def mark_sent(self, rows: Sequence[OutboxRow], at: datetime) -> None:
        """Note the sending. Rows that nobody receipts (facts, receipts) end here."""
        ...


class LogWriter(Protocol):
    """The broker as the relay sees it."""

    async def append(self, rows: Sequence[OutboxRow]) -> frozenset[str]:
        """Durably append all rows in order, or raise `Unavailable` (some may have been appended).

        Returns the topics that are not there or not ours to write: of their rows, too, only some may have been.
        """
        ...


class RecordSource(Protocol):
    """The broker as a replay sees it."""

    async def read_at(self, where: Coordinate, offset: int) -> Record | None:
        """The record at one offset, or None if it is gone or never was. Raises `Unavailable`."""
        ...


class Unit(Protocol):
    """One transaction of a consumed batch: inbox, effects and outgoing messages commit together.

    `connection` is what effects are written through: the transaction itself. A store in memory has its own state there.
    """

    connection: Session

    async def admit(self, arrivals: Sequence[Arrival]) -> Admission: ...

    async def record_outcomes(self, outcomes: Sequence[tuple[UUID, ReceiptOutcome, str]]) -> None:
        """Overwrite `applied` for the fresh messages that the service refused or parked."""
        ...

    async def enqueue(self, drafts: Sequence[Draft]) -> None: ...

    async def settle(self, settlements: Sequence[Settlement]) -> Settled:
        """Apply receipt entries: rows leave the outbox; a parked message may turn out applied or refused later.

        An entry counts only if its digest is ours and its signer is the instance that the message went to. One with
        the code `SIGN_AGAIN` settles nothing, `SIGNED_AGAIN_MAX` times a message: the message waits for its number
        again, and its epoch ends.
        """
        ...

    async def park(self, parked: Sequence[Parked]) -> list[Parked]:
        """Put records into quarantine; return those that were not there already."""
        ...


class InboxStore(Protocol):
    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Open the transaction of one batch: commits when left normally, rolls back on an exception."""
        ...
