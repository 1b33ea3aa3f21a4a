"""The referral: a submission, the sealed records, and the messages about a referral as a whole."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.core.contracts import fields
from shared.core.contracts.base import (
    ActorId,
    Asn,
    Contract,
    Day,
    Digest,
    EventTime,
    Flag,
    Instant,
    PartyId,
    StatedJurisdiction,
    Uuid,
    in_words,
)
from shared.core.contracts.decision import DecisionRef, Edge
from shared.core.contracts.items import ITEMS_MAX, NUMBERED_ONCE, AnswerTrack, ItemNumber
from shared.core.vocabulary import judgement
from shared.core.vocabulary import referral as codes

AssessmentValue = Annotated[
    str, StringConstraints(pattern=in_words(r"^[A-Za-z0-9_]{1,24}$", "a code of the scheme"), max_length=24)
]
Revision = Annotated[int, Field(strict=True, ge=1, le=1000)]


#: Rules of the guard's edition that redacted a part of an address. They are codes and never contain the redacted part.
CutRules = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,24}$", max_length=24)], ...], Field(max_length=8)
]


class UrlLocator(Contract):
    kind: Literal["url"]
    value: fields.Url


class OnionLocator(Contract):
    kind: Literal["onion"]
    value: fields.OnionUrl


class AccountLocator(Contract):
    kind: Literal["account"]
    value: fields.AccountId


class MessageLocatorItem(Contract):
    kind: Literal["message"]
    value: fields.MessageLocator


class PeerLocator(Contract):
    kind: Literal["p2p"]
    value: fields.PeerId


Locator = Annotated[
    UrlLocator | OnionLocator | AccountLocator | MessageLocatorItem | PeerLocator, Field(discriminator="kind")
]


class Hosting(Contract):
    """The hosting of an item at one time, as a party observed it. Different observations may coexist."""

    jurisdiction: StatedJurisdiction | None = None
    asn: Asn | None = None
    provider: PartyId | None = None
    is_cdn: Flag = False
    method: codes.HostingMethod = codes.HostingMethod.STATED
    observed_on: Day | None = None


class Hashes(Contract):
    """Hashes of one file. All are class S3; PhotoDNA is partly invertible (Athalye 2021)."""

    md5: fields.Md5 | None = None
    sha1: fields.Sha1 | None = None
    sha256: fields.Sha256 | None = None
    pdq: fields.Pdq | None = None
    photodna: fields.PhotoDna | None = None
    tmk_pdqf: fields.TmkPdqf | None = None


class Classification(Contract):
    """The result of an assessment, without its author and date."""

    scheme: judgement.AssessmentScheme
    value: AssessmentValue
    jurisdiction: StatedJurisdiction | None = None
    status: judgement.AssessmentStatus = judgement.AssessmentStatus.PROVISIONAL

    @model_validator(mode="after")
    def _value_belongs_to_scheme(self) -> Self:
        known = judgement.ASSESSMENT_VALUES[self.scheme]
        if known and self.value not in known and self.value != judgement.UNKNOWN_VALUE:
            raise _not_in(known)
        return self


def _not_in(known: frozenset[str]) -> PydanticCustomError:
    """Return the error for a value that its scheme's list lacks.

    Like any code, a later edition may have it.
    """
    expected = ", ".join(f"'{each}'" for each in sorted(known | {judgement.UNKNOWN_VALUE}))
    return PydanticCustomError("enum", "assessment_value_not_in_scheme", {"expected": expected})


class Assessment(Classification):
    """One party's classification under a named scheme; never converted into another scheme."""

    assessor: PartyId | None = None
    assessed_on: Day | None = None


class _Listed(Classification):
    @model_validator(mode="after")
    def _value_is_listed(self) -> Self:
        """Reject a value that is not in its scheme's list. Messages carry listed values only."""
        known = judgement.ASSESSMENT_VALUES[self.scheme]
        if self.value not in known and self.value != judgement.UNKNOWN_VALUE:
            raise _not_in(known)
        return self


class ListedAssessment(Assessment, _Listed):
    """An assessment as messages carry it: its value is in its scheme's list, or `unknown`."""


class Item(Contract):
    """One location with its hash set.

    `uncut`: nothing was redacted, because the location works only in full.
    """

    locator: Locator
    uncut: Flag = False
    site_type: codes.SiteType = codes.SiteType.NOT_DETERMINED
    commerciality: codes.Commerciality = codes.Commerciality.NOT_DETERMINED
    hosting: Annotated[tuple[Hosting, ...], Field(max_length=4)] = ()
    hashes: Hashes | None = None
    assessments: Annotated[tuple[Assessment, ...], Field(max_length=4)] = ()


class CutUrl(UrlLocator):
    """A web address in messages, with the rules of the guard's edition that redacted a part of it."""

    cut: CutRules = ()


class CutOnion(OnionLocator):
    """An onion address in messages, with the rules of the guard's edition that redacted a part of it."""

    cut: CutRules = ()


#: A location as messages carry it. The service sets `cut`; a submission has no such field.
RecordLocator = Annotated[
    CutUrl | CutOnion | AccountLocator | MessageLocatorItem | PeerLocator, Field(discriminator="kind")
]


class NumberedItem(Item):
    """An item as the origin stores and sends it: with its number, and with listed labels only."""

    n: ItemNumber
    locator: RecordLocator
    assessments: Annotated[tuple[ListedAssessment, ...], Field(max_length=4)] = ()


class NetworkObservation(Contract):
    ip: fields.IpAddress
    port: fields.Port | None = None
    at: EventTime
    kind: codes.NetworkEvent = codes.NetworkEvent.UNKNOWN


class SubjectAccount(Contract):
    """An account that was reported, at the provider `service`. Sealed, and for law enforcement only."""

    service: PartyId
    account: fields.AccountId
    events: Annotated[tuple[NetworkObservation, ...], Field(max_length=4)] = ()


class Priority(Contract):
    level: codes.PriorityLevel = codes.PriorityLevel.P2_NORMAL
    basis: Annotated[tuple[codes.PriorityBasis, ...], Field(max_length=16)] = ()


class Actionable(Contract):
    status: codes.Actionability = codes.Actionability.ACTIONABLE
    missing: Annotated[tuple[codes.MissingField, ...], Field(max_length=16)] = ()

    @model_validator(mode="after")
    def _missing_goes_with_incomplete(self) -> Self:
        if bool(self.missing) != (self.status is codes.Actionability.INCOMPLETE):
            raise ValueError("missing_needs_incomplete")
        return self


class Correlation(Contract):
    system: codes.CorrelationSystem
    ref: fields.CaseReference


class ReferralContent(Contract):
    """The statements of the origin, shared by the submission and the record in messages."""

    incident_kind: codes.IncidentKind
    incident_flags: Annotated[tuple[codes.IncidentFlag, ...], Field(max_length=32)] = ()
    observed_at: EventTime
    media_kind: codes.MediaKind
    viewed_by: codes.ViewedBy = codes.ViewedBy.UNKNOWN
    priority: Priority = Priority()
    actionable: Actionable = Actionable()
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=ITEMS_MAX)]
    user_jurisdictions: Annotated[tuple[StatedJurisdiction, ...], Field(max_length=8)] = ()
    victim_jurisdictions: Annotated[tuple[StatedJurisdiction, ...], Field(max_length=8)] = ()
    subject_accounts: Annotated[tuple[SubjectAccount, ...], Field(max_length=4)] = ()
    correlations: Annotated[tuple[Correlation, ...], Field(max_length=8)] = ()


class ReferralSubmission(ReferralContent):
    """The body of `POST /v1/referrals`.

    The server sets ids, origin and times of receipt, never the sender. `exercise` must agree with the sender's status
    in the directory: a sandbox party sends exercises only.
    """

    external_ref: fields.ExternalRef
    exercise: Flag = True


class ReferralRecord(ReferralContent):
    """The sealed part of `ReferralOffered`: the content minimised for one edge."""

    items: Annotated[tuple[NumberedItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]
    external_ref: fields.ExternalRef | None = None


class EdgeClear(Contract):
    """The public part of a message that carries an edge: ids, a commitment and due times, but no code.

    `commitment` is SHA-256 of the edge's salt ‖ the edge's digest, both as bytes. Only its recipient and audit can open
    it. Others cannot learn from it anything about the edge or the other edges of its decision. The due times count from
    the time of the message.
    """

    edge_id: Uuid
    commitment: Digest
    acknowledge_by: Instant | None = None
    act_by: Instant | None = None


class EdgeSealed(Contract):
    """The sealed part of a message that carries an edge: the edge, its decision reference and its salt.

    With `again`, the edge was sent before, to an instance that served the recipient until it moved. `released_by` are
    the submitter and the approver of a record above its budget. Only this recipient learns these names.
    """

    decision: DecisionRef
    edge: Edge
    salt: Digest
    again: AnswerTrack | None = None
    released_by: Annotated[tuple[ActorId, ...], Field(min_length=2, max_length=2)] | None = None


class AboutReferral(Contract):
    """The fields that each message of an origin about a referral has: the referral and its revision."""

    referral_id: Uuid
    revision: Revision


class ReferralOfferedClear(EdgeClear):
    """A referral is offered to one recipient for one purpose. Delivery alone creates no duty."""

    referral_id: Uuid
    revision: Revision


class ReferralOfferedSealed(EdgeSealed):
    """The edge, and the record minimised for it."""

    record: ReferralRecord


class ReferralWithdrawnClear(AboutReferral):
    """The origin withdraws a referral: recipients stop acting on it, erase the data they may, and confirm.

    A withdrawal ends all waiting acts. It has no number in its track, so it never waits for another act.
    """

    act: Uuid
    reason: codes.WithdrawalReason


class NoticeAssessment(_Listed):
    """A classification for a provider.

    Author and date are omitted: they reveal other parties and earlier times.
    """


class NoticeItem(Contract):
    """One item of a notice, with only the data that a provider needs to find it and act.

    `n` counts per notice.
    """

    n: ItemNumber
    locator: RecordLocator
    uncut: Flag = False
    site_type: codes.SiteType
    hashes: Hashes | None = None
    assessments: Annotated[tuple[NoticeAssessment, ...], Field(max_length=4)] = ()


class NoticeRecord(Contract):
    """The record for a provider. It has no id, time or revision that is earlier than the notice itself."""

    incident_kind: codes.IncidentKind
    media_kind: codes.MediaKind
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$", max_length=2)] = "en"
    items: Annotated[tuple[NoticeItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class NoticeIssuedClear(EdgeClear):
    """A provider is asked to act. The sender is the notifier. The legal basis is sealed, in the edge.

    `revision` counts the messages of this notice and is omitted in the first. It reveals nothing about its referral.
    """

    notice_id: Uuid
    revision: Revision | None = None


class NoticeIssuedSealed(EdgeSealed):
    """The edge, and the items to act on. Its `basis` states the legal grounds of DSA Article 16(2)/9(2)."""

    record: NoticeRecord


class NoticeWithdrawnClear(Contract):
    """The notifier withdraws a notice. The provider answers with the outcome."""

    notice_id: Uuid
    act: Uuid
    reason: codes.WithdrawalReason
