"""A service's HTTP routes without a network. Headers identify the caller; everything behind the routes is real."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Protocol
from uuid import UUID

import httpx
from fastapi import APIRouter, Request

from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused
from shared.core.evidence import Witness
from shared.core.routing.clocks import LawAt
from shared.core.routing.directory_index import DirectoryIndex
from shared.features.attention.api import AttentionQuery, AttentionRoutes
from shared.features.attention.rules import AttentionItem, ListPlace
from shared.features.events.api import RouteContext, viewed
from shared.features.received.rules import ItemQuery
from shared.instance.app import joined
from shared.platform.admission.budgets import Principal
from shared.platform.courier.addresses import AddressRules
from shared.platform.database.feed import FeedListener
from shared.platform.database.transactions import Database, RowScope
from shared.platform.http.acts import Acts
from shared.platform.http.edge import create_app
from shared.platform.http.identity import Identity
from shared.platform.timers.timers import Timers
from tests.support.manual_clock import ManualClock

#: The default caller. It has no API key, so no name of its own.
ACTOR = "0a" * 16
#: Parties whose keys have ended.
ENDED: set[str] = set()
#: The place before every attention item.
BEGINNING = ListPlace(-1, datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
CLOCK = ManualClock(datetime(2026, 5, 4, 12, tzinfo=UTC))


def identified_as(kind: str) -> Callable[[Request], Awaitable[Identity]]:
    """Return a dependency that reads party, role and, if present, actor from the request's own headers."""

    async def identity_of(request: Request) -> Identity:
        if request.headers["x-party"] in ENDED:
            raise Refused("unauthenticated", "send a valid API key as a bearer token", status=401)
        actor = request.headers.get("x-actor", ACTOR)
        return Identity(request.headers["x-party"], Role(request.headers["x-role"]), kind, exercise=True, actor=actor)

    return identity_of


def door(*routers: APIRouter) -> httpx.AsyncClient:
    """Return a client of an application with these routers."""
    transport = httpx.ASGITransport(create_app("sample", routers), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service.example")


def serving(
    database: Database,
    kind: str,
    *,
    kek: KeyEncryptionKey,
    directory: DirectoryIndex,
    signing: SigningKey | None = None,
    listener: FeedListener | None = None,
    owe: Callable[[Principal, int], None] = lambda _whose, _work: None,
) -> RouteContext:
    """Return the dependencies of a recipient's routes, over a real database.

    Facts are signed with `signing`, or any key.
    """
    app = import_module(f"services.{kind}.app")
    return RouteContext(
        database=database,
        acts=Acts(database),
        authority=joined(app.AUTHORITY, app.FEATURES),
        identified=identified_as(kind),
        kek=kek,
        directory=lambda: directory,
        clock=CLOCK,
        witness=Witness(kind, signing or SigningKey.generate()),
        owe=owe,
        listener=listener or FeedListener(database),
        address_rules=AddressRules(),
    )


def asking(party: str, *, role: Role = Role.ANALYST, key: str | None = None) -> dict[str, str]:
    """Return the headers of a request by `party`."""
    return {"x-party": party, "x-role": role} | ({} if key is None else {"idempotency-key": key})


def as_told(view: Contract) -> dict[str, Any]:
    """Return a view as a party receives it over HTTP."""
    return json.loads(viewed(view).body)


async def paged(items: Any, party: str, state: str) -> list[str]:
    """Return the ids of a recipient's items in a state, over all pages of two."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = as_told(await items.page(party, ItemQuery(state, cursor, 2)))
        found += [item.get("notice_id") or item["referral_id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            return found


async def waiting(database: Database, look: AttentionQuery, party: str, subject: UUID) -> list[AttentionItem]:
    """Return the items about a subject that one source adds to the attention list of `party`."""
    async with database.transaction(RowScope([party], Role.ANALYST, "read")) as session:
        found = await look(session.driver, party, BEGINNING, rank_max=1, limit=10_000)
    return [each.row for each in found if each.row.subject == subject]


class Looking(Protocol):
    """Timed work of an instance: one look does a part of what is due, and says whether there was any."""

    async def look(self) -> object: ...


async def until_idle(work: Looking) -> None:
    """Do all timed work that is due now."""
    while await work.look():
        pass


def timers_of(database: Database, law_at: LawAt, clock: ManualClock, scope: RowScope) -> Timers:
    """Return the timers of an instance. The database's clock is the test's, too."""

    async def witness(_: object) -> datetime:
        return clock.now()

    return Timers(database, law_at, clock, scope=lambda: scope, witness=witness)


async def attention_list(
    door: AttentionRoutes, party: str, kind: str, *, rank_max: int = 1, limit: int = 200
) -> list[dict[str, Any]]:
    """Return all attention items of the party, page after page."""
    who = Identity(party, Role.VIEWER, kind, exercise=True, actor=ACTOR)
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await door.page(who, cursor, rank_max=rank_max, limit=limit)
        found += page.model_dump(mode="json", exclude_unset=True)["items"]
        if (cursor := page.next) is None:
            return found
