"""HTTP routes for a party's deadlines: the first open timer of each edge, or all timers of one subject."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, JsonValue
from starlette.responses import Response

from shared.core.contracts.base import Contract, Flag, Instant, NextCursor, PartyId, RuleId, Uuid
from shared.core.vocabulary.law import ClockConsequence, ClockDue
from shared.core.vocabulary.routing import Purpose
from shared.features.events.api import RouteContext, viewed
from shared.platform.database.pages import place_cursor, read_place
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import shows
from shared.platform.http.paging import Cursor, Limit
from shared.platform.timers.store import DueAfter, OpenTimer, read_due

_EXAMPLE_DUE: Final[dict[str, JsonValue]] = {
    "items": [
        {
            "due_at": "2026-05-05T12:00:00.000Z",
            "overdue": False,
            "due": "acknowledgement",
            "then": "alert",
            "subject": "019b2d3c-4400-7000-8000-000000000002",
            "counterpart": "hotline-nl.example",
            "owed_by": "provider-001.example",
            "purpose": "takedown",
            "clock": "acknowledge-by",
            "run": 1,
            "rung": 0,
        }
    ],
    "next": None,
}


class ShownTimer(Contract):
    """An act that is due: its subject, the party that must do it, and the clock of the policy or deadline of the edge.

    `then` is the consequence if the act is not done. `rung` is the place on a ladder, from 1; 0 without a ladder.
    Preservations have no `purpose`.
    """

    due_at: Instant
    overdue: Flag
    due: ClockDue
    then: ClockConsequence
    subject: Uuid
    counterpart: PartyId
    owed_by: PartyId
    purpose: Purpose | None
    clock: RuleId
    run: Annotated[int, Field(ge=1)]
    rung: Annotated[int, Field(ge=0)]


class DuePage(Contract):
    """The deadlines of the party, soonest first. Overdue deadlines come first."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_DUE]})

    items: tuple[ShownTimer, ...]
    next: NextCursor


@dataclass(frozen=True, slots=True)
class DueList:
    """The service behind the route."""

    serving: RouteContext

    async def page(self, identity: Identity, cursor: str | None, limit: int, *, subject: UUID | None = None) -> DuePage:
        """Return one page, of one subject or of all. Raises `Refused`: `forbidden`, `cursor_invalid`."""
        async with self.serving.looking(identity) as session:
            after = None if cursor is None else DueAfter(*read_place(cursor)[1:])
            rows = await read_due(session.driver, identity.party, after=after, limit=limit + 1, subject=subject)
        now = self.serving.clock.now()
        following = place_cursor((0, *rows[limit - 1].place)) if len(rows) > limit else None
        return DuePage(items=tuple(_shown_timer(row, now) for row in rows[:limit]), next=following)


def due_router(serving: RouteContext) -> APIRouter:
    """Build the route of deadlines."""
    router = APIRouter(prefix="/v1")
    who = Depends(serving.identified)
    listed = DueList(serving)

    @router.get("/due", tags=["events"], **shows(DuePage))
    async def page(
        identity: Identity = who, cursor: Cursor = None, limit: Limit = 50, *, subject: UUID | None = None
    ) -> Response:
        """List the deadlines of the party and of its counterparts, soonest first.

        Without `subject`, each edge has one entry: its first open deadline. With `subject`, all of its deadlines.
        """
        return viewed(await listed.page(identity, cursor, limit, subject=subject))

    return router


def _shown_timer(row: OpenTimer, now: datetime) -> ShownTimer:
    stored = {name: getattr(row, name, None) for name in ShownTimer.model_fields}
    computed = {"overdue": row.due_at <= now, "then": row.consequence, "purpose": row.purpose or None}
    return ShownTimer.model_validate(stored | computed)
