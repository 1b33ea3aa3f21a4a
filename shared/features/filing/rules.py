"""Pure rules and views of an origin's own referrals: submissions and their outcomes, pages, ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import Field

from shared.core.acts.states import WITHDRAWAL_NOTED
from shared.core.authority import Role
from shared.core.contracts.answers import CaseCodes, NoticeCodes, OfferCodes, TrackNumber
from shared.core.contracts.base import Contract, ErrorCode, EventTime, Instant, NextCursor, PartyId, RuleId, Uuid
from shared.core.contracts.decision import DecisionRef
from shared.core.contracts.evidence import SignedAcceptance
from shared.core.contracts.fields import CaseReference, ExternalRef
from shared.core.contracts.holds import HoldCodes, ShownHold
from shared.core.contracts.items import ITEMS_MAX, ItemNumber
from shared.core.contracts.questions import QuestionCodes
from shared.core.contracts.referral import CutRules, ReferralSubmission, Revision
from shared.core.errors import Refused
from shared.core.protocol.origin import ReferralState
from shared.core.protocol.prepare import Prepared
from shared.core.routing.directory_index import PartyEntry
from shared.core.vocabulary.agencies import CaseReferReason
from shared.core.vocabulary.answers import AnswerState, CaseDeclineReason, ReceiptOutcome
from shared.core.vocabulary.referral import AmendmentCause, RelationKind
from shared.core.vocabulary.routing import Disposition, Purpose, Reason, WorkReason

#: The state of a referral after filing.
FiledState = Disposition | Literal[ReferralState.UNRELEASED]
#: The delivery of a message: queued for the relay, sent to Kafka, or its outcome at the recipient's instance. A message
#: that the instance has processed without an exception is `applied`.
Delivery = Literal["queued", "sent", "planned"] | ReceiptOutcome
#: Outcomes of a message that another outcome follows.
Unfinished = Literal[ReceiptOutcome.DEFERRED, ReceiptOutcome.WAITING, ReceiptOutcome.PARKED]
#: A recipient's instance has an act that is missing here: this database was restored, or that instance is wrong.
RECIPIENT_AHEAD: Final = "recipient_ahead"
#: The reason why a referral is unrouted: from the decision, or from the recipients' instances about its messages.
ListReason = WorkReason | Unfinished | Literal["recipient_ahead"]


@dataclass(frozen=True, slots=True)
class Submission:
    """One referral as posted: `content` is the parsed model, or the refusal by the parser.

    `body_sha256` is the hash of its exact bytes: of the whole body, or of the item in a list. `actor` is opaque.
    """

    party: PartyEntry
    role: Role
    content: ReferralSubmission | Refused
    traceparent: str | None = None
    body_sha256: str = field(kw_only=True)
    actor: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request: one or many submissions of one party under one idempotency key (hashed)."""

    submissions: Sequence[Submission]
    key_hash: bytes
    body_hash: bytes
    single: bool


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Status and exact body of an answer. The stored bytes also answer each repetition of the request."""

    status: int
    body: bytes
    location: str | None = None


class ExternalRefExists(Refused):
    """The sender has filed this reference before, as `referral_id`."""

    def __init__(self, referral_id: UUID) -> None:
        detail = "this sender has filed this reference before"
        super().__init__("external_ref_exists", detail, field="/external_ref", status=409)
        self.referral_id = referral_id


#: Pauses of an edge before it is decided again for the first, second and third time.
PAUSES: Final = (timedelta(0), timedelta(seconds=30), timedelta(minutes=5))


#: The result of a submission.
Outcome = Prepared | Refused


class Recipient(Contract):
    """One edge of a decision: the recipient, the purpose, and the rules that led to it."""

    recipient: PartyId
    purpose: Purpose
    reason: Reason
    rules: Annotated[tuple[RuleId, ...], Field(min_length=1)]


class Cut(Contract):
    """The rules of the guard's edition that redacted the location of item `n`."""

    n: ItemNumber
    rules: CutRules


#: Items whose location is stored in its canonical form, which differs from the submitted one.
Respelled = Annotated[tuple[ItemNumber, ...], Field(max_length=ITEMS_MAX)]


class AcceptedReferral(Contract):
    """The referral is stored here and decided. This says nothing about delivery.

    `cut` names items with a redacted location, `respelled` items whose location is stored in another spelling.
    An `unreleased` referral is sent to no recipient until a second person of its sender releases it.

    `acceptance` proves the acceptance, even if the record is lost here. The sender should keep it.
    """

    referral_id: Uuid
    revision: Revision
    state: FiledState
    work_reason: WorkReason | None
    accepted_at: Instant
    recipients: tuple[Recipient, ...]
    decision: DecisionRef
    cut: tuple[Cut, ...] = ()
    respelled: Respelled = ()
    acceptance: SignedAcceptance


class AmendedReferral(Contract):
    """The amended referral, stored here and decided. Parties that get no message have the current content already.

    `replaced` get the new revision, `added` get the referral for the first time, and `taken_back` get a withdrawal.
    """

    referral_id: Uuid
    revision: Revision
    state: FiledState
    work_reason: WorkReason | None
    unchanged: tuple[PartyId, ...]
    replaced: tuple[PartyId, ...]
    added: tuple[PartyId, ...]
    taken_back: tuple[PartyId, ...]
    cut: tuple[Cut, ...] = ()
    respelled: Respelled = ()


class ShownRevision(Contract):
    """One revision, with its cause and time."""

    revision: Revision
    cause: AmendmentCause
    at: Instant


class ReviewedReferral(Contract):
    """The state of the referral after the second review."""

    referral_id: Uuid
    state: ReferralState


class WithdrawnReferral(Contract):
    """The referral is withdrawn. Its recipients get the withdrawal, and each acknowledges it."""

    referral_id: Uuid
    state: Literal["withdrawn"]


class ListedReferral(Contract):
    """One of the party's own referrals."""

    referral_id: Uuid
    external_ref: ExternalRef
    revision: Revision
    state: ReferralState
    work_reason: ListReason | None
    accepted_at: Instant
    withdrawn_at: Instant | None


class ReferralPage(Contract):
    """Referrals, newest first."""

    items: tuple[ListedReferral, ...]
    next: NextCursor


class Tick(Contract):
    """The number of a referral's edges that have reached a step, of all its edges."""

    done: Annotated[int, Field(strict=True, ge=0)]
    of: Annotated[int, Field(strict=True, ge=0)]


class Ticks(Contract):
    """Three ticks: accepted here, delivered to the recipients' instances, acknowledged by the recipients' own acts.

    For a withdrawn referral, the last two count the withdrawal.
    """

    accepted: Literal[True]
    delivered: Tick
    acknowledged: Tick


class AnswerDetail(NoticeCodes, OfferCodes, CaseCodes):
    """The codes and times of an answer. The fields depend on the answer. Items have the referral's own numbers.

    `number` is the answer's number in its recipient's track. An answer to it can quote the number.
    """

    revision: Revision | None = None
    act: Uuid | None = None
    number: TrackNumber | None = None
    question: TrackNumber | None = None
    due: EventTime | None = None
    reason: CaseDeclineReason | CaseReferReason | None = None
    #: The agency that a case was referred to, the reason, and the edge on which that agency answers.
    agency: PartyId | None = None
    from_edge_id: Uuid | None = None
    edge_id: Uuid | None = None
    #: The return of the case from there: its code, the state of the case after it, and the number of returns.
    code: ErrorCode | None = None
    stands: AnswerState | None = None
    times: int | None = None


class GivenAnswer(AnswerDetail, HoldCodes, QuestionCodes):
    """One answer as it was given, the state of the edge after it, and the time when it was applied here."""

    answer: AnswerState
    at: Instant


class SentEdge(Recipient):
    """An edge with its delivery, the code of a refusal, the recipient's answer, and the withdrawal's delivery.

    `answer_detail` combines all answers; `timeline` lists each, oldest first. `case_reference` is the agency's own, for
    this origin alone; null if the agency gave none or the record is erased. `withdrawal` is null if nothing was
    withdrawn or the recipient could not be reached.
    """

    delivery: Delivery
    code: ErrorCode | None
    withdrawal: Delivery | None
    answer: AnswerState
    answer_detail: AnswerDetail | None
    timeline: tuple[GivenAnswer, ...] = ()
    case_reference: CaseReference | None = None
    notice_id: Uuid | None
    #: The slot in which a planned notice will be sent, as planned now.
    issue_at: Instant | None = None


class RelatedReferral(Contract):
    """Another of the party's own referrals, and its relation to this one."""

    referral_id: Uuid
    kind: RelationKind


class ShownReferral(ListedReferral):
    """One of the party's own referrals with its ticks, edges, revisions and holds.

    `relations` are found within a minute after acceptance. They are other referrals of the party that name the same
    location, and the transferred referral that this one was filed for (`derived_from`).
    """

    ticks: Ticks
    edges: tuple[SentEdge, ...]
    relations: tuple[RelatedReferral, ...] = ()
    revisions: tuple[ShownRevision, ...] = ()
    holds: tuple[ShownHold, ...] = ()


class UnroutedReferral(Contract):
    """A referral that waits for a person, with the reason and the time since when."""

    referral_id: Uuid
    external_ref: ExternalRef
    state: ReferralState
    work_reason: ListReason
    since: Instant


class WorkPage(Contract):
    """Referrals that wait for a person, newest first."""

    items: tuple[UnroutedReferral, ...]
    next: NextCursor


class EdgeStatus(NamedTuple):
    """The state of an edge as the ticks count it."""

    delivery: str
    withdrawal: str | None
    answer: str


def ticks(state: ReferralState, edges: Sequence[SentEdge] | Sequence[EdgeStatus]) -> Ticks:
    """Return the ticks of a referral. For a withdrawn one they count its withdrawals and their acknowledgements."""
    if state is ReferralState.WITHDRAWN:
        delivered = sum(edge.withdrawal == ReceiptOutcome.APPLIED for edge in edges)
        acknowledged = sum(edge.answer in WITHDRAWAL_NOTED for edge in edges)
    else:
        delivered = sum(edge.delivery == ReceiptOutcome.APPLIED for edge in edges)
        acknowledged = sum(edge.answer != AnswerState.NONE for edge in edges)
    of = len(edges)
    return Ticks(accepted=True, delivered=Tick(done=delivered, of=of), acknowledged=Tick(done=acknowledged, of=of))
