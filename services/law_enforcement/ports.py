"""What an agency is shown of the referrals offered to it."""

from __future__ import annotations

from shared.contracts.answers import CaseWords, TrackNumber
from shared.contracts.base import Contract, ErrorCode, Instant, NextCursor, PartyId, Uuid
from shared.contracts.case_referral import PassedOn, SuggestedContact
from shared.contracts.decision import Edge
from shared.contracts.fields import CaseReference
from shared.contracts.holds import HoldWords, Leased
from shared.contracts.questions import QuestionWords
from shared.contracts.referral import ReferralRecord, Revision
from shared.exchange.act import CaseState
from shared.party.recipient.domain import AlikeCase, ShownItem
from shared.vocabulary.agencies import CaseReferReason
from shared.vocabulary.answers import CaseDeclineReason
from shared.vocabulary.routing import Purpose


class FurtherEdge(Contract):
    """Another purpose for which the same referral was offered."""

    purpose: Purpose
    edge: Edge


class OpenedFurtherEdge(FurtherEdge):
    """Another purpose, with the record that it entitles to; null once it was erased."""

    record: ReferralRecord | None


class EarlierEdge(OpenedFurtherEdge):
    """What the case had under an earlier revision, from when it was accepted on; null once it was erased."""

    revision: Revision
    received_at: Instant


class CaseFields(CaseWords, Leased, ShownItem):
    """What the agency has made of a referral, and the edge it began with."""

    referral_id: Uuid
    origin: PartyId
    state: CaseState
    edge: Edge
    accepted_at: Instant | None
    reason: CaseDeclineReason | CaseReferReason | None
    agency: PartyId | None


class ShownCase(CaseFields):
    """A referral that was offered to this agency: its first edge, further ones, and what the agency has made of it."""

    further: tuple[FurtherEdge, ...]


class CasePage(Contract):
    """Referrals offered to this agency, newest first, without their records."""

    items: tuple[ShownCase, ...]
    next: NextCursor


class CaseAct(CaseWords, HoldWords, QuestionWords):
    """One act of the agency as it was done: its own words, the state that it led to, its number and its time."""

    number: TrackNumber
    state: CaseState
    reason: CaseDeclineReason | CaseReferReason | None
    agency: PartyId | None = None
    code: ErrorCode | None = None
    at: Instant


class LookedCase(ShownCase):
    """A referral without its records: what the agency has made of it, act by act, oldest first.

    `passed_on`: it came from another agency. `contacts`: others that have accepted the same, as its origin says.
    `alike`: other open cases of the agency at the same place.
    """

    timeline: tuple[CaseAct, ...]
    passed_on: PassedOn | None
    contacts: tuple[SuggestedContact, ...] = ()
    alike: tuple[AlikeCase, ...] = ()


class OpenedCase(CaseFields):
    """A referral with its records, which are null once they were erased, and the agency's own reference.

    What it has made of the case is the fold of all its acts; `timeline` has each, oldest first. `earlier` is what an
    accepted case had before it was amended; `passed_on` how it came from another agency, if it did; `contacts` others
    that have accepted the same, as its origin says; `alike` other open cases of the agency at the same place.
    """

    further: tuple[OpenedFurtherEdge, ...]
    earlier: tuple[EarlierEdge, ...] = ()
    record: ReferralRecord | None
    case_reference: CaseReference | None
    timeline: tuple[CaseAct, ...]
    passed_on: PassedOn | None
    contacts: tuple[SuggestedContact, ...] = ()
    alike: tuple[AlikeCase, ...] = ()


class CaseMoved(Contract):
    """The state that the act has led to. The origin will be told."""

    referral_id: Uuid
    state: CaseState
