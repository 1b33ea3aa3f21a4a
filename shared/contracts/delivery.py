"""Delivery itself: what instances tell each other, and audit, about what they read, have sent, have taken and hold.

Stated by an instance for itself, never receipted and never counted. Whoever takes one twice has taken it once: marks,
wants and standings say what is, not what changed.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.base import Contract, Digest, Flag, GuardEdition, SenderId, Uuid
from shared.contracts.referral import Revision

#: Rows of one statement. What does not fit goes into another one.
ROWS_MAX = 300
#: Holes of one row; behind the last of them nothing is said.
HOLES_MAX = 64

#: A number within an epoch: 1, 2, 3 …; 0 where there is none yet.
Number = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]
#: Numbers from … to …, both included.
Span = Annotated[tuple[Number, ...], Field(min_length=2, max_length=2)]
#: A message's name without its version (`shared.contracts.registry`).
MessageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,47}$", max_length=48)]
_Ids = Annotated[tuple[Uuid, ...], Field(max_length=ROWS_MAX)]


class Numbering(Contract):
    """Whose numbers, and which life of their counter. Sender and recipient are parties or instances."""

    sender: SenderId
    recipient: SenderId
    epoch: Uuid


class ReadMessage(Contract):
    """A message and the highest version of it that is read; every lower one is read as well."""

    name: MessageName
    version: Annotated[int, Field(strict=True, ge=1, le=99)]


class ReadsAnnouncedClear(Contract):
    """What an instance reads, told to every peer and to audit at every start. The newest by the broker's time counts.

    `vocabulary` and `guards` name editions by their digests. The directory says the same of who has not spoken yet.
    """

    messages: Annotated[tuple[ReadMessage, ...], Field(min_length=1, max_length=500)]
    engines: Annotated[
        tuple[Annotated[int, Field(strict=True, ge=1, le=1000)], ...], Field(min_length=1, max_length=64)
    ]
    vocabulary: Digest
    guards: Annotated[tuple[GuardEdition, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _each_message_once(self) -> Self:
        if len({each.name for each in self.messages}) != len(self.messages):
            raise ValueError("message_twice")
        return self


class SentMark(Numbering):
    """The highest number that has been given, and the lowest that its sender still holds (0: it holds none)."""

    last: Number
    held: Number


class TakenMark(Numbering):
    """Everything up to `known` was taken but for the holes, of which the first lies behind `through`.

    `known` is left out where no more is known of: it is the end of the last hole, or `through` where there is none.
    """

    through: Number
    holes: Annotated[tuple[Span, ...], Field(max_length=HOLES_MAX)] = ()
    known: Number | None = None

    @property
    def highest(self) -> int:
        """The highest number that is said to have been given: it was taken, or is a hole."""
        last_hole = self.holes[-1][1] if self.holes else self.through
        return last_hole if self.known is None else self.known

    def says_taken(self, number: int) -> bool:
        return number <= self.highest and not any(first <= number <= last for first, last in self.holes)

    def says_taken_behind(self, number: int) -> bool:
        """Whether anything behind that number was taken."""
        first, last = self.holes[-1] if self.holes else (0, 0)
        return (first - 1 if last == self.highest else self.highest) > number

    @model_validator(mode="after")
    def _holes_rise_behind_through(self) -> Self:
        before = self.through
        for first, last in self.holes:
            if not before < first <= last:
                raise ValueError("holes_out_of_order")
            before = last
        if self.known is not None and self.known < before:
            raise ValueError("known_before_hole")
        return self


class MarksClear(Contract):
    """What one side has numbered and taken of each changed pair and epoch. Unnumbered; the newest counts.

    `asking` wants marks in return, which name `nonce` in `answers`.
    """

    sent: Annotated[tuple[SentMark, ...], Field(max_length=ROWS_MAX)]
    taken: Annotated[tuple[TakenMark, ...], Field(max_length=ROWS_MAX)]
    asking: Flag
    nonce: Uuid
    answers: Uuid | None = None

    @model_validator(mode="after")
    def _rows_are_bounded(self) -> Self:
        if len(self.sent) + len(self.taken) > ROWS_MAX:
            raise ValueError("too_many_rows")
        return self

    @model_validator(mode="after")
    def _a_numbering_has_one_row(self) -> Self:
        for rows in (self.sent, self.taken):
            if len({(each.sender, each.recipient, each.epoch) for each in rows}) != len(rows):
                raise ValueError("numbering_twice")
        return self


class WantedClear(Contract):
    """Messages that were deferred, waited or were parked, and can be taken now: their sender sends them again."""

    ids: Annotated[tuple[Uuid, ...], Field(min_length=1, max_length=ROWS_MAX)]


class GoneNumbers(Numbering):
    """Numbers that their sender no longer holds."""

    spans: Annotated[tuple[Span, ...], Field(min_length=1, max_length=HOLES_MAX)]

    @model_validator(mode="after")
    def _spans_rise(self) -> Self:
        before = 0
        for first, last in self.spans:
            if not before < first <= last:
                raise ValueError("spans_out_of_order")
            before = last
        return self


class GoneClear(Contract):
    """What its sender no longer holds: numbers that a mark shows as holes, ids that were wanted. Both sides list it."""

    numbers: Annotated[tuple[GoneNumbers, ...], Field(max_length=ROWS_MAX)]
    ids: _Ids

    @model_validator(mode="after")
    def _something_is_gone(self) -> Self:
        if not self.numbers and not self.ids:
            raise ValueError("nothing_gone")
        return self


class HeldEdge(Contract):
    """An edge that is held: its revision, the digest of the message that told it, how many acts its holder has given.

    `revision` is left out for notices. `withdrawn`: its origin has taken it back.
    """

    edge_id: Uuid
    revision: Revision | None = None
    digest: Digest
    track: Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
    withdrawn: Flag


class StandingClear(Contract):
    """What an instance holds of another's edges, after a restore of either: those with ids above `above`, up to `upto`.

    Each part says all of its range, so it stands for itself, whatever becomes of the others. A bound that is left out
    is none. What is deferred or waits is not held: its sender knows of it. What is known of messages with ids up to
    `compacted` may be numbers alone: nothing is said of edges that only these have told.
    """

    above: Uuid | None = None
    upto: Uuid | None = None
    compacted: Uuid | None = None
    held: Annotated[tuple[HeldEdge, ...], Field(max_length=ROWS_MAX)]

    @model_validator(mode="after")
    def _edges_rise_within_bounds(self) -> Self:
        before = self.above
        for each in self.held:
            if before is not None and each.edge_id <= before:
                raise ValueError("edges_out_of_order")
            before = each.edge_id
        if self.upto is not None and before is not None and before > self.upto:
            raise ValueError("edge_beyond_bound")
        return self


class EpochOpenedClear(Numbering):
    """A counter began another life: the first number of `epoch` is 1. It closes the epoch before, if there was one.

    `previous_last` is `unknown` where the counter before was lost.
    """

    previous: Uuid | None = None
    previous_last: Number | Literal["unknown"] | None = None

    @model_validator(mode="after")
    def _last_goes_with_previous(self) -> Self:
        if (self.previous is None) != (self.previous_last is None):
            raise ValueError("last_needs_previous")
        return self
