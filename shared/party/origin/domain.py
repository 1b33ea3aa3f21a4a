"""What an origin decides and shows of its own referrals: submissions and their fate, views, ticks. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID

from pydantic import Field

from shared.contracts.answers import CaseWords, NoticeWords, OfferWords, TrackNumber
from shared.contracts.base import Contract, ErrorCode, EventTime, Instant, NextCursor, PartyId, RuleId, Uuid
from shared.contracts.decision import DecisionRef
from shared.contracts.evidence import SignedAcceptance
from shared.contracts.fields import CaseReference, ExternalRef
from shared.contracts.holds import HoldWords, ShownHold
from shared.contracts.items import ItemNumber
from shared.contracts.questions import QuestionWords
from shared.contracts.referral import CutRules, ReferralSubmission, Revision
from shared.exchange.origin import ReferralState
from shared.exchange.prepare import Prepared
from shared.exchange.states import WITHDRAWAL_NOTED
from shared.kernel.authority import Role
from shared.kernel.errors import NotNow, Refused
from shared.routing.directory_index import PartyEntry, Purses
from shared.vocabulary.agencies import CaseReferReason
from shared.vocabulary.answers import AnswerState, CaseDeclineReason, ReceiptOutcome
from shared.vocabulary.preservation import HoldEnd
from shared.vocabulary.referral import AmendmentCause, RelationKind, TransferReason
from shared.vocabulary.routing import Disposition, Purpose, Reason, WorkReason

#: Where a referral stands once it is filed.
FiledState = Disposition | Literal[ReferralState.UNRELEASED]
#: The delivery of a message: queued for the relay, sent to Kafka, or its outcome at the recipient's instance. A message
#: that the instance has taken without an exception is `applied`.
Delivery = Literal["queued", "sent", "planned"] | ReceiptOutcome
#: The outcomes that are not the last ones of a message.
Unfinished = Literal[ReceiptOutcome.DEFERRED, ReceiptOutcome.WAITING, ReceiptOutcome.PARKED]
#: A recipient's instance knows of an act that is not here: this database was restored, or that instance is wrong.
RECIPIENT_AHEAD: Final = "recipient_ahead"
#: Why a referral is on the work list: how it was decided, or what its recipients' instances say of its messages.
ListReason = WorkReason | Unfinished | Literal["recipient_ahead"]


@dataclass(frozen=True, slots=True)
class Submission:
    """One referral as posted: `content` is the parsed model, or the refusal that parsing ended in.

    `body_sha256` is that of its exact bytes: of the whole body, or of the item's own in a list. `actor` is opaque.
    """

    party: PartyEntry
    role: Role
    content: ReferralSubmission | Refused
    traceparent: str | None = None
    body_sha256: str = field(kw_only=True)
    actor: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Request:
    """What one HTTP request asks: one or many submissions of one party under one idempotency key (hashed)."""

    submissions: Sequence[Submission]
    key_hash: bytes
    body_hash: bytes
    single: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and exact body. The same bytes are stored, and given again to whoever repeats the request."""

    status: int
    body: bytes
    location: str | None = None


class ExternalRefExists(Refused):
    """The sender has filed this reference before, as `referral_id`."""

    def __init__(self, referral_id: UUID) -> None:
        detail = "this sender has filed this reference before"
        super().__init__("external_ref_exists", detail, field="/external_ref", status=409)
        self.referral_id = referral_id


#: How long an edge waits before it is decided again for the first, second and third time.
PAUSES: Final = (timedelta(0), timedelta(seconds=30), timedelta(minutes=5))
#: Purses are in bytes, costs in sixteenths of a bit.
_UNITS: Final = 8 * 16


class Spent(NamedTuple):
    """What records cost in all, in sixteenths of a bit: without their hashes, and the hashes."""

    record: int = 0
    hashes: int = 0

    def plus(self, other: Spent) -> Spent:
        return Spent(self.record + other.record, self.hashes + other.hashes)

    def less(self, other: Spent) -> Spent:
        return Spent(self.record - other.record, self.hashes - other.hashes)

    @classmethod
    def whole(cls, purses: Purses) -> Spent:
        return cls(purses.record * _UNITS, purses.hashes * _UNITS)

    def within(self, whole: Spent) -> bool:
        return self.record <= whole.record and self.hashes <= whole.hashes


class DaySpent(NotNow):
    """The party's day has no room for it: the next one has."""

    def __init__(self, at: datetime) -> None:
        midnight = datetime.combine(day_of(at) + timedelta(days=1), time(), UTC)
        headers = {"Retry-After": str(math.ceil((midnight - at).total_seconds()))}
        super().__init__("day_spent", "file it when the next day has begun, at 00:00 UTC", headers=headers)


def day_of(at: datetime) -> date:
    """The day whose budget is spent at that time: it begins at 00:00 UTC."""
    return at.astimezone(UTC).date()


#: What becomes of a submission.
Outcome = Prepared | Refused


class Recipient(Contract):
    """One edge of a decision: who is sent the referral, for what, and by which rules."""

    recipient: PartyId
    purpose: Purpose
    reason: Reason
    rules: Annotated[tuple[RuleId, ...], Field(min_length=1)]


class Cut(Contract):
    """Of item `n`: by which rules of the guard's edition something was cut from its address."""

    n: ItemNumber
    rules: CutRules


class AcceptedReferral(Contract):
    """The referral is durable here and decided. It says nothing of delivery. `cut` names items that lost a part.

    What is `unreleased` is sent to nobody until a second person of its sender's releases it.

    `acceptance` is the sender's to keep: it proves what was accepted, also where nothing of it is left here.
    """

    referral_id: Uuid
    revision: Revision
    state: FiledState
    work_reason: WorkReason | None
    accepted_at: Instant
    recipients: tuple[Recipient, ...]
    decision: DecisionRef
    cut: tuple[Cut, ...] = ()
    acceptance: SignedAcceptance


class AmendedReferral(Contract):
    """The referral as it is now decided, durable here. Who is told nothing has what stands already.

    `replaced` are sent its new revision, `added` begin with it, and from `taken_back` it is taken back.
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


class ShownRevision(Contract):
    """One revision: how it came to be, and when."""

    revision: Revision
    cause: AmendmentCause
    at: Instant


class ReviewedReferral(Contract):
    """The state that a second person has led the referral to."""

    referral_id: Uuid
    state: ReferralState


class CheckedReferral(Contract):
    """What was found is kept, and providers are told: `reappeared` where an item is there again."""

    referral_id: Uuid
    state: Literal["routed", "reappeared"]


class AnsweredQuestion(Contract):
    """What a recipient has asked or contested is answered, and it will be told."""

    referral_id: Uuid
    state: Literal["routed", "transferred"]


class Overridden(Contract):
    """What has become of a hold: `proposed` while a second person has not confirmed that it is overridden."""

    referral_id: Uuid
    hold: Uuid
    state: Literal["proposed", HoldEnd.OVERRIDDEN]


class TransferredReferral(Contract):
    """Who may claim the referral from now on. It is yours until one of them has."""

    referral_id: Uuid
    state: str
    offered: tuple[PartyId, ...]


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
    work_reason: ListReason | None
    accepted_at: Instant
    withdrawn_at: Instant | None


class ReferralPage(Contract):
    """Referrals, newest first."""

    items: tuple[ListedReferral, ...]
    next: NextCursor


class Tick(Contract):
    """Of so many of a referral's edges it is done."""

    done: Annotated[int, Field(strict=True, ge=0)]
    of: Annotated[int, Field(strict=True, ge=0)]


class Ticks(Contract):
    """The three ticks: accepted here, delivered to the recipients' instances, acknowledged by the recipients' own acts.

    Of a withdrawn referral the last two are those of the withdrawal.
    """

    accepted: Literal[True]
    delivered: Tick
    acknowledged: Tick


class AnswerDetail(NoticeWords, OfferWords, CaseWords):
    """The codes and times of an answer; which ones depends on the answer. Items have the referral's own numbers.

    `number` is the answer's in its recipient's track: an answer to it can quote it.
    """

    revision: Revision | None = None
    act: Uuid | None = None
    number: TrackNumber | None = None
    question: TrackNumber | None = None
    due: EventTime | None = None
    reason: CaseDeclineReason | CaseReferReason | None = None
    #: To whom a case was referred, why, and on which edge that one answers.
    agency: PartyId | None = None
    from_edge_id: Uuid | None = None
    edge_id: Uuid | None = None
    #: That it has come back from there: by which code, as what it stands again, and how often it has.
    code: ErrorCode | None = None
    stands: AnswerState | None = None
    times: int | None = None


class Told(AnswerDetail, HoldWords, QuestionWords):
    """One answer as it was given: its own words, what the edge came to by it, and when it was applied here."""

    answer: AnswerState
    at: Instant


class SentEdge(Recipient):
    """An edge with its delivery, the code of a refusal, what the recipient has answered, and the withdrawal's delivery.

    `answer_detail` is the fold of all answers, `timeline` has each, oldest first. `case_reference` is the agency's own,
    for this origin alone; null where it named none, and once the record is erased. `withdrawal` is null where nothing
    was withdrawn, or where its recipient could not be told.
    """

    delivery: Delivery
    code: ErrorCode | None
    withdrawal: Delivery | None
    answer: AnswerState
    answer_detail: AnswerDetail | None
    timeline: tuple[Told, ...] = ()
    case_reference: CaseReference | None = None
    notice_id: Uuid | None
    #: Of a planned notice: in which slot it is issued, as things stand.
    issue_at: Instant | None = None


class Related(Contract):
    """Another of the party's own referrals, and what it has to do with this one."""

    referral_id: Uuid
    kind: RelationKind


class ShownReferral(ListedReferral):
    """One of the party's own referrals with its ticks and edges, how it came to what it says, and what is held of it.

    `relations` are found after it was accepted, within a minute: others of the party's that name the same place, and
    what was handed over to the party and this was filed for (`derived_from`).
    """

    ticks: Ticks
    edges: tuple[SentEdge, ...]
    relations: tuple[Related, ...] = ()
    revisions: tuple[ShownRevision, ...] = ()
    holds: tuple[ShownHold, ...] = ()


class TransferStands(NamedTuple):
    """What a hotline was told of a transfer: that it may claim the referral, and what came of it.

    `claim` is the act by which it has it, `gone` whether another has.
    """

    referral_id: UUID
    recipient: str
    reason: TransferReason
    claim: UUID | None
    gone: bool


class ListedWork(Contract):
    """A referral that waits for a person, the reason, and since when."""

    referral_id: Uuid
    external_ref: ExternalRef
    state: ReferralState
    work_reason: ListReason
    since: Instant


class WorkPage(Contract):
    """What waits for a person, newest first."""

    items: tuple[ListedWork, ...]
    next: NextCursor


class Stood(NamedTuple):
    """How an edge stands, as the ticks count it."""

    delivery: str
    withdrawal: str | None
    answer: str


def ticks(state: ReferralState, edges: Sequence[SentEdge] | Sequence[Stood]) -> Ticks:
    """The ticks of a referral. Of a withdrawn one they count who was told of that, and who has acknowledged it."""
    if state is ReferralState.WITHDRAWN:
        delivered = sum(edge.withdrawal == ReceiptOutcome.APPLIED for edge in edges)
        acknowledged = sum(edge.answer in WITHDRAWAL_NOTED for edge in edges)
    else:
        delivered = sum(edge.delivery == ReceiptOutcome.APPLIED for edge in edges)
        acknowledged = sum(edge.answer != AnswerState.NONE for edge in edges)
    of = len(edges)
    return Ticks(accepted=True, delivered=Tick(done=delivered, of=of), acknowledged=Tick(done=acknowledged, of=of))
