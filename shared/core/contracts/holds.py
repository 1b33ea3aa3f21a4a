"""Holds: an agency asks an origin to delay the notices of a referral, and the origin answers.

Only these two know of it, by the referral's id. Providers and other agencies do not. The id of a hold is the id of the
act that placed it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from shared.core.contracts.answers import ReferralAnswer
from shared.core.contracts.base import ActorId, Contract, Count, EventTime, Instant, PartyId, Uuid
from shared.core.contracts.referral import AboutReferral
from shared.core.vocabulary.agencies import LEASE_H, LEASE_H_MAX
from shared.core.vocabulary.preservation import HoldBasis, HoldEnd, HoldScope, OverrideBasis


class HoldRequest(Contract):
    """A request for a hold: the scope, the legal basis and the latest end."""

    scope: HoldScope
    basis: HoldBasis
    not_after: EventTime


class HoldExtension(Contract):
    """The new latest end of a hold, limited again from now. `basis` is the current legal basis."""

    basis: HoldBasis
    not_after: EventTime


class HoldRef(Contract):
    """A hold, by the id of the act that placed it."""

    hold: Uuid


class HoldExtensionOf(HoldExtension, HoldRef):
    """The extension of the named hold."""


class HoldPlacedClear(HoldRequest, ReferralAnswer):
    """The agency asks the origin to delay all notices of the referral. `act` is the hold's id."""


class HoldExtendedClear(HoldExtensionOf, ReferralAnswer):
    """The agency asks for more time. This is a new act with the same limits as the first."""


class HoldReleasedClear(HoldRef, ReferralAnswer):
    """The agency releases the hold."""


class NoObjectionClear(ReferralAnswer):
    """The agency has checked the referral and does not request a hold of its notices."""


#: Messages of an agency about a hold, or that it requests none.
OF_HOLDS: Final = (HoldPlacedClear, HoldExtendedClear, HoldReleasedClear, NoObjectionClear)


class HoldCodes(Contract):
    """An agency's act on a hold, as stored."""

    hold: Uuid | None = None
    scope: HoldScope | None = None
    basis: HoldBasis | None = None
    not_after: EventTime | None = None


class HoldAnswer(AboutReferral):
    """The origin's answer about a hold."""

    hold: Uuid


class HoldActivatedClear(HoldAnswer):
    """The origin delays `held` notices from now until `not_after`. `issued` others were issued before."""

    scope: HoldScope
    basis: HoldBasis
    not_after: EventTime
    held: Count
    issued: Count


class HoldTooLateClear(HoldAnswer):
    """No notice could be delayed.

    The last one was issued at `issued_at`; without it there was none to issue.
    """

    issued_at: EventTime | None = None


class HoldEndedClear(HoldAnswer):
    """The hold has ended, for this reason. Delayed notices are issued, except when the hold `lapsed`."""

    end: HoldEnd


class HoldOverride(Contract):
    """A proposal to override a hold, with its legal basis."""

    hold: Uuid
    basis: OverrideBasis


class OverrideApproval(Contract):
    """The confirmation of an override that another person has proposed."""

    hold: Uuid


#: The states of a hold at its agency: requested, in force, rejected as too late, or ended.
HoldState = Literal["asked", "active", "too_late"] | HoldEnd


class ShownHold(Contract):
    """A hold as the origin sees it. Providers do not learn of it.

    `gone` is the number of its items that providers have since reported as already gone.
    """

    hold: Uuid
    agency: PartyId
    scope: HoldScope
    basis: HoldBasis
    placed_at: Instant
    not_after: EventTime
    state: Literal["active", "too_late"] | HoldEnd
    ended_at: Instant | None
    gone: Count


_Hours = Annotated[int, Field(strict=True, ge=1, le=LEASE_H_MAX)]


class CaseClaim(Contract):
    """The hours for which the officer alone has the case.

    After that, any officer of the agency may claim it.
    """

    hours: _Hours = LEASE_H


class Assignment(Contract):
    """The officer who gets the case, and for how many hours. Without an officer the case is free to claim."""

    to: ActorId | None = None
    hours: _Hours = LEASE_H


class CaseHolder(Contract):
    """The officer with the latest claim, as an opaque id, and its end.

    After that the case is free to claim.
    """

    claimed_by: ActorId | None
    claimed_until: Instant | None
