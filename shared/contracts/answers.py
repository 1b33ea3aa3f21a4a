"""Answers: what providers do with notices, what agencies do with referrals.

What a party says over HTTP is the answer without the id of its subject: the clear part extends it, so each word is
stated once.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from shared.contracts.base import Contract, Instant, PartyId, Uuid
from shared.contracts.fields import CaseReference
from shared.contracts.referral import NoticeActions
from shared.vocabulary.answers import (
    CaseDeclineReason,
    CaseOutcome,
    CloseReason,
    NoticeRejection,
    YesNoUnknown,
)


class OnNotice(Contract):
    """An answer to a notice names it by its id alone."""

    notice_id: Uuid


class OnReferral(Contract):
    """An answer to a referral names it by its id."""

    referral_id: Uuid


class NoticeAcknowledgedClear(OnNotice):
    """The provider has the notice in hand: an act of the organisation, not of its server."""


class NoticeActionReport(Contract):
    """What was done, and when it took effect (DSA Article 9(5))."""

    actions: NoticeActions
    effective_at: Instant


class NoticeActionedClear(NoticeActionReport, OnNotice):
    """The provider acted; `effective_at` is when the action took effect (DSA Article 9(5))."""


class NoticeRefusal(Contract):
    """Why the provider does not act."""

    reason: NoticeRejection


class NoticeRejectedClear(NoticeRefusal, OnNotice):
    """The provider will not act on the notice, and says why."""


class NoticeDisowning(Contract):
    """The provider that hosts the items instead, if known."""

    suggested: PartyId | None = None


class NoticeNotOursClear(NoticeDisowning, OnNotice):
    """The provider does not host the items; it may name the party that does."""


class CaseAcceptedClear(OnReferral):
    """The agency takes the referral up. First feedback falls due now, then after 30 days, then at closing."""


class CaseRecord(Contract):
    """The sealed part of case messages: the agency's own reference, for the origin alone."""

    case_reference: CaseReference


class Acceptance(Contract):
    """The agency's own reference, if the origin may know it: it is sealed to the origin alone."""

    case_reference: CaseReference | None = None


class Declination(Contract):
    """Why the agency does not take the referral up."""

    reason: CaseDeclineReason


class CaseDeclinedClear(Declination, OnReferral):
    """The agency will not take the referral up, and says why."""


class OutcomeReport(Contract):
    """What has come of the case. `close_reason` goes with `closed`, and with nothing else."""

    outcome: CaseOutcome
    close_reason: CloseReason | None = None
    child_identified: YesNoUnknown
    child_safeguarded: YesNoUnknown


class OutcomeReportedClear(OutcomeReport, OnReferral):
    """What came of a case, in NCMEC's published vocabulary; the two answers this exists for come last."""

    @model_validator(mode="after")
    def _close_reason_goes_with_closed(self) -> Self:
        if (self.close_reason is not None) != (self.outcome is CaseOutcome.CLOSED):
            raise ValueError("close_reason_needs_closed")
        return self


class NoticeWords(Contract):
    """What a provider has said of a notice so far, its reason apart. A new word of an act is added here."""

    actions: NoticeActions | None = None
    effective_at: Instant | None = None
    suggested: PartyId | None = None


class CaseWords(Contract):
    """What an agency has said of a case so far, its reason apart. A new word of an act is added here."""

    outcome: CaseOutcome | None = None
    close_reason: CloseReason | None = None
    child_identified: YesNoUnknown | None = None
    child_safeguarded: YesNoUnknown | None = None
