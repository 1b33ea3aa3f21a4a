"""Agencies that may want to speak with each other, as an origin finds them: what its stores are to answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.exchange.message import Draft
from shared.party.taking import Taking


class Met(NamedTuple):
    """An agency's case that another agency's is like: whom to tell of whom, and why.

    `their_referral_id` is the referral of which the other has made its case; `revision` that of the agency's own.
    """

    party: str
    referral_id: UUID
    revision: int
    exercise: bool
    agency: str
    ground: str
    their_referral_id: UUID
    other: str


class Contacts(Protocol):
    """Contacts within one transaction."""

    async def due(self, taking: Taking) -> Sequence[UUID]:
        """Referrals that an agency has accepted since, or that were found to name a known place; each taken once."""
        ...

    async def met(self, referral_ids: Collection[UUID], among: Collection[str]) -> Sequence[Met]:
        """Whom to tell of whom, of the agencies `among`; kept, so that each case is told of each other agency once."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None: ...
