"""Cases that go from one agency to another: what their stores are to answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable
from uuid import UUID

from shared.exchange.passed import Passable


@runtime_checkable
class Passings(Protocol):
    """Items that can be passed on, within one transaction."""

    async def passable(self, referral_id: UUID) -> Sequence[Passable] | None:
        """What there is to be passed on of a case, an edge each; none once it was erased. None for absent and foreign
        ids alike."""
        ...
