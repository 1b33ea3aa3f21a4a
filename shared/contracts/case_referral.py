"""A case that goes from one agency to another: what its origin is told, and what the other agency is sent.

The origin learns that the case has moved, why, and to whom, since that one answers from then on. The other agency gets
the record as the first had it, the edge that entitled the first, and what the first has made of it, in codes.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from shared.contracts.answers import CaseWords, OnReferral, TrackNumber
from shared.contracts.base import Contract, ErrorCode, Instant, PartyId, Uuid
from shared.contracts.referral import AboutReferral, EdgeSealed, ReferralRecord
from shared.vocabulary.agencies import CaseReferReason, ContactGround
from shared.vocabulary.answers import AnswerState, CaseDeclineReason

#: So many acts of a case are told, the newest.
PASSED_ACTS_MAX: Final = 64
#: What an agency may have answered when it passes a case on.
_PASSED_ON_FROM: Final = frozenset({AnswerState.NONE, AnswerState.ACCEPTED, AnswerState.ONGOING})
#: A case can come back so often.
TIMES_MAX: Final = 999


class Referring(Contract):
    """Whose the case is instead, and why."""

    agency: PartyId
    reason: CaseReferReason


class Passing(Referring):
    """To which agency a case goes, on which edge the first had it, and the id of the one that the other answers on."""

    from_edge_id: Uuid
    edge_id: Uuid


class CaseReferredClear(Passing, OnReferral):
    """The agency has passed the case on to another one, which answers from now on."""


def _passed_on_from(stands: AnswerState) -> AnswerState:
    """Raises `ValueError` for what is never passed on. It is not part of the type: a code more is deferred then."""
    if stands not in _PASSED_ON_FROM:
        raise ValueError("never_passed_on")
    return stands


class CameBack(Contract):
    """What was passed on has come back: which agency's instance has refused it, and by which code.

    `edge_id` is the one that it would have answered on. `stands` is what the first agency had answered before, and has
    again; `times`: how often it has come back by now.
    """

    agency: PartyId
    edge_id: Uuid
    code: ErrorCode
    stands: Annotated[AnswerState, AfterValidator(_passed_on_from)]
    times: Annotated[int, Field(strict=True, ge=1, le=TIMES_MAX)]


class CaseCameBackClear(CameBack, OnReferral):
    """The case is the agency's again, since the one that it was passed on to could not take it."""


class PassedAct(CaseWords):
    """One act of the agency that passes a case on: its words, the answer that it led to, its number and its time."""

    number: TrackNumber
    answer: AnswerState
    reason: CaseDeclineReason | None = None
    at: Instant


class ReferralPassedOnClear(AboutReferral):
    """An agency passes on what it was offered. `edge_id` is the edge on which whoever gets it answers its origin."""

    act: Uuid
    edge_id: Uuid


class ReferralPassedOnSealed(EdgeSealed):
    """The edge of the agency that passes it on, why it does, what it has made of it, and the record as it had that."""

    reason: CaseReferReason
    history: Annotated[tuple[PassedAct, ...], Field(max_length=PASSED_ACTS_MAX)]
    record: ReferralRecord


class PassedOn(Contract):
    """How a case came from another agency, and what that one had made of it."""

    by: PartyId
    reason: CaseReferReason
    at: Instant
    history: tuple[PassedAct, ...]


class ContactSuggestedClear(AboutReferral):
    """The origin tells the agency of another one that has a case like this one."""


class Contact(Contract):
    """Which agency that is, what the two cases have in common, and the referral that it has: its case, if they meet."""

    agency: PartyId
    ground: ContactGround
    their_referral_id: Uuid


class SuggestedContact(Contact):
    """A contact as the agency was told of it, and when."""

    at: Instant
