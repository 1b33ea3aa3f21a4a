"""The HTTP API for auditors: flows, entries and topics. Each request is recorded with its purpose before the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.responses import Response

from services.audit import use_cases
from services.audit.domain.shown import Access, EntryPage, Flow, FlowFilter, FlowPage, Partition, ScopeSet, TopicStates
from services.audit.store.entries import PostgresEntries, PostgresPartitions
from shared.core.clock import Clock
from shared.core.contracts.base import Contract
from shared.core.contracts.facts import TopicName
from shared.features.search.api import OtherParty, Since, Until, read_day
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import shows
from shared.platform.http.paging import Cursor

#: The scope of an identity; None for everything.
Scoping = Callable[[Identity], ScopeSet | None]
Topic = Annotated[TopicName, Query()]
Limit = Annotated[int, Query(ge=1, le=500)]
Number = Annotated[int, Query(ge=0, le=2**53 - 1)]
#: Kafka numbers partitions by 32 bits, with a sign.
PartitionNumber = Annotated[int, Query(ge=0, le=2**31 - 1)]
Id = Annotated[UUID | None, Query(description="The id of a referral, notice or message.")]
FlowOf = Annotated[UUID, Path(alias="referral_id")]
#: Described by hand, because a missing purpose has its own refusal.
Purpose = Annotated[str | None, Header(max_length=64, include_in_schema=False)]
PURPOSE: Final[Mapping[str, object]] = {
    "name": "Purpose",
    "in": "header",
    "required": True,
    "description": "The purpose of the request. It is stored with the record of the access.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9 -]{6,62}[A-Za-z0-9]$"},
}


def _sought(
    *, party: OtherParty = None, reference: Id = None, since: Since = None, until: Until = None
) -> Callable[[datetime], FlowFilter]:
    """Return a function that builds the search for the present time."""
    days = {"since": read_day(since, "since"), "until": read_day(until, "until")}
    return lambda now: FlowFilter.of(party, reference, **days, now=now)


Finding = Annotated[Callable[[datetime], FlowFilter], Depends(_sought)]


def flows_router(
    entries: PostgresEntries,
    partitions: PostgresPartitions,
    identified: Callable[[Request], Awaitable[Identity]],
    *,
    clock: Clock,
    within: Scoping = lambda _: None,
) -> APIRouter:
    """Return the routes under /v1/flows, /v1/entries and /v1/topics."""
    router = APIRouter(prefix="/v1", tags=["audit"])
    who = Depends(identified)

    def _look(identity: Identity, purpose: str | None) -> Access:
        return Access(identity.party, identity.role, identity.exercise, purpose, within(identity), identity.actor)

    @router.get("/flows", **shows(FlowPage, headers=[PURPOSE]))
    async def find(
        sought: Finding, identity: Identity = who, cursor: Cursor = None, purpose: Purpose = None
    ) -> Response:
        """List flows, the newest first: by period and a party that submitted or received them, or by an id."""
        look = _look(identity, purpose)
        return _answer(await use_cases.find_flows(sought(clock.now()), look, entries=entries, cursor=cursor))

    @router.get("/flows/{referral_id}", **shows(Flow, headers=[PURPOSE]))
    async def flow(of: FlowOf, identity: Identity = who, cursor: Cursor = None, purpose: Purpose = None) -> Response:
        """List the messages of one referral, in the order of the broker's time, and the number of others' records."""
        look = _look(identity, purpose)
        return _answer(await use_cases.show_flow(of, look, entries=entries, cursor=cursor))

    @router.get("/entries", **shows(EntryPage, headers=[PURPOSE]))
    async def page(
        topic: Topic,
        partition: PartitionNumber,
        identity: Identity = who,
        topic_id: UUID | None = None,
        from_offset: Number = 0,
        limit: Limit = 100,
        purpose: Purpose = None,
    ) -> Response:
        """List the entries of one partition from an offset on, under the newest or the given id of its topic."""
        place = Partition(topic, partition, from_offset, topic_id)
        return _answer(await use_cases.show_entries(place, _look(identity, purpose), limit=limit, entries=entries))

    @router.get("/topics", **shows(TopicStates, headers=[PURPOSE]))
    async def topics(identity: Identity = who, purpose: Purpose = None) -> Response:
        """List the state and losses of each topic that audit reads or should read; topics with problems come first."""
        look = _look(identity, purpose)
        return _answer(await use_cases.show_topics(look, entries=entries, partitions=partitions))

    return router


def _answer(view: Contract) -> Response:
    return Response(view.spelt(), media_type="application/json")
