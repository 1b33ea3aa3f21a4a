"""What needs a person of a party, why, since when, and the one act that would help. Pure.

Where a child is at risk comes first, then what has waited longest. What stands in the list follows from the rows that
it is about, and from nothing beside them: so nothing is forgotten in it, and nothing has to be taken off.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, NamedTuple, cast
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, ErrorCode, Instant, NextCursor, PartyId, RuleId, Uuid
from shared.contracts.fields import ExternalRef
from shared.exchange.act import Subject
from shared.kernel.clock import EPOCH
from shared.vocabulary.answers import AnswerState, ReceiptOutcome
from shared.vocabulary.law import ClockDue
from shared.vocabulary.referral import PriorityLevel
from shared.vocabulary.routing import WorkReason

#: A child is at risk, and whoever was told has not finished with it.
P0_OPEN: Final = "p0_open"
#: The same, and nobody of the agency has it.
P0_UNCLAIMED: Final = "p0_unclaimed"
#: A clock of the law, or a deadline of the edge, has run out, and what it asks for was not done.
OVERDUE: Final = "overdue"
#: An agency wants something kept, and its provider has not answered.
PRESERVATION_UNANSWERED: Final = "preservation_unanswered"
#: The other side's instance has refused an act on a preservation.
PRESERVATION_REFUSED: Final = "preservation_refused"
#: What an agency had held was issued since its time was over, and its provider has not answered yet.
HOLD_EXPIRED: Final = "hold_expired"
#: An agency was told of another one that has accepted the same, and has done nothing on its case since.
CONTACT_SUGGESTED: Final = "contact_suggested"
#: The agency that a case was passed on to could not take it, and nothing was done on it since.
CAME_BACK: Final = "came_back"
#: Of transfers. Nobody has claimed a referral that its origin lets go.
UNCLAIMED: Final = "unclaimed"
#: It may be claimed.
CLAIMABLE: Final = "claimable"
#: It was granted, and nothing of the hotline's own was filed for it yet.
HANDED_OVER: Final = "handed_over"
#: What a recipient has answered that leaves the origin where it was.
ANSWERED_NO: Final = (AnswerState.DECLINED, AnswerState.REJECTED, AnswerState.NOT_OURS, AnswerState.REAPPEARED)
Reason = (
    WorkReason
    | Literal[ReceiptOutcome.REFUSED, ReceiptOutcome.DEFERRED, ReceiptOutcome.WAITING, ReceiptOutcome.PARKED]
    | Literal[AnswerState.DECLINED, AnswerState.REJECTED, AnswerState.NOT_OURS, AnswerState.REAPPEARED]
    | Literal["recipient_ahead", "p0_open", "p0_unclaimed", "overdue", "preservation_unanswered"]
    | Literal["hold_expired", "hold_overridden", "hold_lapsed", "hold_too_late", "contact_suggested", "came_back"]
    | Literal["unclaimed", "claimable", "handed_over"]
    | Literal["needs_info", "disputed", "conceded", "question_answered", "question_lapsed", "dispute_answered"]
    | Literal["question_refused", "dispute_refused", "preservation_refused"]
)


class Mend(StrEnum):
    """The one act that would help.

    `reroute`: what was disowned to whom the answer names. `release`: as a second person, or drop it. `refile`:
    withdraw it, and file or ask it anew for somebody else or with what was missing. `call`: speak with who was told.
    `operator`: theirs or yours, sees why it does not arrive. `recheck`: look whether what was removed is gone.
    `refer`: pass it on to another agency, or go on with it.
    `reply` and `uphold`: answer what a recipient asks or contests. `file`: one of your own, for what was handed over.
    The others are acts of a recipient.
    """

    REROUTE = "reroute"
    RELEASE = "release"
    REFILE = "refile"
    CALL = "call"
    OPERATOR = "operator"
    CLAIM = "claim"
    ACCEPT = "accept"
    ASSESS = "assess"
    OUTCOME = "outcome"
    ANSWER = "answer"
    READ = "read"
    RECHECK = "recheck"
    REPLY = "reply"
    UPHOLD = "uphold"
    FILE = "file"
    REFER = "refer"


#: The last rank: of what stands behind all where a child is at risk.
RANK_MAX: Final = 1


class Place(NamedTuple):
    """Where a row stands in the list: `rank` is 0 where a child is at risk, else 1; then since when, then its id."""

    rank: int
    since: datetime
    id: UUID

    def of_last_rank(self) -> tuple[datetime, UUID]:
        """Behind which time and id rows of the last rank are to be looked for."""
        return (self.since, self.id) if self.rank >= RANK_MAX else (EPOCH, UUID(int=0))


class Waiting(Contract):
    """One thing that needs a person: an edge of a referral of yours, a whole one, or what was sent to you.

    `subject` is the id by which you know it; `party` the other side, null of a whole referral. `code` says more, where
    a refusal or a declination did; `clock` by which clock of the policy, or deadline of the edge, it is overdue.
    """

    kind: Subject
    subject: Uuid
    external_ref: ExternalRef | None = None
    notice_id: Uuid | None = None
    party: PartyId | None = None
    priority: PriorityLevel | None
    reasons: Annotated[tuple[Reason, ...], Field(min_length=1)]
    code: ErrorCode | None = None
    clock: RuleId | None = None
    since: Instant
    mend: Mend


class AttentionPage(Contract):
    """What needs a person: where a child is at risk first, then the oldest first."""

    items: tuple[Waiting, ...]
    next: NextCursor


class Waits(NamedTuple):
    """One row of the list, and its place in it."""

    place: Place
    row: Waiting


_MENDS: Final[Mapping[str, Mend]] = {
    WorkReason.OVER_BUDGET: Mend.RELEASE,
    WorkReason.OVER_DAY: Mend.RELEASE,
    WorkReason.RECIPIENT_CANNOT_READ: Mend.OPERATOR,
    "recipient_ahead": Mend.OPERATOR,
    ReceiptOutcome.DEFERRED: Mend.OPERATOR,
    ReceiptOutcome.WAITING: Mend.OPERATOR,
    ReceiptOutcome.PARKED: Mend.OPERATOR,
    AnswerState.REAPPEARED: Mend.CALL,
    P0_OPEN: Mend.CALL,
    HOLD_EXPIRED: Mend.CALL,
    UNCLAIMED: Mend.CALL,
    CAME_BACK: Mend.CALL,
    CLAIMABLE: Mend.CLAIM,
    HANDED_OVER: Mend.FILE,
    "needs_info": Mend.REPLY,
    "disputed": Mend.UPHOLD,
}
#: Of what was sent to a party, by its state: what the party can do next.
_NEXT: Final[Mapping[tuple[Subject, str], Mend]] = {
    (Subject.OFFER, "offered"): Mend.ACCEPT,
    (Subject.OFFER, "accepted"): Mend.ASSESS,
    (Subject.OFFER, "in_part"): Mend.ASSESS,
    (Subject.OFFER, "claimable"): Mend.CLAIM,
    (Subject.CASE, "offered"): Mend.ACCEPT,
    (Subject.CASE, "accepted"): Mend.OUTCOME,
    (Subject.CASE, "ongoing"): Mend.OUTCOME,
    (Subject.NOTICE, "issued"): Mend.ANSWER,
    (Subject.NOTICE, "acknowledged"): Mend.ANSWER,
    (Subject.NOTICE, "in_part"): Mend.ANSWER,
    (Subject.NOTICE, "reappeared"): Mend.ANSWER,
}


#: What does what a party owes.
_OWED: Final[Mapping[tuple[Subject, str], Mend]] = {
    (Subject.CASE, ClockDue.CLAIM): Mend.CLAIM,
    (Subject.CASE, ClockDue.ACKNOWLEDGEMENT): Mend.ACCEPT,
    (Subject.CASE, ClockDue.FEEDBACK): Mend.OUTCOME,
    (Subject.NOTICE, ClockDue.ACKNOWLEDGEMENT): Mend.ANSWER,
    (Subject.NOTICE, ClockDue.REMOVAL): Mend.ANSWER,
    (Subject.REFERRAL, ClockDue.RECHECK): Mend.RECHECK,
    (Subject.REFERRAL, ClockDue.INFORMATION): Mend.REPLY,
    (Subject.REFERRAL, ClockDue.VERDICT): Mend.UPHOLD,
    (Subject.PRESERVATION, ClockDue.DATA): Mend.ANSWER,
}


def owed_act(subject: Subject, due: str) -> Mend:
    """The act by which a party does what it owes of a subject."""
    return _OWED.get((subject, due), Mend.READ)


def mend_of(reasons: tuple[str, ...], *, suggested: bool = False) -> Mend:
    """The act that would help an origin: of several reasons the first is in the way. `suggested`: another provider."""
    if reasons[0] == AnswerState.NOT_OURS and suggested:
        return Mend.REROUTE
    return _MENDS.get(reasons[0], Mend.REFILE)


def waits_of(row: Mapping[str, object], *reasons: str, kind: Subject, mend: Mend | None = None) -> Waits:
    """What a row says that waits: it has an `id`, a `rank` unless that is the last, and columns named as `Waiting` is.

    `mend` is what helps an origin, if nothing else is said.
    """
    told = {name: row[name] for name in Waiting.model_fields if row.get(name) is not None}
    said = {"kind": kind, "priority": row.get("priority"), "reasons": reasons, "mend": mend or mend_of(reasons)}
    place = cast("int", row.get("rank", RANK_MAX)), cast("datetime", row["since"]), cast("UUID", row["id"])
    return Waits(Place(*place), Waiting.model_validate(told | said))


def next_act(subject: Subject, state: str) -> Mend:
    """The act by which a recipient goes on with what is open."""
    return _NEXT.get((subject, state), Mend.READ)
