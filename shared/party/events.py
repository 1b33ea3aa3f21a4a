"""The HTTP door at which a party learns what happened: its events, in one order, from a number on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from starlette.responses import Response

from shared.contracts.base import Contract, Instant, PartyId, Uuid
from shared.exchange.events import NUMBERED, PERMIT
from shared.kernel.authority import Authority
from shared.kernel.errors import Refused
from shared.party.recipient.api import Serving, viewed
from shared.runtime.database.feed_reading import Numbered, read_feed
from shared.runtime.database.transactions import RowScope
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import shows
from shared.runtime.http.paging import BIGINT_MAX, Limit
from shared.runtime.http.problems import Problem

#: A request waits so long at most: shorter than what lies between cuts a silent connection.
WAIT_S_MAX: Final = 30
_EXAMPLE: Final[dict[str, JsonValue]] = {
    "epoch": "019b2d3c-4400-7000-8000-000000000001",
    "last": 1042,
    "items": [
        {
            "number": 1041,
            "type": "case.accept",
            "subject": "019b2d3c-4400-7000-8000-000000000002",
            "at": "2026-05-04T12:00:00.000Z",
            "state": "accepted",
            "by": "police-nl.example",
        }
    ],
}

_Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]


class ShownEvent(Contract):
    """What happened, to what, and codes. Whoever wants more looks at the subject, and is asked for its permit.

    `type` is `SUBJECT.ACT`, `subject` the id by which this party knows it, `state` what it has come to. `by` is the
    party that did it, where that was another.
    """

    number: Annotated[int, Field(ge=1)]
    type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}[.][a-z0-9_]{1,32}$")]
    subject: Uuid
    at: Instant
    state: _Word | None = None
    by: PartyId | None = None


class EventPage(Contract):
    """The party's events above a number, in their order. `last` is the highest number in this epoch."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    epoch: Uuid
    last: Annotated[int, Field(ge=0)]
    items: tuple[ShownEvent, ...]


class FeedBeganAnew(Problem):
    """The number is of another epoch: read again from 0 on."""


class Asked(BaseModel):
    """What a reader asks for, and no other parameter."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    after: Annotated[int, Field(ge=0, le=BIGINT_MAX, description="The last number that you have taken.")] = 0
    epoch: Annotated[UUID | None, Field(description="The epoch in which you have taken it.")] = None
    limit: Limit = 50
    wait: Annotated[
        int, Field(ge=0, le=WAIT_S_MAX, description="Seconds to wait at most while there is nothing to show.")
    ] = 0


@dataclass(frozen=True, slots=True)
class Events:
    """What the route does."""

    serving: Serving
    authority: Authority

    async def page(self, identity: Identity, asked: Asked) -> EventPage:
        """What is there, or comes while it waits. The look before a wait and the one after it are the same.

        Raises `Refused`: `forbidden`, and `feed_began_anew` where the numbers are of another epoch.
        """
        self.authority.require(PERMIT.resource, identity.role, action=PERMIT.action, state=NUMBERED)
        if asked.wait == 0:
            return await self._look(identity, asked)
        with self.serving.listener.place(identity.party, above=asked.after) as news:
            found = await self._look(identity, asked)
            if found.items:
                return found
            with suppress(TimeoutError):
                async with asyncio.timeout(asked.wait):
                    await news.wait()
        return await self._look(identity, asked)

    async def _look(self, identity: Identity, asked: Asked) -> EventPage:
        scope = RowScope([identity.party], identity.role, PERMIT.action)
        async with self.serving.database.transaction(scope) as session:
            read = await read_feed(session.driver, identity.party, above=asked.after, limit=asked.limit)
        if asked.epoch not in (None, read.epoch) or asked.after > read.last:
            raise Refused(
                "feed_began_anew", "the number is of another epoch: read from 0 on", field="/query/epoch", status=409
            )
        return EventPage(epoch=read.epoch, last=read.last, items=tuple(map(_shown, read.events)))


def events_router(serving: Serving, authority: Authority) -> APIRouter:
    """The route of the feed."""
    router = APIRouter(prefix="/v1")
    who = Depends(serving.identified)
    events = Events(serving, authority)

    @router.get("/events", tags=["events"], **shows(EventPage, conflict=FeedBeganAnew))
    async def page(asked: Annotated[Asked, Query()], request: Request, identity: Identity = who) -> Response:
        """What has happened that concerns the party, in the order in which it became visible, each once.

        Ask again with `after` and `epoch` of what you have taken. With `wait` the answer comes when there is something
        to show, or after that time. At most 8 requests of a party wait at once: one more ends the wait of the first.
        """
        found = await events.page(identity, asked)
        if asked.wait:  # Whose key was ended meanwhile is told nothing.
            await serving.identified(request)
        return viewed(found)

    return router


def _shown(event: Numbered) -> ShownEvent:
    return ShownEvent(**{name: value for name, value in event._asdict().items() if value is not None})
