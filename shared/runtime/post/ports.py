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

from shared.contracts.delivery import GoneClear, SentMark, TakenMark
from shared.exchange.message import Draft, Received, Record
from shared.runtime.database.transactions import Session
from shared.runtime.post.arrivals import Admission, Arrival, Cursor, Held, Outcome, Parked, Step, Waiting
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
class Settled:
    """What receipt entries did: `taken` changed what this instance knows, `unmatched` fit nothing it ever sent.

    An entry that repeats what was known before is in neither.
    """

    taken: list[Settlement]
    unmatched: list[Settlement]


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


class TakenBook(Protocol):
    """Which numbers of others this instance has taken, and which messages of theirs it wants again.

    Used within the transaction of a unit. `by` is the instance that says so: it can change nothing but what it sent.
    """

    async def taken_marks(self, of: str) -> list[TakenMark]:
        """What was taken of the numbers of instance `of`, by pair and epoch, the first `HOLES_MAX` holes of each."""
        ...

    async def know(self, sent: Sequence[SentMark], *, by: str) -> None:
        """Numbers up to `last` were given: those that have not come are holes, also where nothing has come at all."""
        ...

    async def pass_gone(self, gone: GoneClear, *, by: str) -> None:
        """Pass what its sender no longer holds. It leaves no outcome: comes it all the same, it is taken."""
        ...

    async def wanted(self, now: datetime) -> dict[str, list[UUID]]:
        """By instance, the messages to send again: deferred ones whose need is met, parked ones that were asked for.

        In the order of their numbers. Each is named again after a growing pause, until it has its last word.
        """
        ...

    async def ask(self, message_ids: Sequence[UUID]) -> None:
        """An operator wants these parked messages judged again, and nobody here has them whole."""
        ...


class Conversation(Protocol):
    """What instances tell each other about delivery itself (family DELIVERY)."""

    async def heard(self, unit: Unit, received: Sequence[Received]) -> None:
        """Take what others said, in order, within the batch's transaction. What comes again changes nothing."""
        ...


class Unit(Protocol):
    """One transaction of a consumed batch: cursors, inbox, effects and outgoing messages commit together.

    `connection` is what effects are written through: the transaction itself. A store in memory has its own state there.
    `taken` is the book of numbers within it.
    """

    connection: Session
    taken: TakenBook

    async def advance(self, steps: Sequence[Step]) -> None:
        """Move the cursors. Raises `Superseded` unless each stands at its `first` in the same life of its topic."""
        ...

    async def admit(self, arrivals: Sequence[Arrival]) -> Admission: ...

    async def withdrawn(self, arrivals: Sequence[Arrival]) -> frozenset[str]:
        """The digests of those whose subject their sender has taken back from their recipient before."""
        ...

    async def held(self, arrivals: Sequence[Arrival]) -> dict[str, Held]:
        """What was applied before of the edges and acts that these tell, from the same sender, by their digests."""
        ...

    async def end_open(self, withdrawals: Sequence[Arrival]) -> list[Arrival]:
        """Refuse what of the withdrawn subjects is deferred or waits, as `subject_withdrawn`; those that it ended."""
        ...

    async def take(self, arrivals: Sequence[Arrival]) -> None:
        """Note their numbers as taken. One without a number (0) is passed over."""
        ...

    async def record_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Overwrite `applied` for the fresh messages of which something else became."""
        ...

    async def keep_waiting(self, waiting: Sequence[Waiting]) -> frozenset[UUID]:
        """Keep what waits, as far as there is room; the ids of what is kept."""
        ...

    async def release(self, needs: Sequence[str]) -> None:
        """What waits for one of these is due: `InboxStore.due` has it from the commit on."""
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
        """Put records into quarantine; return those that are rows of their own, and not one more of a row."""
        ...


class InboxStore(Protocol):
    def unit(self) -> AbstractAsyncContextManager[Unit]:
        """Open the transaction of one batch: commits when left normally, rolls back on an exception."""
        ...

    async def due(self, limit: int) -> list[Record]:
        """Records that waited and need wait no longer, each sender's in the order of their numbers."""
        ...


class CursorStore(Protocol):
    """Cursors, and who of several processes reads which topic: by leases that end with their holder."""

    async def lease(self, topics: Sequence[str], *, holder: UUID) -> frozenset[str]:
        """Renew the holder's leases and take its fair share of `topics`; which it has now, for `LEASE_S` at least."""
        ...

    async def leave(self, holder: UUID) -> None:
        """Give all its leases up at once."""
        ...

    async def cursors(self, topics: Sequence[str]) -> list[Cursor]: ...

    async def set_back(self, before: Cursor | None, after: Cursor) -> bool:
        """Put a cursor elsewhere, or there first; False if another process has moved it meanwhile."""
        ...
