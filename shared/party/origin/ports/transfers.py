"""Transfers as an origin keeps them: who may claim a referral, and what its stores are to answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.contracts.base import Contract, PartyId, Uuid
from shared.contracts.transfers import DoneSoFar
from shared.exchange.events import Event
from shared.exchange.message import Draft
from shared.vocabulary.routing import Reason
from shared.vocabulary.transfers import TransferReason


class Offered(NamedTuple):
    """An edge of a referral itself: whom it was sent to, why, and whether the recipient may claim it.

    It stands unless it was taken back.
    """

    recipient: str
    reason: str
    claimable: bool
    stands: bool

    @property
    def orphan(self) -> bool:
        """Whether its recipient has it by an orphan's mandate."""
        return self.reason == Reason.ORPHAN_MANDATE


@dataclass(frozen=True, slots=True)
class Held:
    """A referral as whoever transfers it or grants a claim finds it, locked: nobody else does either meanwhile."""

    referral_id: UUID
    party: str
    state: str
    exercise: bool
    revision: int
    offered: Sequence[Offered]

    def claimable_by(self, party: str) -> bool:
        """Whether it was transferred to the party, whatever has become of that since."""
        return any(each.recipient == party and each.claimable for each in self.offered)

    @property
    def claimants(self) -> frozenset[str]:
        """Who may claim it as things stand."""
        return frozenset(each.recipient for each in self.offered if each.claimable and each.stands)


class Transfers(Protocol):
    """Transfers within one transaction."""

    async def stands(self, referral_id: UUID) -> str | None:
        """The state of a referral of the bound parties; absent and foreign ones are not there."""
        ...

    async def lock(self, referral_ids: Collection[UUID]) -> Mapping[UUID, Held]:
        """Referrals by their ids, locked in the order of these."""
        ...

    async def offer(self, held: Held, to: Collection[str], *, reason: TransferReason, at: datetime) -> None:
        """Keep that these may claim the referral."""
        ...

    async def hand_over(self, held: Held, to: str, at: datetime) -> None:
        """Keep that the referral has been transferred. What is planned of it is issued no more."""
        ...

    async def done(self, referral_id: UUID, recipient: str) -> tuple[DoneSoFar, ...]:
        """What was done about the items that a recipient has: of each how many notices, and how many actioned."""
        ...

    async def send(self, drafts: Sequence[Draft]) -> None: ...

    async def note(self, events: Sequence[Event]) -> None: ...


class TransferredReferral(Contract):
    """Who may claim the referral from now on. It is yours until one of them has."""

    referral_id: Uuid
    state: str
    offered: tuple[PartyId, ...]
