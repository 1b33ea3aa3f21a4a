"""Holds as an agency has them: what it has asked for, and what its stores are to answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

from shared.contracts.base import Contract, EventTime, Flag, Instant, NextCursor, PartyId, Uuid
from shared.contracts.holds import HoldState
from shared.exchange.act import CaseState
from shared.vocabulary.holds import HoldBasis, HoldScope


class AskedHold(Contract):
    """A hold that this agency has asked for. `not_after` is until when the origin holds, null while it has not said.

    `held` notices wait, `issued` went before; of one that came too late, the last at `issued_at`.
    """

    hold: Uuid
    referral_id: Uuid
    origin: PartyId
    scope: HoldScope
    basis: HoldBasis
    state: HoldState
    asked_at: Instant
    asked_until: EventTime
    not_after: EventTime | None
    held: int | None
    issued: int | None
    issued_at: Instant | None
    ended_at: Instant | None


class HoldPage(Contract):
    """The agency's holds, newest first."""

    items: tuple[AskedHold, ...]
    next: NextCursor


class AlikeCase(Contract):
    """Another open case of the agency at the same place, whoever has offered it. `held`: a hold of it stands."""

    referral_id: Uuid
    origin: PartyId
    state: CaseState
    held: Flag


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold that its origin holds or has not answered, and when it ends as things stand."""

    hold_id: UUID
    ends: datetime


class Holds(Protocol):
    """The holds that agencies have asked for, within one transaction."""

    async def open(self, referral_id: UUID, party: str) -> OpenHold | None:
        """The newest of a case that its origin holds, or has not answered."""
        ...

    async def page(self, party: str, *, state: str | None, cursor: str | None, limit: int) -> HoldPage:
        """The party's holds, newest first."""
        ...


@runtime_checkable
class Cases(Protocol):
    """Items that have holds, and whose records alone tell their items."""

    @property
    def holds(self) -> Holds: ...

    async def item_numbers(self, referral_id: UUID) -> frozenset[int]:
        """The items of every revision that is kept of a case; none once it was erased, nor of one that is not there."""
        ...
