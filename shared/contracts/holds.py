"""Holds: an agency asks an origin not to issue the notices of a referral yet; the origin says what became of that.

All of it is between the two, on the referral's id: no provider is told, and no other agency. A hold is known by the id
of the act that placed it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from shared.contracts.answers import OnReferral
from shared.contracts.base import ActorId, Contract, Count, EventTime, Instant, PartyId, Uuid
from shared.contracts.referral import AboutReferral
from shared.vocabulary.agencies import LEASE_H, LEASE_H_MAX
from shared.vocabulary.preservation import HoldBasis, HoldEnd, HoldScope, OverrideBasis


class HoldRequest(Contract):
    """What is not to happen yet, why, and until when at the latest."""

    scope: HoldScope
    basis: HoldBasis
    not_after: EventTime


class HoldExtension(Contract):
    """Until when at the latest, counted anew from now. `basis` is why it still stands."""

    basis: HoldBasis
    not_after: EventTime


class HoldNamed(Contract):
    """A hold, by the id of the act that placed it."""

    hold: Uuid


class HoldExtensionOf(HoldExtension, HoldNamed):
    """How long a hold is to last now, and which."""


class HoldPlacedClear(HoldRequest, OnReferral):
    """The agency asks that no notice of the referral be issued yet. `act` is the hold's id."""


class HoldExtendedClear(HoldExtensionOf, OnReferral):
    """The agency asks for more time: a new act, bounded as the first."""


class HoldReleasedClear(HoldNamed, OnReferral):
    """The agency needs the hold no longer."""


class NoObjectionClear(OnReferral):
    """The agency has looked, and will not hold the notices of the referral."""


#: What an agency says of a hold, or of that it wants none.
OF_HOLDS: Final = (HoldPlacedClear, HoldExtendedClear, HoldReleasedClear, NoObjectionClear)


class HoldWords(Contract):
    """What an agency's act has said of a hold."""

    hold: Uuid | None = None
    scope: HoldScope | None = None
    basis: HoldBasis | None = None
    not_after: EventTime | None = None


class HoldAnswer(AboutReferral):
    """What the origin says of a hold that was placed with it."""

    hold: Uuid


class HoldActivatedClear(HoldAnswer):
    """The origin holds, from now on and until `not_after`: `held` notices. `issued` others went before."""

    scope: HoldScope
    basis: HoldBasis
    not_after: EventTime
    held: Count
    issued: Count


class HoldTooLateClear(HoldAnswer):
    """Nothing was left to hold: the last notice was issued at `issued_at`. Without it there never was one to issue."""

    issued_at: EventTime | None = None


class HoldEndedClear(HoldAnswer):
    """The hold has ended, and how. What it held is issued; when it `lapsed`, it is not."""

    end: HoldEnd


class Overriding(Contract):
    """Which hold is to be overridden, and what wins over it."""

    hold: Uuid
    basis: OverrideBasis


class Confirming(Contract):
    """Which hold is overridden: somebody else has proposed it."""

    hold: Uuid


#: What a hold is at its agency: asked for, in force, refused as too late, or ended.
HoldState = Literal["asked", "active", "too_late"] | HoldEnd


class ShownHold(Contract):
    """A hold as the origin is shown it. No provider is told that there is one.

    `gone`: of how many items that it held their providers have said since that they were gone already.
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


class Claim(Contract):
    """For how many hours whoever claims the case has it alone. Then it is anybody's of the agency again."""

    hours: _Hours = LEASE_H


class HandOver(Contract):
    """Who has the case next, and for how many hours; it is anybody's where nobody is named."""

    to: ActorId | None = None
    hours: _Hours = LEASE_H


class Leased(Contract):
    """Who has claimed the case last, opaque, and until when: once that has passed it is anybody's again."""

    claimed_by: ActorId | None
    claimed_until: Instant | None
