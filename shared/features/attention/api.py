"""The HTTP route of a party's attention list, and its sources.

Each party has one attention list, for all its roles in the exchange.

For overdue edges, one row is one edge, in the order of the first due time: one walk along an index. The row names the
clock that ran out last, which is the highest rung so far. Edges with a child at risk come first in the list, as
`p0_open`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, Literal, Protocol
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends
from starlette.responses import Response

from shared.core.acts.act import Subject
from shared.core.acts.states import NUMBERED, PERMIT
from shared.core.clock import EPOCH, Clock
from shared.features.attention.rules import (
    OVERDUE,
    RANK_MAX,
    AttentionPage,
    AttentionRow,
    ListPlace,
    Remedy,
    owed_act,
    waits_of,
)
from shared.features.events.api import RouteContext, viewed
from shared.platform.database.pages import place_cursor, read_place
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import shows
from shared.platform.http.paging import Cursor, Limit
from shared.platform.timers.store import DueAfter, OverdueEdge, read_overdue

_BEGINNING: Final = ListPlace(-1, EPOCH, UUID(int=0))


class AttentionQuery(Protocol):
    """The read function of a source: returns at most `limit` items after `above`, in order, up to rank `rank_max`."""

    async def __call__(
        self, driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int
    ) -> list[AttentionRow]: ...


@dataclass(frozen=True, slots=True)
class AttentionSource:
    """A source of attention items. The reader needs the permit to read `resource` in `state`."""

    resource: str
    state: str
    look: AttentionQuery


@dataclass(frozen=True, slots=True)
class AttentionRoutes:
    """The service behind the route."""

    serving: RouteContext
    sources: Sequence[AttentionSource]

    async def page(self, identity: Identity, cursor: str | None, *, rank_max: int, limit: int) -> AttentionPage:
        """Return the first `limit` items after the cursor. Raises `Refused`: `forbidden`, `cursor_invalid`."""
        for source in self.sources:
            self.serving.authority.require(source.resource, identity.role, action="read", state=source.state)
        above = _BEGINNING if cursor is None else ListPlace(*read_place(cursor))
        found: list[AttentionRow] = []
        async with self.serving.reading(identity) as session:
            for each in self.sources:
                found += await each.look(session.driver, identity.party, above, rank_max=rank_max, limit=limit + 1)
        found.sort(key=lambda waits: waits.place)
        following = place_cursor(found[limit - 1].place) if len(found) > limit else None
        return AttentionPage(items=tuple(waits.row for waits in found[:limit]), next=following)


def attention_router(serving: RouteContext, sources: Sequence[AttentionSource]) -> APIRouter:
    """Build the route /v1/attention, which is the same in all services of parties."""
    router, attention = APIRouter(prefix="/v1", tags=["attention"]), AttentionRoutes(serving, sources)
    who = Depends(serving.identified)

    @router.get("/attention", name="read_attention", **shows(AttentionPage))
    async def page(
        identity: Identity = who, priority: Literal["p0"] | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """List tasks that need a person, each with a suggested act. A child at risk comes first, then the oldest."""
        rank_max = RANK_MAX if priority is None else 0
        return viewed(await attention.page(identity, cursor, rank_max=rank_max, limit=limit))

    return router


def overdue(clock: Clock, received: Subject) -> AttentionSource:
    """Build the source of overdue edges. `received` is the kind of subject that parties of this service receive."""
    return AttentionSource(PERMIT.resource, NUMBERED, partial(_overdue, now=clock.now, received=received))


async def _overdue(
    driver: asyncpg.Connection,
    party: str,
    above: ListPlace,
    /,
    *,
    now: Callable[[], datetime],
    received: Subject,
    rank_max: int,
    limit: int,
) -> list[AttentionRow]:
    """Return the first `limit` entries after `above`, oldest first."""
    if rank_max < RANK_MAX:
        return []
    found = await read_overdue(driver, party, after=DueAfter(*above.of_last_rank()), now=now(), limit=limit)
    return [_waits(edge, received) for edge in found]


def _waits(edge: OverdueEdge, received: Subject) -> AttentionRow:
    kind = Subject.REFERRAL if edge.is_own else received
    kind = Subject.PRESERVATION if edge.is_preservation else kind
    latest = edge.latest
    mend = owed_act(kind, latest.due) if latest.owed_by == latest.party else Remedy.CALL
    columns = {"id": latest.edge_id, "since": edge.since, "subject": latest.subject, "party": latest.counterpart}
    waits = waits_of(columns | {"clock": latest.clock}, OVERDUE, kind=kind, mend=mend)
    return waits._replace(place=ListPlace(RANK_MAX, *edge.place))
