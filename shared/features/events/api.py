"""HTTP routes for a party's event feed and the timeline of one subject, and the dependencies of all routes.

The events of a party are numbered in one order. A timeline is the party's feed limited to one subject, in the same
order, with the words of each act if the service stores them. It has no storage of its own that could be overwritten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from starlette.responses import Response

from shared.core.acts.act import Subject
from shared.core.acts.states import NUMBERED, PERMIT
from shared.core.authority import Authority
from shared.core.clock import Clock
from shared.core.contracts.base import Contract, Instant, PartyId, Uuid
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused, not_found
from shared.core.evidence import Witness
from shared.core.routing.directory_index import DirectoryIndex
from shared.features.events.store import ActCodes, with_words
from shared.platform.admission.budgets import Principal
from shared.platform.courier.addresses import AddressRules
from shared.platform.database.feed import FeedEvent, FeedListener, read_feed, read_subject
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.http.acts import Acts
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import shows
from shared.platform.http.paging import BIGINT_MAX, Limit
from shared.platform.http.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteContext:
    """The dependencies of the routes of all kinds of subjects and of the party's event feed."""

    database: Database
    acts: Acts
    authority: Authority
    identified: Callable[[Request], Awaitable[Identity]]
    kek: KeyEncryptionKey
    directory: Callable[[], DirectoryIndex]
    clock: Clock
    witness: Witness
    #: Charges a key or session for work that was done for it.
    owe: Callable[[Principal, int], None]
    #: Wakes requests that wait for an event.
    listener: FeedListener
    #: The addresses that webhooks may have.
    address_rules: AddressRules

    def reading(self, identity: Identity) -> AbstractAsyncContextManager[Session]:
        """Open a transaction in which the party reads its own rows."""
        return self.database.transaction(RowScope([identity.party], identity.role, "read"))

    def looking(
        self, identity: Identity, resource: str = PERMIT.resource, state: str = NUMBERED
    ) -> AbstractAsyncContextManager[Session]:
        """Check the permit to read `resource` (default: the feed), then act as `reading`.

        Raises `Refused("forbidden")`.
        """
        self.authority.require(resource, identity.role, action="read", state=state)
        return self.reading(identity)


def viewed(view: Contract) -> Response:
    """Return the response of a read: the view without its unset fields."""
    return Response(view.model_dump_json(exclude_unset=True), media_type="application/json")


#: The longest wait of a request, in seconds. It is shorter than the idle timeout of proxies on the way.
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
    """An event in codes. For more, read the subject, which needs its own permit.

    `type` is `SUBJECT.ACT`, `subject` the id by which this party knows it, `state` its new state. `by` is the party
    that did the act, if that is another one.
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


class EpochProblem(Problem):
    """The number is of another epoch. Read the feed again from 0."""


class EventsQuery(BaseModel):
    """The query parameters of the feed. Any other parameter is refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    after: Annotated[int, Field(ge=0, le=BIGINT_MAX, description="The last event number that you have processed.")] = 0
    epoch: Annotated[UUID | None, Field(description="The epoch of that number.")] = None
    limit: Limit = 50
    wait: Annotated[
        int, Field(ge=0, le=WAIT_S_MAX, description="Seconds to wait for a new event if there is none.")
    ] = 0


@dataclass(frozen=True, slots=True)
class Events:
    """The handler of the feed."""

    serving: RouteContext

    async def page(self, identity: Identity, query: EventsQuery) -> EventPage:
        """Return the events after a number; if there are none, wait for new ones.

        Raises `Refused`: `forbidden`, and `feed_began_anew` if the number is of another epoch.
        """
        self.serving.authority.require(PERMIT.resource, identity.role, action=PERMIT.action, state=NUMBERED)
        if query.wait == 0:
            return await self._look(identity, query)
        with self.serving.listener.place(identity.party, identity.principal.holder, above=query.after) as news:
            found = await self._look(identity, query)
            if found.items:
                return found
            with suppress(TimeoutError):
                async with asyncio.timeout(query.wait):
                    await news.wait()
        return await self._look(identity, query)

    async def _look(self, identity: Identity, query: EventsQuery) -> EventPage:
        async with self.serving.reading(identity) as session:
            read = await read_feed(session.driver, identity.party, above=query.after, limit=query.limit)
        if query.epoch not in (None, read.epoch) or query.after > read.last:
            raise Refused(
                "feed_began_anew",
                "the number is of another epoch: read the feed again from 0",
                field="/query/epoch",
                status=409,
            )
        return EventPage(epoch=read.epoch, last=read.last, items=tuple(map(_shown, read.events)))


def events_router(serving: RouteContext) -> APIRouter:
    """Build the route of the feed."""
    router = APIRouter(prefix="/v1")
    who = Depends(serving.identified)
    events = Events(serving)

    @router.get("/events", tags=["events"], **shows(EventPage, conflict=EpochProblem))
    async def page(query: Annotated[EventsQuery, Query()], request: Request, identity: Identity = who) -> Response:
        """List the events of the party, each once, in the order in which they became visible.

        For the next page, set `after` and `epoch` to the last event that you have processed. With `wait`, the response
        comes when there is an event, or after that time. A party can have 8 waiting requests; a ninth
        ends the longest wait of the key or session with most waiting requests.
        """
        found = await events.page(identity, query)
        if query.wait:  # An API key that was revoked during the wait gets no answer.
            await serving.identified(request)
        return viewed(found)

    return router


def _shown(event: FeedEvent) -> ShownEvent:
    return ShownEvent(**{name: value for name, value in event._asdict().items() if value is not None})


#: The path parameter with a subject's id, by collection; all other collections use `referral_id`.
_KEYS: Final = {"notices": "notice_id", "preservations": "preservation_id"}
_PRESERVATIONS: Final = "preservations"
#: The event kind of deadlines, for all kinds of subjects.
_CLOCK: Final = "clock"
_EXAMPLE_TIMELINE: Final[dict[str, JsonValue]] = {
    "subject": "019b2d3c-4400-7000-8000-000000000002",
    "items": [
        {
            "number": 1041,
            "type": "case.decline",
            "subject": "019b2d3c-4400-7000-8000-000000000002",
            "at": "2026-05-04T12:00:00.000Z",
            "state": "declined",
            "by": "police-nl.example",
            "said": {"reason": "no_capacity"},
        }
    ],
    "next": None,
}


#: Reads the words of the acts on a subject, in the order of the acts.
Words = Callable[[asyncpg.Connection, str, UUID], Awaitable[Sequence[ActCodes]]]


class ShownAct(ShownEvent):
    """An event of the party's feed with the words of the act: codes and times, if they are stored for each act."""

    said: dict[str, JsonValue] | None = None


class Timeline(Contract):
    """The events of one subject, in the order in which the party learned of them. Use `next` as `after` for more."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_TIMELINE]})

    subject: Uuid
    items: tuple[ShownAct, ...]
    next: Annotated[int, Field(ge=1)] | None


async def no_words(driver: asyncpg.Connection, party: str, subject: UUID) -> Sequence[ActCodes]:
    """Return no words, for services that store words only for a subject as a whole."""
    return ()


class Collection(NamedTuple):
    """A collection, with the reader of the words of acts on its subjects."""

    collection: str
    words: Words

    def has(self, event: FeedEvent) -> bool:
        """Return whether an event can belong to this collection. Preservations have a collection of their own."""
        kind = event.type.partition(".")[0]
        return kind == _CLOCK or (kind == Subject.PRESERVATION) is (self.collection == _PRESERVATIONS)


async def _read_timeline(
    serving: RouteContext, identity: Identity, subject: UUID, *, listed: Collection, after: int, limit: int
) -> Timeline:
    """Return one page. Raises `Refused`: `forbidden`; `not_found` for absent subjects and those of other parties."""
    async with serving.looking(identity) as session:
        driver = session.driver
        found = await read_subject(driver, identity.party, subject, above=after, limit=limit + 1)
        details = await listed.words(driver, identity.party, subject) if found else ()
    if (not found and after == 0) or not all(listed.has(event) for event in found):
        raise not_found()
    shown = found[:limit]
    return Timeline(
        subject=subject,
        items=tuple(_shown_act(event, words) for event, words in with_words(shown, details)),
        next=shown[-1].number if len(found) > limit else None,
    )


def timelines_router(serving: RouteContext, collections: Mapping[str, Words]) -> APIRouter:
    """Build the routes /v1/COLLECTION/ID/timeline. `collections` has the reader of words for each collection."""
    router, who = APIRouter(prefix="/v1"), Depends(serving.identified)

    def add(listed: Collection) -> None:
        collection = listed.collection
        key = _KEYS.get(collection, "referral_id")
        named = Path(alias=key)

        @router.get(f"/{collection}/{{{key}}}/timeline", tags=[collection], name="timeline", **shows(Timeline))
        async def timeline(
            subject: UUID = named,
            identity: Identity = who,
            after: Annotated[int, Query(ge=0, le=BIGINT_MAX, description="The last event number that you have.")] = 0,
            limit: Limit = 50,
        ) -> Response:
            """List the acts on the subject, each with its party, the state after it, and its codes."""
            return viewed(await _read_timeline(serving, identity, subject, listed=listed, after=after, limit=limit))

    for collection, words in collections.items():
        add(Collection(collection, words))
    return router


def _shown_act(event: FeedEvent, words: dict[str, JsonValue] | None) -> ShownAct:
    found = event._asdict() | {"said": words}
    return ShownAct(**{name: value for name, value in found.items() if value is not None})
