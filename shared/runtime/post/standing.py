"""What is held of another's edges is told to it, a part at a time: so it learns what either side has lost.

A part says all of a range of ids, so no part waits for another, and each is one transaction here and there.
"""

from __future__ import annotations

from typing import Final, Protocol
from uuid import UUID

from shared.contracts.delivery import ROWS_MAX, HeldEdge, StandingClear
from shared.runtime.post.ports import Unit

#: So many parts are told to a peer at one turn of the talk.
PARTS_MAX: Final = 4


class Holding(Protocol):
    """What a service holds of others' edges, and what it does where another holds less, or more, of its own."""

    async def held(self, unit: Unit, of: str, *, above: UUID, limit: int) -> list[HeldEdge]:
        """The edges of instance `of` that are held here, by their ids, from the first above `above` on."""
        ...

    async def compare(self, unit: Unit, by: str, standing: StandingClear) -> None:
        """Instance `by` holds this of our edges. What it says of edges that are not at `by` changes nothing."""
        ...


class NothingHeld:
    """The holding of a service that takes no edges and issues none."""

    async def held(self, unit: Unit, of: str, *, above: UUID, limit: int) -> list[HeldEdge]:
        return []

    async def compare(self, unit: Unit, by: str, standing: StandingClear) -> None:
        return


async def parts(holding: Holding, unit: Unit, of: str, *, above: UUID) -> tuple[list[StandingClear], UUID | None]:
    """The next parts of what `of` is to be told, and the id behind which they go on; None: these were the last."""
    told: list[StandingClear] = []
    at: UUID | None = above
    compacted = await unit.taken.compacted(of)
    while at is not None and len(told) < PARTS_MAX:
        held = await holding.held(unit, of, above=at, limit=ROWS_MAX)
        upto = held[-1].edge_id if len(held) == ROWS_MAX else None
        told.append(StandingClear(above=at if at.int else None, upto=upto, compacted=compacted, held=tuple(held)))
        at = upto
    return told, at
