"""What is left of edges whose decision did not hold, once their referral was decided again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.exchange.letters import KnownEdge, Letters, Waiting


class StaleEdge(NamedTuple):
    """An edge whose decision was refused as stale, and the message that carries it; none where it waited.

    `law` names the documents that it was decided by at `decided_at`; `tried` counts the refusals that count. With
    `known`, its recipient has moved, or has answered from where it was before: the edge stays what it is.
    """

    edge_id: UUID
    message_id: UUID | None
    law: str
    decided_at: datetime
    tried: int
    known: KnownEdge | None = None


class Left(NamedTuple):
    """What becomes of stale edges, and of new ones that wait: as in `Again`."""

    waiting: tuple[Waiting, ...]
    unread: tuple[UUID, ...]
    superseded: list[UUID]
    dropped: tuple[StaleEdge, ...]


def left_of(letters: Letters, stale: Mapping[tuple[str, str], StaleEdge]) -> Left:
    waiting = {(each.edge.recipient, each.edge.terms.purpose): each for each in letters.waiting}
    unread = {key for key, each in stale.items() if key in waiting and each.known is not None}
    # One that waited and waits on has told nobody, and is not superseded.
    stays = unread | {key for key, each in stale.items() if key in waiting and each.message_id is None}
    found = waiting.keys() | {(each.recipient, each.purpose) for each in letters.emitted}
    return Left(
        tuple(each for key, each in waiting.items() if key not in unread),
        tuple(stale[key].edge_id for key in unread),
        sorted(each.edge_id for key, each in stale.items() if key not in stays),
        tuple(each for key, each in stale.items() if key not in found),
    )
