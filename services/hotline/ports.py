"""What the hotline's use cases need from outside, over domain types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from services.hotline.domain import OfferState
from shared.exchange.message import Draft, Received

#: An offer is known by its referral and the party it was made to.
OfferKey = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer as its state machine sees it."""

    referral_id: UUID
    party: str
    origin: str
    exercise: bool
    state: OfferState


class Offers(Protocol):
    """The offers within one transaction, limited to the parties that it is bound to."""

    async def find(self, referral_ids: Sequence[UUID]) -> dict[OfferKey, Offer]:
        """What there is; absent and foreign offers are both simply not there."""
        ...

    async def lock(self, referral_ids: Sequence[UUID]) -> dict[OfferKey, Offer]:
        """The same, and no act changes them before this transaction has ended. For the instance itself only."""
        ...

    async def add(self, messages: Sequence[Received]) -> None:
        """Store newly offered referrals, their sealed part under a data key of its own."""
        ...

    async def change(self, changes: Mapping[OfferKey, tuple[OfferState, OfferState]]) -> None:
        """Move offers from one state to another. Raises `Refused("state_forbids")` if one is no longer in the first."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Put messages into the outbox of this transaction."""
        ...

    async def page(self, *, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
        """The offers, newest first, without their records."""
        ...

    async def show(self, referral_id: UUID) -> dict[str, Any]:
        """One offer with its opened record. Raises `Refused("not_found")` for absent and foreign ids alike."""
        ...


class Answers(Protocol):
    """The origin's edges within one transaction."""

    async def apply(self, messages: Sequence[Received]) -> dict[UUID, str]: ...
