"""Case referral: one agency passes a case to another. Messages to the origin and to the second agency.

The origin learns the reason and the second agency, which answers from then on. The second agency gets the record as the
first had it, the edge that entitled the first, and the acts of the first, in codes.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from shared.core.contracts.answers import CaseCodes, ReferralAnswer, TrackNumber
from shared.core.contracts.base import Contract, ErrorCode, Instant, PartyId, Uuid
from shared.core.contracts.referral import AboutReferral, EdgeSealed, ReferralRecord
from shared.core.vocabulary.agencies import CaseReferReason
from shared.core.vocabulary.answers import AnswerState, CaseDeclineReason

#: Maximum acts of a case that are sent, the newest.
PASSED_ACTS_MAX: Final = 64
#: The answers after which an agency may pass a case on.
_PASSED_ON_FROM: Final = frozenset({AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.ONGOING})
#: How often a case can be returned.
TIMES_MAX: Final = 999


class CaseReferral(Contract):
    """The agency that should get the case, and the reason."""

    agency: PartyId
    reason: CaseReferReason


class CaseEdge(CaseReferral):
    """The receiving agency, the edge of the first agency, and the new edge for the second."""

    from_edge_id: Uuid
    edge_id: Uuid


class CaseReferredClear(CaseEdge, ReferralAnswer):
    """The agency has passed the case on to another agency, which answers from now on."""


def _passed_on_from(stands: AnswerState) -> AnswerState:
    """Return the answer. Raises `ValueError` unless an agency may pass a case on after it.

    The field's type lists every answer, so that a message with a later code is deferred and not refused.
    """
    if stands not in _PASSED_ON_FROM:
        raise ValueError("never_passed_on")
    return stands


class CaseReturn(Contract):
    """A case referral that was returned: the agency whose instance rejected it, and the error code.

    `edge_id` is the edge of the second agency. `stands` is the answer of the first agency before, which is restored.
    `times` is the number of returns so far.
    """

    agency: PartyId
    edge_id: Uuid
    code: ErrorCode
    stands: Annotated[AnswerState, AfterValidator(_passed_on_from)]
    times: Annotated[int, Field(strict=True, ge=1, le=TIMES_MAX)]


class CaseCameBackClear(CaseReturn, ReferralAnswer):
    """The agency has the case again, since the second agency's instance rejected it."""


class PassedAct(CaseCodes):
    """One act of the referring agency: its answers, the resulting state, its number and its time."""

    number: TrackNumber
    answer: AnswerState
    reason: CaseDeclineReason | None = None
    at: Instant


class ReferralPassedOnClear(AboutReferral):
    """An agency passes on a case. `edge_id` is the edge on which the second agency answers the origin."""

    act: Uuid
    edge_id: Uuid


class ReferralPassedOnSealed(EdgeSealed):
    """The edge of the referring agency, its reason, its acts on the case, and the record as it had it."""

    reason: CaseReferReason
    history: Annotated[tuple[PassedAct, ...], Field(max_length=PASSED_ACTS_MAX)]
    record: ReferralRecord


class CaseProvenance(Contract):
    """The origin of a case referral: the referring agency, its reason and its acts on the case."""

    by: PartyId
    reason: CaseReferReason
    at: Instant
    history: tuple[PassedAct, ...]
