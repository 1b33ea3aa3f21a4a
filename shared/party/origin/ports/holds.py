"""Holds as an origin keeps them: what an agency has asked, what became of it, and what its stores are to answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol
from uuid import UUID

from shared.contracts.base import Contract, Uuid
from shared.exchange.events import Event
from shared.exchange.message import Draft
from shared.party.origin.ports import StaleReferral
from shared.party.taking import Taking
from shared.vocabulary.holds import HoldEnd

ACTIVE: Final = "active"
TOO_LATE: Final = "too_late"


@dataclass(frozen=True, slots=True)
class Hold:
    """One agency's hold of the notices of one referral. `rank` is 0 where a child is at risk, else 1."""

    hold_id: UUID
    referral_id: UUID
    agency: str
    party: str
    scope: str
    basis: str
    placed_at: datetime
    not_after: datetime
    state: str
    exercise: bool


class HoldAct(NamedTuple):
    """One act of a hold, to be kept: what was done, when, by whom where that was a person of the origin."""

    act: str
    at: datetime
    not_after: datetime | None = None
    basis: str | None = None
    actor: str | None = None


class PlannedEdge(NamedTuple):
    """A planned notice, locked: nobody issues it before this transaction has ended."""

    edge_id: UUID
    referral_id: UUID
    window_ends: datetime
    rules: Sequence[str]


class Issued(NamedTuple):
    """How many notices of a referral were issued, and when the last was; None: none ever."""

    notices: int
    last_at: datetime | None


class Holds(Protocol):
    """Holds and planned notices within one transaction. Whoever decides about either locks the notices first."""

    async def lock(self, referral_ids: Collection[UUID]) -> Mapping[UUID, Sequence[PlannedEdge]]:
        """The planned notices of these referrals, by referral, locked in the order of their ids."""
        ...

    async def issued(self, referral_id: UUID) -> Issued: ...

    async def active(self, referral_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Hold]]:
        """The holds in force, by referral: all that were committed before this is asked."""
        ...

    async def find(self, referral_id: UUID, hold_id: UUID) -> Hold | None:
        """One hold of a referral, whatever has become of it."""
        ...

    async def told(self, referral_id: UUID) -> Mapping[str, str]:
        """Whom the referral itself was sent to, or waits for, and what each has answered so far."""
        ...

    async def unobjecting(self, referral_id: UUID) -> Collection[str]:
        """The agencies that have said that they do not hold it."""
        ...

    async def object(self, referral_id: UUID, agency: str, party: str, *, at: datetime | None) -> None:
        """Note that the agency does not hold it, since `at`; None: that it does, after all."""
        ...

    async def place(self, hold: Hold) -> None:
        """Keep a hold. One that is there already stays as it is."""
        ...

    async def extend(self, hold: Hold, not_after: datetime) -> None: ...

    async def leave_to(self, window_ends: Mapping[UUID, datetime]) -> None:
        """Have the windows of planned notices end then, by the ids of their edges."""
        ...

    async def end(self, holds: Collection[Hold], end: HoldEnd, at: datetime) -> None: ...

    async def note_act(self, hold: Hold, act: HoldAct) -> None:
        """Add to the acts of a hold."""
        ...

    async def proposed_by(self, hold: Hold) -> frozenset[str]:
        """The actors who have proposed to override it."""
        ...

    async def plan(self, issue_at: Mapping[UUID, datetime]) -> None:
        """Set in which slot notices are issued, by the ids of their edges."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None: ...

    async def note(self, events: Sequence[Event]) -> None: ...


class Planned(Holds, Protocol):
    """Holds and planned notices, for whoever issues what is due."""

    async def due(self, at: datetime, taking: Taking) -> list[StaleReferral]:
        """Referrals some of whose planned notices are due, the longest first, both locked; none that others are at."""
        ...

    async def over(self, before: datetime, at: datetime, taking: Taking) -> list[Hold]:
        """Holds in force that end at `before` or earlier, of notices that are not due, locked, for others hold them."""
        ...


class Overridden(Contract):
    """What has become of a hold: `proposed` while a second person has not confirmed that it is overridden."""

    referral_id: Uuid
    hold: Uuid
    state: Literal["proposed", HoldEnd.OVERRIDDEN]
