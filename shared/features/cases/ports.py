"""The views of an agency on the referrals offered to it."""

from __future__ import annotations

from shared.core.acts.act import CaseState
from shared.core.contracts.answers import CaseCodes, TrackNumber
from shared.core.contracts.base import Contract, ErrorCode, Instant, NextCursor, PartyId, Uuid
from shared.core.contracts.case_referral import CaseProvenance
from shared.core.contracts.decision import Edge
from shared.core.contracts.fields import CaseReference
from shared.core.contracts.holds import CaseHolder, HoldCodes
from shared.core.contracts.questions import QuestionCodes
from shared.core.contracts.referral import ReferralRecord, Revision
from shared.core.vocabulary.agencies import CaseReferReason
from shared.core.vocabulary.answers import CaseDeclineReason
from shared.core.vocabulary.routing import Purpose
from shared.features.contacts.contract import SuggestedContact
from shared.features.received.rules import ShownItem, SimilarCase


class FurtherEdge(Contract):
    """Another purpose for which the same referral was offered."""

    purpose: Purpose
    edge: Edge


class OpenedFurtherEdge(FurtherEdge):
    """Another purpose with its record; null if the record was erased."""

    record: ReferralRecord | None


class EarlierEdge(OpenedFurtherEdge):
    """An earlier revision of an accepted case, with its record; null if the record was erased."""

    revision: Revision
    received_at: Instant


class CaseFields(CaseCodes, CaseHolder, ShownItem):
    """The agency's present answers about a referral, and the first edge."""

    referral_id: Uuid
    origin: PartyId
    state: CaseState
    edge: Edge
    accepted_at: Instant | None
    reason: CaseDeclineReason | CaseReferReason | None
    agency: PartyId | None


class ShownCase(CaseFields):
    """A referral that was offered to this agency: its first edge, further edges, and the agency's answers."""

    further: tuple[FurtherEdge, ...]


class CasePage(Contract):
    """Referrals offered to this agency, newest first, without their records."""

    items: tuple[ShownCase, ...]
    next: NextCursor


class CaseAct(CaseCodes, HoldCodes, QuestionCodes):
    """One act of the agency: its words, the state after it, its number and its time."""

    number: TrackNumber
    state: CaseState
    reason: CaseDeclineReason | CaseReferReason | None
    agency: PartyId | None = None
    code: ErrorCode | None = None
    at: Instant


class CaseSummary(ShownCase):
    """A referral without its records, with the acts of the agency, oldest first.

    `passed_on` is set if another agency has passed it on. `contacts` are agencies that have accepted the same, as its
    origin reports. `alike` are other open cases of the agency at the same location.
    """

    timeline: tuple[CaseAct, ...]
    passed_on: CaseProvenance | None
    contacts: tuple[SuggestedContact, ...] = ()
    alike: tuple[SimilarCase, ...] = ()


class OpenedCase(CaseFields):
    """A referral with its records, which are null if they were erased, and the agency's own reference.

    The present answers combine all acts of the agency; `timeline` has each act, oldest first. `earlier` are the
    revisions of an accepted case before it was amended. `passed_on` is set if another agency has passed it on.
    `contacts` are agencies that have accepted the same, as its origin reports. `alike` are other open cases of the
    agency at the same location.
    """

    further: tuple[OpenedFurtherEdge, ...]
    earlier: tuple[EarlierEdge, ...] = ()
    record: ReferralRecord | None
    case_reference: CaseReference | None
    timeline: tuple[CaseAct, ...]
    passed_on: CaseProvenance | None
    contacts: tuple[SuggestedContact, ...] = ()
    alike: tuple[SimilarCase, ...] = ()


class CaseTransition(Contract):
    """The state after the act. A message informs the origin."""

    referral_id: Uuid
    state: CaseState
