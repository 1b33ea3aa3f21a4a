"""What relay and consumer need from outside. Adapters: PostgreSQL and Kafka; in memory for the simulation.

Both pass the same conformance suite (`tests/conformance`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from shared.contracts.delivery import GoneClear, GoneNumbers, Numbering, SentMark, TakenMark
from shared.exchange.message import Draft, Received, Record
from shared.runtime.database.transactions import Session
from shared.runtime.post.arrivals import Admission, Arrival, Awaited, Cursor, Held, Outcome, Parked, Step
from shared.vocabulary.answers import ReceiptOutcome

#: A restore costs a message one signature more. A recipient that goes on refusing the numbers of new epochs is wrong.
SIGNED_AGAIN_MAX: Final = 3
#: A number that is not there is sent again when its last append is so long ago.
HOLE_AGE: Final = timedelta(seconds=60)
#: A message that its recipient's mark has passed, and that no receipt has come for, is sent again after that.
UNRECEIPTED_AGE: Final = timedelta(minutes=5)
#: What is wanted is sent again so long after the last time that it was: each copy is a record, and an entry of audit's.
WANTED_AGE: Final = timedelta(seconds=30)


class Coordinate(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record before the broker has it: final bytes, the same at every sending."""

    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """A draft with its number, and the record that it makes. `digest` covers all that its signature covers."""

    draft: Draft
    epoch: UUID
    sequence: int
    digest: str
    record: Outgoing


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits in a lane. `record` is None where what is stored of it cannot be read.

    `edge`: it carries an edge, whose recipient judges its decision by the time at which the broker takes it.
    """

    message_id: UUID
    position: int
    edge: bool
    record: Outgoing | None


class LaneWork(NamedTuple):
    """What waits in a lane, in order. All up to `last` is there or gone; `offset`: of its last record in Kafka."""

    rows: list[Waiting]
    last: int
    offset: int | None


@dataclass(frozen=True, slots=True)
class Appended:
    """What the broker said of an append: how many records it took, the first one's offset, its own time.

    `offset` is None where it knew the records from before, `at` where it says no time.
    """

    count: int
    offset: int | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a lane has come at `at`, our time; `aside` are those on the way there that cannot be sent, and why."""

    through: int
    at: datetime
    offset: int | None = None
    aside: Mapping[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settlement:
    """One receipt entry as the sender keeps it. `by` is the instance that signed the receipt.

    `edge_id` is the edge that the message carries, by its word.
    """

    message_id: UUID
    digest: str
    outcome: ReceiptOutcome
    code: str | None
    receipt_id: UUID
    by: str
    edge_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What receipt entries did: `taken` changed what this instance knows, `unmatched` fit nothing it ever sent.

    `late` were applied after they had been refused, by a recipient that has forgotten that it did: what is known here
    stays. An entry that repeats what was known before is in none of them.
    """

    taken: list[Settlement]
    unmatched: list[Settlement]
    late: list[Settlement]


class LaneStore(Protocol):
    """The relay's side of the outbox: lanes, each with its own order. Nothing in it raises but `Unavailable`."""

    async def lanes(self) -> list[str]:
        """The lanes in which something waits."""
        ...

    async def work(self, lane: str, limit: int) -> LaneWork:
        """The first rows that wait in a lane."""
        ...

    async def note(self, lane: str, progress: Progress) -> None:
        """Note how far a lane has come. Raises `Unavailable("lease_lost")` if another is the relay now."""
        ...

    async def try_aside(self) -> None:
        """Let what was set aside wait again, at the end of its lane: what kept it may have been mended."""
        ...

    async def rewind(self, lane: str) -> None:
        """Let all that the lane still holds wait again: its topic has lost its end. Raises as `note` does."""
        ...


#: What is said of a topic that no waiting mends: it is missing, not ours to write, or too small for a record.
MENDED_BY_HAND: Final = frozenset({"broker_refuses", "broker_record_bound"})


class LogWriter(Protocol):
    """The broker as the relay sees it. Lanes do not wait for each other."""

    async def append(self, lane: str, records: Sequence[Outgoing], *, once: bool = False) -> Appended:
        """Durably append as many of the first records as go together: all of these, or none.

        Who raises is asked again with the same records, but for what is said `once`, which nobody brings again.
        Raises `Unavailable` (they may have been appended; with a code of `MENDED_BY_HAND` an operator must mend the
        topic) and `Refused` for a first record that no topic may take. What is the topic's fault is never refused.
        """
        ...


#: Of one statement of marks so many holes are looked at, and so many rows are sent again for each reason.
HOLES_LOOKED_AT: Final = 1024
AGAIN_MAX: Final = 5000


class SentBook(Protocol):
    """What this instance has sent, as it and the other side speak of it. Within the transaction of a unit."""

    async def sent_marks(self, to: str, of: Sequence[Numbering] | None = None) -> list[SentMark]:
        """Of each pair and epoch towards instance `to` the last number given and the lowest held; to audit, of all.

        With `of`, of those alone.
        """
        ...

    async def appended(self, to: str) -> int:
        """How many records the topic of instance `to` holds by its broker's word, at most; to audit, any topic."""
        ...

    async def take_marks(
        self, by: str, taken: Sequence[TakenMark], at: datetime, *, holes: int = HOLES_LOOKED_AT
    ) -> list[GoneNumbers]:
        """Note what `by`, the recipients' instance or audit, has taken; return the holes that are not held any more.

        The first `holes` of them are looked at, and `AGAIN_MAX` rows: the others when they are said again.

        What both have passed, and whose outcome is final or nobody's to state, leaves. Holes whose last append is
        `HOLE_AGE` old are sent again, and so is what `by` has passed for `UNRECEIPTED_AGE` without a receipt. What is
        said of numbers that were never given, or of another's, changes nothing.
        """
        ...

    async def send_again(self, to: str, ids: Sequence[UUID], at: datetime) -> list[UUID]:
        """Give messages new positions, in the order of their numbers; return those that are not held.

        One that was sent so less than `WANTED_AGE` before `at` stays where it is.
        """
        ...

    async def receipts_lost(self, by: str, at: datetime) -> bool:
        """Receipts of `by` come no more: what it has answered, and not for good, counts as unreceipted since `at`.

        Of so many messages as `AGAIN_MAX`; returns whether there may be more.
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

    async def compacted(self, of: str) -> UUID | None:
        """The newest message of which no more than its number may be known; None: all have their rows."""
        ...

    async def wanted(self, now: datetime) -> dict[str, list[UUID]]:
        """By instance, the messages to send again: deferred ones whose need is met, parked ones that were asked for.

        In the order of their numbers. Each is named again after a growing pause, until it has its last word.
        """
        ...

    async def ask_for_what_waits(self) -> None:
        """Let go what waits here, and ask for it: in a restored database it may have been applied, and taken back."""
        ...

    async def ask(self, message_ids: Sequence[UUID]) -> None:
        """An operator wants these parked messages judged again, and nobody here has them whole."""
        ...


class Conversation(Protocol):
    """What instances tell each other about delivery itself (family DELIVERY)."""

    async def heard(self, unit: Unit, received: Sequence[Received]) -> None:
        """Take what others said, in order, within the batch's transaction. What comes again changes nothing."""
        ...

    async def unread(self, unit: Unit, stated: Mapping[str, UUID]) -> None:
        """Of these instances a statement could not be read by this release, by its id."""
        ...

    async def unknown(self, unit: Unit, held: Sequence[Settlement]) -> None:
        """Others have applied these messages, and this database does not know that they were ever sent."""
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

    async def keep_waiting(self, waiting: Sequence[Awaited]) -> frozenset[UUID]:
        """Keep what waits, as far as there is room; the ids of what is kept."""
        ...

    async def release(self, needs: Sequence[str]) -> None:
        """What waits for one of these is due once committed (`InboxStore.due`); what is deferred for it is wanted."""
        ...

    @property
    def sent_book(self) -> SentBook: ...

    async def enqueue(self, drafts: Sequence[Draft]) -> None:
        """Gather what is to be sent: numbered, signed and stored as the last step before the commit."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> Settled:
        """Note what receipts say of our messages. A final outcome stands, but for `refused` after `applied`.

        An entry counts only if its digest is ours and its signer is the instance that the message went to. One with
        the code `SIGN_AGAIN` settles nothing, `SIGNED_AGAIN_MAX` times a message: it is signed again, in a new epoch.
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
