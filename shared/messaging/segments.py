"""Segments: the messages that one transaction sends in one stream, as the writer keeps them and as Kafka gets them.

A segment is stored without its place: the relay adds the numbers. So a segment that is carried into a new incarnation
keeps its bytes, its message ids and its content proof, and gets a new place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from uuid import UUID

from shared.messaging.streams import SUBJECT_ROLES, Lane, OutgoingLane, Pair, Place, Role, SourceLane, extend_chain


class RecordBytes(NamedTuple):
    """Key, headers and value of one record, without its place: the same bytes at every append."""

    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message, sealed and proven, before it has a number.

    `digest`: the salted hash of its covered headers and value, 32 bytes. It names the message in the chain and in
    evidence. `subject` is None for messages of the protocol itself. `is_p0`: a child at risk waits for it, so its gap
    is reported at once.
    """

    message_id: UUID
    role: Role
    kind: str
    subject: UUID | None
    digest: bytes
    record: RecordBytes
    is_p0: bool = False


class PackedMessages(NamedTuple):
    """The messages of a segment in three columns: ids of 16 bytes, digests of 32 bytes, and the content."""

    message_ids: bytes
    digests: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """Numbers `first` to `first + len(messages) - 1` of one stream, from one transaction.

    `chain_before`: the chain before `first`. `proof`: the content proof of the messages, packed
    (`shared.envelope.content_proof`); it does not depend on the place. `packed`: the messages as they are stored.
    """

    pair: Pair
    incarnation: UUID
    lane: Lane
    first: int
    chain_before: bytes
    messages: tuple[OutgoingMessage, ...]
    proof: bytes
    day: date
    packed: PackedMessages | None = field(default=None, compare=False, repr=False)

    @property
    def last(self) -> int:
        """The number of the last message."""
        return self.first + len(self.messages) - 1

    @property
    def chain(self) -> bytes:
        """The chain after the last message."""
        return extend_chain(self.chain_before, (message.digest for message in self.messages))

    def chain_at(self, number: int) -> bytes:
        """Return the chain after this number, which lies in the segment or just before it."""
        taken = self.messages[: number - self.first + 1]
        return extend_chain(self.chain_before, (message.digest for message in taken))

    def places(self) -> dict[UUID, Place]:
        """Return the place of each message by its id."""
        return {
            message.message_id: Place(self.incarnation, self.lane, number)
            for number, message in enumerate(self.messages, self.first)
        }


class Unplaced(NamedTuple):
    """The messages of one transaction for one stream, before they have numbers.

    `packed`: as they are stored; so the streams are not locked meanwhile.
    """

    pair: Pair
    lane: Lane
    messages: tuple[OutgoingMessage, ...]
    proof: bytes
    packed: PackedMessages | None = None


def place_segment(unplaced: Unplaced, incarnation: UUID, lane: OutgoingLane | SourceLane, *, day: date) -> Segment:
    """Number the messages behind the last number of the lane, and move the lane's end there."""
    segment = Segment(
        pair=unplaced.pair,
        incarnation=incarnation,
        lane=unplaced.lane,
        first=lane.last + 1,
        chain_before=lane.chain,
        messages=unplaced.messages,
        proof=unplaced.proof,
        day=day,
        packed=unplaced.packed,
    )
    lane.last, lane.chain = segment.last, segment.chain
    if any(message.is_p0 for message in segment.messages):
        lane.p0_last = segment.last
    return segment


def select_kept(segment: Segment, *, above: int, erased: frozenset[UUID]) -> Unplaced | None:
    """Return the messages of a segment that a new incarnation carries, or None if no message is left.

    They have numbers above `above`. Resync requests are left out: the incarnation has its own. States and answers on
    erased subjects are left out, too.
    """
    kept = tuple(
        message
        for number, message in enumerate(segment.messages, segment.first)
        if number > above
        and message.role is not Role.RESYNC
        and not (message.role in SUBJECT_ROLES and message.subject in erased)
    )
    return Unplaced(segment.pair, segment.lane, kept, segment.proof) if kept else None
