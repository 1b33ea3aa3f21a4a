"""Answers: what providers do with notices, what agencies do with referrals."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from shared.contracts.base import Contract, Instant, PartyId, Uuid
from shared.contracts.fields import CaseReference
from shared.vocabulary.answers import (
    CaseDeclineReason,
    CaseOutcome,
    CloseReason,
    NoticeAction,
    NoticeRejection,
    YesNoUnknown,
)


class NoticeAcknowledgedClear(Contract):
    """The provider has the notice in hand: an act of the organisation, not of its server."""

    notice_id: Uuid


class NoticeActionedClear(Contract):
    """The provider acted; `effective_at` is when the action took effect (DSA Article 9(5))."""

    notice_id: Uuid
    actions: Annotated[tuple[NoticeAction, ...], Field(min_length=1, max_length=5)]
    effective_at: Instant


class NoticeRejectedClear(Contract):
    """The provider will not act on the notice, and says why."""

    notice_id: Uuid
    reason: NoticeRejection


class NoticeNotOursClear(Contract):
    """The provider does not host the items; it may name the party that does."""

    notice_id: Uuid
    suggested: PartyId | None = None


class CaseAcceptedClear(Contract):
    """The agency takes the referral up. First feedback falls due now, then after 30 days, then at closing."""

    referral_id: Uuid


class CaseRecord(Contract):
    """The sealed part of case messages: the agency's own reference, for the origin alone."""

    case_reference: CaseReference


class CaseDeclinedClear(Contract):
    """The agency will not take the referral up, and says why."""

    referral_id: Uuid
    reason: CaseDeclineReason


class OutcomeReportedClear(Contract):
    """What came of a case, in NCMEC's published vocabulary; the two answers this exists for come last."""

    referral_id: Uuid
    outcome: CaseOutcome
    close_reason: CloseReason | None = None
    child_identified: YesNoUnknown
    child_safeguarded: YesNoUnknown

    @model_validator(mode="after")
    def _close_reason_goes_with_closed(self) -> Self:
        if (self.close_reason is not None) != (self.outcome is CaseOutcome.CLOSED):
            raise ValueError("close_reason_needs_closed")
        return self
