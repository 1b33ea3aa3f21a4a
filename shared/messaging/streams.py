"""Streams: the numbered messages of one instance to another, as the writer and as each reader sees them.

A pair of instances has one topic with two partitions. Each partition is a stream: numbers 1, 2, 3 … in one incarnation,
linked by a hash chain. An incarnation belongs to the pair: both lanes change together. Everything here is pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, IntEnum, StrEnum
from typing import Final, NamedTuple
from uuid import UUID

DIGEST_BYTES: Final = 32


class Lane(IntEnum):
    """The partition of a pair's topic; its number is the partition's number.

    The urgent lane has p0 referrals, withdrawals, outcomes, resync requests and holdings. Outcomes and lists of open
    exceptions share a lane because a list must not overtake an outcome.
    """

    URGENT = 0
    ORDINARY = 1


LANES: Final = tuple(Lane)


class WireRole(StrEnum):
    """The role of a message in the protocol; a feature's message kinds each have one.

    `state`: an own subject, its acts, or both. `answer`: own acts on a subject of the addressee. `fact`: for audit.
    """

    STATE = "state"
    ANSWER = "answer"
    WITHDRAWAL = "withdrawal"
    OUTCOMES = "outcomes"
    RESYNC = "resync"
    HOLDINGS = "holdings"
    FACT = "fact"


#: Messages that carry a subject or an act on it. A withdrawal has a role of its own.
SUBJECT_ROLES: Final = frozenset({WireRole.STATE, WireRole.ANSWER})
CONTROL_ROLES: Final = frozenset({WireRole.OUTCOMES, WireRole.RESYNC, WireRole.HOLDINGS})


def find_lane(role: WireRole, *, is_p0: bool) -> Lane:
    """Return the lane of a message with this role."""
    return Lane.URGENT if is_p0 or role is WireRole.WITHDRAWAL or role in CONTROL_ROLES else Lane.ORDINARY


class Reader(Enum):
    """One of the two instances that read a stream. A segment is kept until both have acknowledged it."""

    RECIPIENT = "recipient"
    AUDIT = "audit"


class Pair(NamedTuple):
    """Two instances, in the direction of the messages."""

    writer: str
    addressee: str


class StreamPlace(NamedTuple):
    """The position of a message in the streams of its pair. It is never part of evidence."""

    incarnation: UUID
    lane: Lane
    number: int


def begin_chain(incarnation: UUID) -> bytes:
    """Return the chain before number 1, 32 bytes."""
    return hashlib.sha256(incarnation.bytes).digest()


def extend_chain(chain: bytes, digests: Iterable[bytes]) -> bytes:
    """Return the chain after records with these digests: SHA-256(chain before ‖ digest), once a record."""
    for digest in digests:
        chain = hashlib.sha256(chain + digest).digest()
    return chain


@dataclass(slots=True)
class OutgoingLane:
    """One own stream. `last` and `chain` belong to the last number given.

    `sent`: the last number that the relay has appended, at `moved_at`. `acked` and `audit_acked`: the last number that
    each reader has taken. `kept_above`: the highest number that is no longer kept, with the chain there. `is_full`: the
    recipient reads no further until it has room for exceptions. `returned_to`, `returned_at`: the last return to a
    lower number. `copy_above`: messages above this number go to audit as copies. `p0_last`: the last number of a p0
    message.
    """

    chain: bytes
    kept_chain: bytes
    moved_at: datetime
    last: int = 0
    sent: int = 0
    acked: int = 0
    audit_acked: int = 0
    kept_above: int = 0
    is_full: bool = False
    returned_to: int | None = None
    returned_at: datetime | None = None
    copy_above: int | None = None
    p0_last: int = 0

    def acked_by(self, reader: Reader) -> int:
        """Return the last number that this reader has acknowledged."""
        return self.acked if reader is Reader.RECIPIENT else self.audit_acked

    def note_acked(self, reader: Reader, number: int) -> None:
        """Set the last number that this reader has acknowledged; it may be lower than before."""
        if reader is Reader.RECIPIENT:
            self.acked = number
        else:
            self.audit_acked = number


class LaneEnd(NamedTuple):
    """The last number of one lane and the chain there."""

    number: int
    chain: bytes


class Probe(NamedTuple):
    """A request for an acknowledgement, and the positions when it was sent.

    `last`: the last number of each lane. `acked` and `audit_acked`: the numbers that each reader had acknowledged, None
    once that reader has answered.
    """

    nonce: UUID
    sent_at: datetime
    last: tuple[int, int]
    acked: tuple[int, int] | None
    audit_acked: tuple[int, int] | None


@dataclass(slots=True)
class SourceLane:
    """One lane of a former incarnation: its messages above `position` are not yet carried.

    New messages are placed behind `last` until all are carried, so that the order stays.
    """

    position: int
    last: int
    chain: bytes
    p0_last: int = 0


@dataclass(slots=True)
class Source:
    """A former incarnation whose messages are carried into the present one."""

    incarnation: UUID
    lanes: tuple[SourceLane, SourceLane]


@dataclass(slots=True)
class Outgoing:
    """Both own streams of one pair, and the state of the exchange of acknowledgements with its readers.

    `is_audited`: audit reads the streams besides the addressee. `probe_pause_s`: the pause before the next probe.
    `awaited_since`: the start or nightly check since which the peer answered no probe. `resync_nonce`: the own resync
    request without an answer yet. `opened_at`: by reader, the last incarnation that its acknowledgement caused.
    `is_limited`: a reader wanted another one within the hour. `sources`: the former incarnations to carry, in order.
    `heard_at`: by reader, the time of its latest acknowledgement.
    """

    pair: Pair
    incarnation: UUID
    lanes: tuple[OutgoingLane, OutgoingLane]
    is_audited: bool
    probe_pause_s: int
    probe: Probe | None = None
    awaited_since: datetime | None = None
    resync_nonce: UUID | None = None
    opened_at: dict[Reader, datetime] = field(default_factory=dict)
    is_limited: bool = False
    sources: list[Source] = field(default_factory=list)
    heard_at: dict[Reader, datetime] = field(default_factory=dict)

    def has_unacked(self) -> bool:
        """Return whether a reader lacks a number that was sent."""
        return any(self.lowest_acked(lane) < self.lanes[lane].sent for lane in LANES)

    def lowest_acked(self, lane: Lane) -> int:
        """Return the number up to which all readers have acknowledged this lane."""
        own = self.lanes[lane]
        return min(own.acked, own.audit_acked) if self.is_audited else own.acked


def begin_outgoing(pair: Pair, incarnation: UUID, at: datetime, *, is_audited: bool, pause_s: int) -> Outgoing:
    """Return the streams of a new incarnation, without any number given."""
    chain = begin_chain(incarnation)
    lanes = OutgoingLane(chain, chain, at), OutgoingLane(chain, chain, at)
    return Outgoing(pair, incarnation, lanes, is_audited, pause_s)


#: Incarnations of one pair that are entered in this time. Each reader and each restore of the writer may open one.
ENTERED_MAX: Final = 10
ENTERED_PAUSE: Final = timedelta(hours=1)


class RecordFit(Enum):
    """The decision on one record before its content is read."""

    TAKE = "take"
    ENTER = "enter"
    DROP = "drop"


@dataclass(slots=True)
class IncomingLane:
    """One stream of another instance, as it was read.

    `topic_id` and `next_offset`: the position in Kafka. `is_stopped`: reading stopped at a record because there is no
    room for exceptions. `has_gap`: a number above the next one arrived.
    """

    chain: bytes = b""
    through: int = 0
    topic_id: UUID | None = None
    next_offset: int = 0
    is_stopped: bool = False
    has_gap: bool = False


@dataclass(slots=True)
class Incoming:
    """Both streams of one pair, as one reader has taken them.

    `closed`: the ends of each incarnation that was left. `dropped_closed`: the closed incarnation of the last dropped
    record. `missed`: an unknown incarnation whose record came before number 1 of its urgent lane. `owes_ack`: a message
    was taken, or an acknowledgement was asked for; `is_urgent`: a p0 message was taken. `echo`: the nonce of the probe
    to answer. `acked_at`: the last acknowledgement. `entered_count`: the incarnations entered since `entered_since`.
    `exception_counts`: open exceptions by lane, and `exception_bytes` those of their records, filled by the store.
    """

    pair: Pair
    incarnation: UUID | None = None
    lanes: tuple[IncomingLane, IncomingLane] = field(default_factory=lambda: (IncomingLane(), IncomingLane()))
    closed: dict[UUID, tuple[LaneEnd, LaneEnd]] = field(default_factory=dict)
    dropped_closed: UUID | None = None
    missed: UUID | None = None
    owes_ack: bool = False
    is_urgent: bool = False
    echo: UUID | None = None
    acked_at: datetime | None = None
    entered_since: datetime | None = None
    entered_count: int = 0
    exception_counts: tuple[int, int] = (0, 0)
    exception_bytes: tuple[int, int] = (0, 0)

    def fit(self, place: StreamPlace, at: datetime) -> RecordFit:
        """Decide whether a record at this place, of this broker's time, is taken; note gaps and closed incarnations.

        A record is taken only if it has the next number of the present incarnation. An unknown incarnation is entered
        only at number 1 of the urgent lane, and not more often than `ENTERED_MAX`: its writer then goes back to it.
        """
        lane = self.lanes[place.lane]
        if place.incarnation != self.incarnation:
            if place.incarnation in self.closed:
                self.dropped_closed = place.incarnation
                return RecordFit.DROP
            is_begin = place.number == 1 and place.lane is Lane.URGENT
            if not is_begin or (self.entered_count >= ENTERED_MAX and not self._is_pause_over(at)):
                self.missed = place.incarnation
                return RecordFit.DROP
            return RecordFit.ENTER
        if place.number <= lane.through:
            return RecordFit.DROP
        if place.number > lane.through + 1:
            lane.has_gap = True
            return RecordFit.DROP
        return RecordFit.TAKE

    def _is_pause_over(self, at: datetime) -> bool:
        return self.entered_since is None or not timedelta() <= at - self.entered_since < ENTERED_PAUSE

    def enter(self, incarnation: UUID, at: datetime) -> None:
        """Close the present incarnation and begin this one, in both lanes."""
        if self._is_pause_over(at):
            self.entered_since, self.entered_count = at, 0
        self.entered_count += 1
        if self.incarnation is not None:
            urgent, ordinary = (LaneEnd(lane.through, lane.chain) for lane in self.lanes)
            self.closed[self.incarnation] = (urgent, ordinary)
        was_missed = self.missed == incarnation
        self.incarnation, self.missed = incarnation, None
        for lane in self.lanes:
            lane.through, lane.chain, lane.has_gap = 0, begin_chain(incarnation), False
        # Ordinary records before the entry into the incarnation were dropped: the writer must return.
        self.lanes[Lane.ORDINARY].has_gap = was_missed

    def take(self, place: StreamPlace, digest: bytes, *, is_p0: bool) -> None:
        """Take the record at this place. The caller has asked `fit`."""
        lane = self.lanes[place.lane]
        lane.through, lane.chain = place.number, extend_chain(lane.chain, (digest,))
        lane.has_gap = False
        self.owes_ack = True
        self.is_urgent = self.is_urgent or is_p0

    def extend_closed(self, place: StreamPlace, digest: bytes) -> LaneEnd | None:
        """Move the end of a closed incarnation by the record at this place; return the new end, None if it is not next.

        For audit alone: a recipient drops these records, because their messages are carried into the next incarnation.
        """
        ends = self.closed.get(place.incarnation)
        if ends is None or place.number != ends[place.lane].number + 1:
            return None
        moved = LaneEnd(place.number, extend_chain(ends[place.lane].chain, (digest,)))
        urgent, ordinary = (moved if lane is place.lane else ends[lane] for lane in LANES)
        self.closed[place.incarnation] = (urgent, ordinary)
        return moved

    def seek(self, lane: Lane, topic_id: UUID, *, first: int, end: int) -> int:
        """Return the offset to read from, for a topic that holds offsets `first` to `end` (exclusive).

        A topic that was created again, or that ends before the position, is read from its first record.
        """
        read = self.lanes[lane]
        if read.topic_id != topic_id or read.next_offset > end:
            read.topic_id, read.next_offset = topic_id, first
        read.next_offset = max(read.next_offset, first)
        return read.next_offset
