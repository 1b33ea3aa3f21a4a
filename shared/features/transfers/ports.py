"""Rows of transfers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from shared.core.contracts.base import Contract, PartyId, Uuid
from shared.core.vocabulary.referral import TransferReason
from shared.core.vocabulary.routing import Reason


class TransferredReferral(Contract):
    """The parties that may claim the referral from now on. It is yours until one of them claims it."""

    referral_id: Uuid
    state: str
    offered: tuple[PartyId, ...]


class TransferStatus(NamedTuple):
    """The messages that a hotline has received about a transfer: the offer to claim, and its result.

    `claim` is the act by which the hotline claimed the referral. `gone`: another hotline has it.
    """

    referral_id: UUID
    recipient: str
    reason: TransferReason
    claim: UUID | None
    gone: bool


class TransferOffer(NamedTuple):
    """An edge of a referral itself: its recipient, the reason, and whether the recipient may claim the referral.

    `is_current` is False after a withdrawal.
    """

    recipient: str
    reason: str
    claimable: bool
    is_current: bool

    @property
    def orphan(self) -> bool:
        """Return whether the recipient has the referral by an orphan's mandate."""
        return self.reason == Reason.ORPHAN_MANDATE


@dataclass(frozen=True, slots=True)
class LockedReferral:
    """A locked referral for a transfer or the grant of a claim. No other transaction does either meanwhile."""

    referral_id: UUID
    party: str
    state: str
    exercise: bool
    revision: int
    offered: Sequence[TransferOffer]

    def claimable_by(self, party: str) -> bool:
        """Return whether the referral was ever transferred to the party."""
        return any(each.recipient == party and each.claimable for each in self.offered)

    @property
    def claimants(self) -> frozenset[str]:
        """Return the parties that may claim the referral now."""
        return frozenset(each.recipient for each in self.offered if each.claimable and each.is_current)
