"""Attention items: things that need a person of a party, each with reason, time and suggested act. Pure.

Items with a child at risk come first, then the oldest. The list is computed from the rows that it is about and is not
stored itself. So no item can be forgotten in it, and none has to be removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, NamedTuple, cast
from uuid import UUID

from pydantic import Field

from shared.core.acts.act import Subject
from shared.core.clock import EPOCH
from shared.core.contracts.base import Contract, ErrorCode, Instant, NextCursor, PartyId, RuleId, Uuid
from shared.core.contracts.fields import ExternalRef
from shared.core.vocabulary.answers import AnswerState, ReceiptOutcome
from shared.core.vocabulary.law import ClockDue
from shared.core.vocabulary.referral import PriorityLevel
from shared.core.vocabulary.routing import WorkReason

#: A child is at risk, and the recipient has not finished its work.
P0_OPEN: Final = "p0_open"
#: The same, and no officer of the agency has claimed the case.
P0_UNCLAIMED: Final = "p0_unclaimed"
#: A clock of the policy or a deadline of the edge has run out, and the act that it requires was not done.
OVERDUE: Final = "overdue"
#: A provider has not answered an agency's preservation request.
PRESERVATION_UNANSWERED: Final = "preservation_unanswered"
#: The other side's instance has refused an act on a preservation.
PRESERVATION_REFUSED: Final = "preservation_refused"
#: A hold expired, its notices were issued, and their provider has not answered yet.
HOLD_EXPIRED: Final = "hold_expired"
#: The origin named another agency that has accepted the same, and the agency has not acted on its case since.
CONTACT_SUGGESTED: Final = "contact_suggested"
#: The agency to which a case was passed on could not take it, and the case had no act since.
CAME_BACK: Final = "came_back"
#: For transfers: no hotline has claimed a referral that its origin hands over.
UNCLAIMED: Final = "unclaimed"
#: For transfers: the party may claim the referral.
CLAIMABLE: Final = "claimable"
#: For transfers: the claim was granted, and the hotline has not submitted its own referral for it yet.
HANDED_OVER: Final = "handed_over"
#: Answers of a recipient after which the origin still has to find a solution.
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


class Remedy(StrEnum):
    """The one suggested act.

    `reroute`: send the item to the provider that the answer names. `release`: release or drop the referral as a second
    person. `refile`: withdraw it, and submit or request it again, for another recipient or with the missing data.
    `call`: call the other party. `operator`: ask your operator or theirs why it does not arrive. `recheck`: check
    whether removed content is gone. `refer`: pass the case on to another agency, or continue with it. `reply` and
    `uphold`: answer a question or a dispute of a recipient. `file`: submit a referral of your own for one that was
    transferred to you. The others are acts of a recipient.
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


#: The last rank, of all items without a child at risk.
RANK_MAX: Final = 1


class ListPlace(NamedTuple):
    """The sort key of a row: `rank` is 0 if a child is at risk, else 1; then its time, then its id."""

    rank: int
    since: datetime
    id: UUID

    def of_last_rank(self) -> tuple[datetime, UUID]:
        """Return the time and id after which to search for rows of the last rank."""
        return (self.since, self.id) if self.rank >= RANK_MAX else (EPOCH, UUID(int=0))


class AttentionItem(Contract):
    """One thing that needs a person: your referral, one of its edges, or an item that was sent to you.

    `subject` is your id of it. `party` is the other side; null for a whole referral. `code` is the reason of a refusal
    or decline, if there is one. `clock` is the clock of the policy, or the deadline of the edge, that is overdue.
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
    mend: Remedy


class AttentionPage(Contract):
    """Tasks that need a person. Those with a child at risk come first, then the oldest."""

    items: tuple[AttentionItem, ...]
    next: NextCursor


class AttentionRow(NamedTuple):
    """One row of the list with its sort key."""

    place: ListPlace
    row: AttentionItem


_MENDS: Final[Mapping[str, Remedy]] = {
    WorkReason.OVER_BUDGET: Remedy.RELEASE,
    WorkReason.OVER_DAY: Remedy.RELEASE,
    WorkReason.RECIPIENT_CANNOT_READ: Remedy.OPERATOR,
    "recipient_ahead": Remedy.OPERATOR,
    ReceiptOutcome.DEFERRED: Remedy.OPERATOR,
    ReceiptOutcome.WAITING: Remedy.OPERATOR,
    ReceiptOutcome.PARKED: Remedy.OPERATOR,
    AnswerState.REAPPEARED: Remedy.CALL,
    P0_OPEN: Remedy.CALL,
    HOLD_EXPIRED: Remedy.CALL,
    UNCLAIMED: Remedy.CALL,
    CAME_BACK: Remedy.CALL,
    CLAIMABLE: Remedy.CLAIM,
    HANDED_OVER: Remedy.FILE,
    "needs_info": Remedy.REPLY,
    "disputed": Remedy.UPHOLD,
}
#: The next act of a recipient, by kind and state of the item.
_NEXT: Final[Mapping[tuple[Subject, str], Remedy]] = {
    (Subject.OFFER, "offered"): Remedy.ACCEPT,
    (Subject.OFFER, "accepted"): Remedy.ASSESS,
    (Subject.OFFER, "in_part"): Remedy.ASSESS,
    (Subject.OFFER, "claimable"): Remedy.CLAIM,
    (Subject.CASE, "offered"): Remedy.ACCEPT,
    (Subject.CASE, "accepted"): Remedy.OUTCOME,
    (Subject.CASE, "ongoing"): Remedy.OUTCOME,
    (Subject.NOTICE, "issued"): Remedy.ANSWER,
    (Subject.NOTICE, "acknowledged"): Remedy.ANSWER,
    (Subject.NOTICE, "in_part"): Remedy.ANSWER,
    (Subject.NOTICE, "reappeared"): Remedy.ANSWER,
}


#: The act that meets an overdue duty, by kind of subject and duty.
_OWED: Final[Mapping[tuple[Subject, str], Remedy]] = {
    (Subject.CASE, ClockDue.CLAIM): Remedy.CLAIM,
    (Subject.CASE, ClockDue.ACKNOWLEDGEMENT): Remedy.ACCEPT,
    (Subject.CASE, ClockDue.FEEDBACK): Remedy.OUTCOME,
    (Subject.NOTICE, ClockDue.ACKNOWLEDGEMENT): Remedy.ANSWER,
    (Subject.NOTICE, ClockDue.REMOVAL): Remedy.ANSWER,
    (Subject.REFERRAL, ClockDue.RECHECK): Remedy.RECHECK,
    (Subject.REFERRAL, ClockDue.INFORMATION): Remedy.REPLY,
    (Subject.REFERRAL, ClockDue.VERDICT): Remedy.UPHOLD,
    (Subject.PRESERVATION, ClockDue.DATA): Remedy.ANSWER,
}


def owed_act(subject: Subject, due: str) -> Remedy:
    """Return the act by which a party meets an overdue duty for a subject."""
    return _OWED.get((subject, due), Remedy.READ)


def mend_of(reasons: tuple[str, ...], *, suggested: bool = False) -> Remedy:
    """Return the suggested act of an origin for the first of the reasons. `suggested`: the answer names a provider."""
    if reasons[0] == AnswerState.NOT_OURS and suggested:
        return Remedy.REROUTE
    return _MENDS.get(reasons[0], Remedy.REFILE)


def waits_of(row: Mapping[str, object], *reasons: str, kind: Subject, mend: Remedy | None = None) -> AttentionRow:
    """Build an attention item from a row with an `id`, a `since`, and columns named as the fields of `AttentionItem`.

    Without a `rank`, the row has the last one. Without `mend`, the item suggests the origin's act for its reasons.
    """
    fields = {name: row[name] for name in AttentionItem.model_fields if row.get(name) is not None}
    derived = {"kind": kind, "priority": row.get("priority"), "reasons": reasons, "mend": mend or mend_of(reasons)}
    place = cast("int", row.get("rank", RANK_MAX)), cast("datetime", row["since"]), cast("UUID", row["id"])
    return AttentionRow(ListPlace(*place), AttentionItem.model_validate(fields | derived))


def next_act(subject: Subject, state: str) -> Remedy:
    """Return the next act of a recipient for an open item."""
    return _NEXT.get((subject, state), Remedy.READ)
