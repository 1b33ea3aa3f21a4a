"""The bodies at an origin's HTTP door, for its OpenAPI document: what is posted in lists, and every answer.

They describe; no answer is made from them. Where a refusal stands in an answer it is a problem, as it would be alone.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract, ErrorCode, Instant, NextCursor, PartyId, RuleId, Uuid
from shared.contracts.decision import DecisionRef, NotSent
from shared.contracts.fields import ExternalRef
from shared.contracts.referral import NoticeActions, ReferralSubmission, Revision
from shared.exchange.acts import AnswerState
from shared.exchange.origin import ReferralState
from shared.runtime.http.edge import BATCH_ITEMS_MAX
from shared.runtime.http.problems import Problem
from shared.vocabulary.answers import (
    CaseDeclineReason,
    CaseOutcome,
    CloseReason,
    NoticeRejection,
    ReceiptOutcome,
    YesNoUnknown,
)
from shared.vocabulary.routing import Disposition, Purpose, Reason, WorkReason

#: The place of an item in the list that was posted, from 0.
Index = Annotated[int, Field(ge=0, lt=BATCH_ITEMS_MAX)]
#: So many of so many.
Share = Annotated[str, StringConstraints(pattern=r"^[0-9]+/[0-9]+$")]
ReferralPath = Annotated[str, StringConstraints(pattern=r"^/v1/referrals/[0-9a-f-]{36}$")]


class ReferralBatch(Contract):
    """Several referrals at once, each within the limits of one that is posted alone."""

    referrals: Annotated[tuple[ReferralSubmission, ...], Field(min_length=1, max_length=BATCH_ITEMS_MAX)]


class Recipient(Contract):
    """One edge of a decision: who is sent the referral, for what, and by which rules."""

    recipient: PartyId
    purpose: Purpose
    reason: Reason
    rules: Annotated[tuple[RuleId, ...], Field(min_length=1)]


class AcceptedReferral(Contract):
    """The referral is durable here and decided. It says nothing of delivery."""

    referral_id: Uuid
    revision: Revision
    state: Disposition
    work_reason: WorkReason | None
    accepted_at: Instant
    recipients: tuple[Recipient, ...]
    decision: DecisionRef


class ReferenceTaken(Problem):
    """This sender has filed this external reference before, as `referral`."""

    referral: ReferralPath


class BatchAccepted(AcceptedReferral):
    """An item that was accepted, as it would have been alone."""

    index: Index
    status: Literal[202]


class BatchRefused(Contract):
    """An item that was refused, with the status and the problem that it would have been answered with alone."""

    index: Index
    status: Annotated[int, Field(ge=400, le=499)]
    problem: ReferenceTaken | Problem


class BatchAnswer(Contract):
    """One result for each item, in their order."""

    results: tuple[BatchAccepted | BatchRefused, ...]


class CheckPassed(Contract):
    """What would become of an item, and what a prohibition would keep from whom."""

    index: Index
    ok: Literal[True]
    state: Disposition
    work_reason: WorkReason | None
    recipients: tuple[Recipient, ...]
    not_sent: tuple[NotSent, ...]


class CheckRefused(Contract):
    """Why an item would be refused."""

    index: Index
    ok: Literal[False]
    problem: Problem


class CheckAnswer(Contract):
    """One result for each item, in their order. Nothing was stored."""

    results: tuple[CheckPassed | CheckRefused, ...]


class WithdrawnReferral(Contract):
    """The referral is withdrawn and its recipients will be told. They acknowledge on their own."""

    referral_id: Uuid
    state: Literal["withdrawn"]


class ListedReferral(Contract):
    """One of the party's own referrals."""

    referral_id: Uuid
    external_ref: ExternalRef
    revision: Revision
    state: ReferralState
    work_reason: WorkReason | None
    accepted_at: Instant
    withdrawn_at: Instant | None


class ReferralPage(Contract):
    """Referrals, newest first."""

    items: tuple[ListedReferral, ...]
    next: NextCursor


class Ticks(Contract):
    """The three ticks: accepted here, delivered by receipts, acknowledged by the recipients' own acts.

    Of a withdrawn referral the last two are those of the withdrawal.
    """

    accepted: Literal[True]
    delivered: Share
    acknowledged: Share


class AnswerDetail(Contract):
    """The codes and times of an answer; which ones depends on the answer."""

    revision: Revision | None = None
    actions: NoticeActions | None = None
    effective_at: Instant | None = None
    reason: NoticeRejection | CaseDeclineReason | None = None
    suggested: PartyId | None = None
    outcome: CaseOutcome | None = None
    close_reason: CloseReason | None = None
    child_identified: YesNoUnknown | None = None
    child_safeguarded: YesNoUnknown | None = None


class SentEdge(Recipient):
    """An edge with its delivery, the code of a refusal, what the recipient has answered, and the withdrawal's delivery.

    `withdrawal` is null where nothing was withdrawn, or where its recipient could not be told.
    """

    delivery: Literal["queued", "sent"] | ReceiptOutcome
    code: ErrorCode | None
    withdrawal: Literal["queued", "sent"] | ReceiptOutcome | None
    answer: AnswerState
    answer_detail: AnswerDetail | None
    notice_id: Uuid | None


class ShownReferral(ListedReferral):
    """One of the party's own referrals with its ticks and edges."""

    ticks: Ticks
    edges: tuple[SentEdge, ...]


class WorkItem(Contract):
    """A referral that waits for a person, the reason, and since when."""

    referral_id: Uuid
    external_ref: ExternalRef
    state: ReferralState
    work_reason: WorkReason
    since: Instant


class WorkPage(Contract):
    """What waits for a person, newest first."""

    items: tuple[WorkItem, ...]
    next: NextCursor
