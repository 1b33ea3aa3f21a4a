"""The ports of messaging: its store within a transaction, the subjects of an instance, and the log.

Adapters: PostgreSQL and Kafka; in memory for unit tests and the simulation. Both pass the same conformance suite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.messaging.exceptions import Named, OpenException, Outcome, OutcomeKind
from shared.messaging.segments import Segment
from shared.messaging.streams import Incoming, Lane, Outgoing, Pair


class OperatorKind(StrEnum):
    """The reason why a line stands on the operator's list."""

    UNKNOWN = "unknown"
    ACT = "act"
    BEHIND = "behind"
    AHEAD = "ahead"
    UNDECIDABLE = "undecidable"


class OperatorLine(NamedTuple):
    """One line of the operator's list. The same line is kept once: by kind, peer, subject and act."""

    kind: OperatorKind
    peer: str
    subject: UUID | None = None
    act: UUID | None = None


class OpenOutcome(NamedTuple):
    """An own message that a peer holds as an exception."""

    peer: str
    message_id: UUID
    kind: OutcomeKind
    code: str | None
    since: datetime


class ResyncDebt(NamedTuple):
    """A resync request of a peer that is not yet answered. `is_first`: the peer wants to be asked in its turn."""

    nonce: UUID
    is_first: bool


class MessagingTx(Protocol):
    """The tables of messaging within one transaction.

    `load_…` with `lock=True` locks the rows until the commit, in the order of pair and lane. Nothing raises but
    `Unavailable`.
    """

    # Own streams.
    async def load_outgoing(self, peers: Sequence[str], *, lock: bool) -> dict[str, Outgoing]: ...
    async def save_outgoing(self, outgoing: Sequence[Outgoing]) -> None: ...
    async def load_known(self, peer: str) -> frozenset[UUID]:
        """Return the earlier incarnations of own streams to this peer."""
        ...

    async def add_known(self, peer: str, incarnation: UUID) -> None: ...

    # Segments.
    async def add_segments(self, segments: Sequence[Segment]) -> None: ...
    async def list_segments(
        self, peer: str, incarnation: UUID, lane: Lane, *, above: int, messages_max: int
    ) -> list[Segment]:
        """Return the segments with numbers above `above`, lowest first: one, or more up to so many messages."""
        ...

    async def find_chain(self, peer: str, incarnation: UUID, lane: Lane, number: int) -> bytes | None:
        """Return the chain after this number of an own stream, or None if the number is not kept."""
        ...

    async def drop_segments(self, peer: str, incarnation: UUID, lane: Lane, *, through: int) -> int:
        """Delete the segments whose last number is at most `through`; return the last number deleted, or 0."""
        ...

    # Streams of others.
    async def load_incoming(self, pair: Pair, *, lock: bool) -> Incoming: ...
    async def save_incoming(self, incoming: Incoming) -> None: ...

    # Exceptions of messages that others sent.
    async def add_exceptions(self, rows: Sequence[OpenException]) -> None: ...
    async def count_exceptions(self, writer: str, lane: Lane) -> int: ...
    async def list_exceptions(
        self, *, writer: str | None = None, subjects: Sequence[UUID] | None = None, rows_max: int = 1000
    ) -> list[OpenException]:
        """Return open exceptions, oldest first: of one writer, on these subjects, or all."""
        ...

    async def change_exception(self, message_id: UUID, outcome: Outcome) -> None: ...
    async def end_exceptions(self, message_ids: Sequence[UUID]) -> None: ...

    # Own messages that others hold as exceptions.
    async def put_open_outcomes(self, rows: Sequence[OpenOutcome]) -> None: ...
    async def end_open_outcomes(self, peer: str, message_ids: Sequence[UUID]) -> None: ...
    async def replace_open_outcomes(self, peer: str, rows: Sequence[OpenOutcome]) -> None: ...

    # Resync and the operator's list.
    async def load_resync_debt(self, peer: str) -> ResyncDebt | None: ...
    async def save_resync_debt(self, peer: str, debt: ResyncDebt | None, *, answered_at: datetime | None) -> None: ...
    async def load_resync_answered_at(self, peer: str) -> datetime | None: ...
    async def add_operator_lines(self, lines: Sequence[OperatorLine]) -> None: ...


@dataclass(frozen=True, slots=True)
class Holding:
    """A subject as one side holds it, or as the other side believes it does.

    `revision` 0 with `is_withdrawn`: a tombstone, which names no acts. `is_erased`: content and acts are gone; the stub
    stays until the subject's day closes. `content`: the digest of the content, 32 bytes.
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
    """Whose subjects a holding is about, seen from the instance that states it."""

    #: Subjects of the peer that are held here, with the acts of the peer.
    HELD = "held"
    #: Own subjects, with the acts that the peer answered.
    ANSWERED = "answered"


class Subjects(Protocol):
    """The subjects of an instance, as messaging needs them. All calls are within the transaction `tx` of the caller."""

    async def list_days(self, side: Side, peer: str) -> list[DayDigest]:
        """Return the digests of the holdings here, by the day of the subject, for days that are not closed."""
        ...

    async def list_holdings(self, side: Side, peer: str, days: Sequence[date]) -> list[Holding]:
        """Return the holdings here of these days."""
        ...

    async def list_expected_days(self, side: Side, peer: str) -> list[DayDigest]:
        """Return the digests that the peer states if it lacks nothing."""
        ...

    async def list_expected(self, side: Side, peer: str, days: Sequence[date]) -> list[Holding]:
        """Return the own subjects (or answers) that belong at the peer, or were ever sent there, of these days."""
        ...

    async def send_state(self, subject: UUID, peer: str | None = None) -> None:
        """Send the whole state of an own subject to its place. Send a withdrawal to `peer`, or to every instance
        that ever got the subject."""
        ...

    async def send_answers(self, subject: UUID) -> None:
        """Send all own answers on a subject of another instance again, in order."""
        ...

    async def adopt_withdrawal(self, subject: UUID) -> bool:
        """Withdraw an own subject because a peer holds its tombstone; return False if it was withdrawn already."""
        ...

    async def decide_again(self, subject: UUID, content: bytes | None) -> None:
        """Decide an own subject again by the present law, if this content still stands."""
        ...

    async def note_sent(self, subjects: Sequence[UUID], peer: str) -> None:
        """Note that these own subjects were sent to the peer once: it named them."""
        ...

    async def note_places(self, places: Mapping[UUID, tuple[UUID, Lane, int]]) -> None:
        """Rewrite the places of own messages after they were carried into a new incarnation."""
        ...

    async def find_unknown(self, named: Named) -> list[OperatorLine]:
        """Return a line for each subject, revision, content or act that the peer names and this side lacks."""
        ...

    async def list_erased(self, subjects: Sequence[UUID]) -> frozenset[UUID]:
        """Return those of the own subjects that were erased here."""
        ...
