"""The referral: what an origin submits, what travels sealed, and the messages about it as a whole."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from shared.contracts import fields
from shared.contracts.base import (
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
)
from shared.contracts.decision import DecisionRef, Edge
from shared.contracts.items import ITEMS_MAX, NUMBERED_ONCE, AnsweredSoFar, ItemNumber
from shared.vocabulary import judgement
from shared.vocabulary import referral as codes

AssessmentValue = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,24}$", max_length=24)]
Revision = Annotated[int, Field(strict=True, ge=1, le=1000)]


#: Rules of the guard's edition by which something was cut from an address: codes, never what was cut.
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
    """Where an item was hosted at one time, as somebody observed it. Several may stand side by side."""

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
    """What an assessment says, without who made it and when."""

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
    """A value that its scheme's list does not have: as of any code, an edition to come may have it."""
    expected = ", ".join(f"'{each}'" for each in sorted(known | {judgement.UNKNOWN_VALUE}))
    return PydanticCustomError("enum", "assessment_value_not_in_scheme", {"expected": expected})


class Assessment(Classification):
    """One party's classification under a named scheme; never converted into another scheme."""

    assessor: PartyId | None = None
    assessed_on: Day | None = None


class _Listed(Classification):
    @model_validator(mode="after")
    def _value_is_listed(self) -> Self:
        """Refuse a value that is not of its scheme's list: what travels is closed."""
        known = judgement.ASSESSMENT_VALUES[self.scheme]
        if self.value not in known and self.value != judgement.UNKNOWN_VALUE:
            raise _not_in(known)
        return self


class ListedAssessment(Assessment, _Listed):
    """An assessment as it travels: its value is one of its scheme's list, or `unknown`."""


class Item(Contract):
    """One location with its hash set. From one that is `uncut` nothing was cut: what would be is the only way in."""

    locator: Locator
    uncut: Flag = False
    site_type: codes.SiteType = codes.SiteType.NOT_DETERMINED
    commerciality: codes.Commerciality = codes.Commerciality.NOT_DETERMINED
    hosting: Annotated[tuple[Hosting, ...], Field(max_length=4)] = ()
    hashes: Hashes | None = None
    assessments: Annotated[tuple[Assessment, ...], Field(max_length=4)] = ()


class CutUrl(UrlLocator):
    """A web address as it travels, and by which rules of the guard's edition something was cut from it."""

    cut: CutRules = ()


class CutOnion(OnionLocator):
    """An onion service as it travels, and by which rules of the guard's edition something was cut from it."""

    cut: CutRules = ()


#: A location as it travels. `cut` is the service's to say: whoever files has no place for it.
RecordLocator = Annotated[
    CutUrl | CutOnion | AccountLocator | MessageLocatorItem | PeerLocator, Field(discriminator="kind")
]


class NumberedItem(Item):
    """An item as the origin keeps it and sends it: with its number, and with listed labels alone."""

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
    """What the origin states, shared by the submission and the record that travels."""

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
    """The body of `POST /v1/referrals`. Ids, origin and times of receipt are the server's, never the sender's.

    `exercise` must agree with the sender's status in the directory: a sandbox party sends exercises only.
    """

    external_ref: fields.ExternalRef
    exercise: Flag = True


class ReferralRecord(ReferralContent):
    """The sealed part of `ReferralOffered`: the content minimised for one edge."""

    items: Annotated[tuple[NumberedItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]
    external_ref: fields.ExternalRef | None = None


class EdgeClear(Contract):
    """What everybody sees of a message that carries an edge: ids, a commitment, due times, and no code.

    `commitment` is SHA-256 of the edge's salt ‖ the edge's digest, both as bytes: its recipient and audit can open it,
    and nobody else can tell from it what the edge is, or which others were decided with it. The due times count from
    the time of the message.
    """

    edge_id: Uuid
    commitment: Digest
    acknowledge_by: Instant | None = None
    act_by: Instant | None = None


class EdgeSealed(Contract):
    """The sealed part of a message that carries an edge: the edge, what it was decided by, and its salt.

    With `again`, the edge was sent before, to an instance that served the recipient until it moved. `released_by` are
    the two who let a record over its budget go, whoever filed it first: names that this recipient alone is told.
    """

    decision: DecisionRef
    edge: Edge
    salt: Digest
    again: AnsweredSoFar | None = None
    released_by: Annotated[tuple[ActorId, ...], Field(min_length=2, max_length=2)] | None = None


class AboutReferral(Contract):
    """What an origin's message about a referral names: the referral, and its revision."""

    referral_id: Uuid
    revision: Revision


class ReferralOfferedClear(EdgeClear):
    """A referral is offered to one recipient for one purpose. Success of delivery obliges nobody yet."""

    referral_id: Uuid
    revision: Revision


class ReferralOfferedSealed(EdgeSealed):
    """The edge, and the record minimised for it."""

    record: ReferralRecord


class ReferralWithdrawnClear(AboutReferral):
    """The origin takes a referral back: recipients stop acting on it, erase what they may, and say so.

    It ends whatever waits, so it has no number in its track: it is never behind anything.
    """

    act: Uuid
    reason: codes.WithdrawalReason


class NoticeAssessment(_Listed):
    """A classification as a provider is told it: who made it, and when, would name others and earlier times."""


class NoticeItem(Contract):
    """One item of a notice, with just what a provider needs to find and act on it. `n` counts within the notice."""

    n: ItemNumber
    locator: RecordLocator
    uncut: Flag = False
    site_type: codes.SiteType
    hashes: Hashes | None = None
    assessments: Annotated[tuple[NoticeAssessment, ...], Field(max_length=4)] = ()


class NoticeRecord(Contract):
    """What a provider is sent: no id, time or revision that is earlier than the notice itself."""

    incident_kind: codes.IncidentKind
    media_kind: codes.MediaKind
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$", max_length=2)] = "en"
    items: Annotated[tuple[NoticeItem, ...], Field(min_length=1, max_length=ITEMS_MAX), NUMBERED_ONCE]


class NoticeIssuedClear(EdgeClear):
    """A provider is asked to act. The notifier is its sender; the legal basis is sealed, in the edge.

    `revision` counts what was sent of this notice, and is left out of the first: it says nothing of its referral.
    """

    notice_id: Uuid
    revision: Revision | None = None


class NoticeIssuedSealed(EdgeSealed):
    """The edge, whose `basis` is what DSA Article 16(2)/9(2) ask a notice to state, and what is to be acted on."""

    record: NoticeRecord


class NoticeWithdrawnClear(Contract):
    """The notifier takes a notice back; the provider says what became of it."""

    notice_id: Uuid
    act: Uuid
    reason: codes.WithdrawalReason
