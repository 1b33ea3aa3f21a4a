"""Withdrawals that an instance of their recipient does not know of: it was put back, or somebody moved to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from shared.exchange.message import Draft
from shared.party.origin.ports import Filed, Told
from shared.party.taking import Taking
from shared.vocabulary.referral import WithdrawalReason


class TakenBack(NamedTuple):
    """A withdrawal that an instance of its recipient does not know of, to be told again: of which edge, and where."""

    edge_id: UUID
    referral_id: UUID
    party: str
    told: Told
    filed: Filed
    reason: WithdrawalReason


class Missing(Protocol):
    """Withdrawals that their recipients do not know of, for the instance itself."""

    async def taken_back(self, taking: Taking) -> list[TakenBack]:
        """Of edges, locked, each place that does not know."""
        ...

    async def tell_again(self, told: Sequence[tuple[TakenBack, Draft | None]]) -> None:
        """Send these withdrawals; None: nobody is left to be told, so it is let be."""
        ...
