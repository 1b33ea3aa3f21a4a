"""Answers: what providers do with notices, what agencies do with referrals."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from shared.contracts.base import Contract, Instant, PartyId
from shared.contracts.fields import CaseReference
from shared.vocabulary.answers import Answer, CaseDeclineReason, CaseOutcome, CloseReason, NoticeAction, NoticeRejection


class NoticeAcknowledgedClear(Contract):
    """The provider has the notice in hand: an act of the organisation, not of its server."""

    notice_id: UUID


class NoticeActionedClear(Contract):
    """The provider acted; `effective_at` is when the action took effect (DSA Article 9(5))."""

    notice_id: UUID
    actions: Annotated[tuple[NoticeAction, ...], Field(min_length=1, max_length=5)]
    effective_at: Instant


class NoticeRejectedClear(Contract):
    notice_id: UUID
    reason: NoticeRejection


class NoticeNotOursClear(Contract):
    """The provider does not host the items; it may name the party that does."""

    notice_id: UUID
    suggested: PartyId | None = None


class CaseAcceptedClear(Contract):
    """The agency takes the referral up. First feedback falls due now, then after 30 days, then at closing."""

    referral_id: UUID


class CaseRecord(Contract):
    """The sealed part of case messages: the agency's own reference, for the origin alone."""

    case_reference: CaseReference


class CaseDeclinedClear(Contract):
    referral_id: UUID
    reason: CaseDeclineReason


class OutcomeReportedClear(Contract):
    """What came of a case, in NCMEC's published vocabulary; the two answers this exists for come last."""

    referral_id: UUID
    outcome: CaseOutcome
    close_reason: CloseReason | None = None
    child_identified: Answer
    child_safeguarded: Answer

    @model_validator(mode="after")
    def _close_reason_goes_with_closed(self) -> Self:
        if (self.close_reason is not None) != (self.outcome is CaseOutcome.CLOSED):
            raise ValueError("close_reason_needs_closed")
        return self
