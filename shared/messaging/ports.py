"""The ports of messaging: the subjects of an instance and the log, and the rows of its store.

The ports and the store have real adapters, and adapters in memory for unit tests and the simulation. Both stores pass
the same conformance suite.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from shared.messaging.exceptions import EXCEPTIONS_MAX, OutcomeKind
from shared.messaging.segments import RecordBytes, Segment
from shared.messaging.streams import Lane, Pair, StreamPlace, WireRole


class OperatorKind(StrEnum):
    """The reason for a line on the operator's list."""

    UNKNOWN = "unknown"
    ACT = "act"
    BEHIND = "behind"
    AHEAD = "ahead"
    UNDECIDABLE = "undecidable"


class OperatorLine(NamedTuple):
    """One line of the operator's list. Equal lines (kind, peer, subject and act) are stored once."""

    kind: OperatorKind
    peer: str
    subject: UUID | None = None
    act: UUID | None = None


#: Open lines that one peer can bring on the operator's list.
LINES_MAX: Final = 10_000
#: Own messages that one peer can hold as exceptions, in both lanes.
OPEN_OUTCOMES_MAX: Final = 2 * EXCEPTIONS_MAX


def bound_lines(lines: Sequence[OperatorLine], peer: str, *, open_count: int) -> list[OperatorLine]:
    """Return the lines of a peer, each once, up to its share of the operator's list.

    Lines without a subject are few. If others are left out, such a line states it.
    """
    own = [line for line in dict.fromkeys(lines) if line.peer == peer]
    subjects = [line for line in own if line.subject is not None]
    room = max(0, LINES_MAX - open_count)
    more = [OperatorLine(OperatorKind.UNKNOWN, peer)] if len(subjects) > room else []
    return list(dict.fromkeys([*(line for line in own if line.subject is None), *subjects[:room], *more]))


class OpenOutcome(NamedTuple):
    """An own message that a peer holds as an exception."""

    peer: str
    message_id: UUID
    kind: OutcomeKind
    code: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class PeerResync:
    """The resync requests of one peer. `nonce`: the latest request without an answer. `is_first`: it asks for a request
    in return. `answered_at`: the last answer. `rows_nonce`: the answered request that may still ask for rows, once.

    `taken_nonce`: the own request whose first step the peer has answered. `taken_through`: the end of the rows that
    were taken of its answer (`resync.span_of`). `sent_count`: the subjects sent again to the peer since `sent_since`.
    `asked_days`: the days whose rows the own request still asks for (`resync.day_key`).
    """

    peer: str
    nonce: UUID | None = None
    is_first: bool = False
    answered_at: datetime | None = None
    rows_nonce: UUID | None = None
    taken_nonce: UUID | None = None
    taken_through: str = ""
    sent_since: datetime | None = None
    sent_count: int = 0
    asked_days: str = ""


@dataclass(frozen=True, slots=True)
class SubjectHolding:
    """A subject as one side holds it, or as the other side expects.

    `revision` 0 with `is_withdrawn`: a tombstone, which names no acts. `is_erased`: content and acts were erased; the
    stub stays until the subject's day closes. `content`: the digest of the content, 32 bytes.
    """

    subject: UUID
    revision: int
    content: bytes | None
    acts: tuple[UUID, ...] = ()
    is_withdrawn: bool = False
    is_erased: bool = False


class DayDigest(NamedTuple):
    """The holdings of one day: how many, and SHA-256 over their sorted rows."""

    day: date
    holding_count: int
    digest: bytes


class Side(StrEnum):
    """The owner of a holding's subject, seen from the instance that states the holding."""

    #: Subjects of the peer that are held here, with the acts of the peer.
    HELD = "held"
    #: Own subjects, with the acts that the peer answered.
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class OwnTrack:
    """An own subject, or the own answers on a subject of the peer, as this side knows it.

    `is_placed`: the subject's place is at the peer. `was_sent`: it was sent there before. `is_finished`: it has no due
    step, so a peer that never got it needs no state. Answers have revision 0 and no content; `is_withdrawn` and
    `is_erased` are then those of the held subject. `told_once`: acts that a state does not repeat when it is sent
    again.
    """

    subject: UUID
    revision: int = 0
    content: bytes | None = None
    acts: tuple[UUID, ...] = ()
    is_withdrawn: bool = False
    is_erased: bool = False
    is_placed: bool = True
    is_finished: bool = False
    was_sent: bool = True
    told_once: frozenset[UUID] = frozenset()


class Subjects(Protocol):
    """The subjects of an instance, as messaging needs them, in the transaction of the caller.

    `side` names the rows that the peer states: `held` are own subjects here, and `answered` are the own answers.
    Methods that send add drafts to the caller's scope.
    """

    def day_of(self, subject: UUID) -> date:
        """Return the coded day of a subject."""
        ...

    def is_day_closed(self, subject: UUID) -> bool:
        """Return whether the subject's day is past its retention class at both ends."""
        ...

    async def list_held_days(self, side: Side, peer: str) -> list[DayDigest]:
        """Return the digests of the holdings here, by day, for days that are not closed."""
        ...

    async def list_held(self, side: Side, peer: str, *, days: Collection[date]) -> list[SubjectHolding]: ...

    async def list_own_days(self, side: Side, peer: str) -> list[DayDigest]:
        """Return the digests that the peer states if it lacks nothing (`resync.expect_holding`)."""
        ...

    async def list_own(self, side: Side, peer: str, *, days: Collection[date]) -> list[OwnTrack]: ...

    async def load_own(self, side: Side, peer: str, *, subjects: Collection[UUID]) -> dict[UUID, OwnTrack]: ...

    async def send_state(self, subject: UUID) -> None:
        """Send the whole state of an own subject to its place. An erased subject is not sent."""
        ...

    async def send_withdrawal(self, subject: UUID, peer: str) -> None: ...

    async def send_answers(self, subject: UUID, peer: str) -> None:
        """Send all own answers on a subject of the peer again, in order."""
        ...

    async def adopt_withdrawal(self, subject: UUID, peer: str) -> None:
        """Withdraw an own subject, even an unknown one, and send the withdrawal everywhere it was ever sent.

        An unknown subject may have been sent to every peer.
        """
        ...

    async def decide_again(self, subject: UUID) -> None:
        """Decide an own subject again by the documents in force: three times at most, then list it for the operator."""
        ...

    async def note_sent(self, subjects: Collection[UUID], peer: str) -> None:
        """Note that these own subjects were sent to the peer once: the peer named them."""
        ...

    async def note_erased(self, subjects: Collection[UUID], peer: str) -> None:
        """Note that the peer has erased these own subjects."""
        ...

    async def note_places(self, places: Mapping[str, Mapping[UUID, StreamPlace]]) -> None:
        """Note the places of own messages, by peer: of new ones, and of those that a new incarnation carries."""
        ...

    async def find_erased(self, peer: str, subjects: Collection[UUID]) -> frozenset[UUID]:
        """Return those of the subjects, own or the peer's, that were erased here."""
        ...


class MessageDraft(NamedTuple):
    """A message before it is sealed and proven. `body` belongs to the feature, or is a body of the protocol."""

    peer: str
    role: WireRole
    kind: str
    subject: UUID | None
    body: object
    is_p0: bool = False


class PlacedRecord(NamedTuple):
    """A record as the relay appends it. `segment` names its stream; a copy for audit goes to another topic."""

    segment: Segment
    place: StreamPlace
    record: RecordBytes


class AppendPosition(NamedTuple):
    """The position of an append: the topic's id, the offset of its first record, and the offset after its last one.

    The append may have more records than messages, because proofs have no number. `broker_at`: the broker's time of the
    last record, if the log states it.
    """

    topic_id: UUID
    offset: int
    end: int
    broker_at: datetime | None = None


class Log(Protocol):
    """The partitions that this instance writes."""

    async def append(self, topic: Pair, lane: Lane, records: Sequence[PlacedRecord]) -> AppendPosition: ...
