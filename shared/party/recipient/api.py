"""HTTP handlers of a recipient. Each service declares its own routes, with their descriptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request
from starlette.responses import Response

from shared.contracts.base import Contract
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Act
from shared.exchange.states import personal
from shared.party.recipient.domain import ItemQuery, RecipientKind
from shared.party.recipient.store.items import PostgresItems
from shared.party.recipient.use_cases import ActUseCase, ItemActor, list_items, show_evidence, show_item
from shared.party.serving import RouteContext, viewed
from shared.runtime.database.transactions import Session
from shared.runtime.http.edge import read_json, read_model
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does

#: A route that does an act: it names its subject in the path, and takes the request for body and idempotency key.
Answering = Callable[[UUID, Request, Identity], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRoutes:
    """The handlers of the routes of one kind of item. `moved` builds an act's answer: the subject and its new state."""

    serving: RouteContext
    recipient: RecipientKind
    moved: Callable[[UUID, str], Contract]
    items: Callable[[asyncpg.Connection, KeyEncryptionKey], PostgresItems]
    act_on: ActUseCase

    async def page(self, identity: Identity, page: ItemQuery) -> Response:
        """Return the party's items, newest first."""
        async with self.serving.reading(identity) as session:
            found = await list_items(self.recipient, page, self.acting(identity, session))
        return viewed(found)

    async def show(self, identity: Identity, subject_id: UUID) -> Response:
        """Return one item with its opened record."""
        async with self.serving.reading(identity) as session:
            found = await show_item(self.recipient, subject_id, self.acting(identity, session))
        return viewed(found)

    async def evidence(self, identity: Identity, subject_id: UUID) -> Response:
        """Return the evidence that one item was sent."""
        async with self.serving.reading(identity) as session:
            acting = self.acting(identity, session)
            found = await show_evidence(self.recipient, subject_id, acting, witness=self.serving.witness)
        return viewed(found)

    async def act(self, row: Act, subject_id: UUID, request: Request, *, identity: Identity) -> Response:
        """Do one act, once for its idempotency key."""
        said = None if row.takes is None else read_model(row.takes, await read_json(request))
        move = partial(self.move, row, subject_id, said=said, identity=identity)
        return await self.serving.acts.once(request, identity, row.name, roles=row.roles, act=move)

    async def move(
        self, row: Act, subject_id: UUID, session: Session, *, said: Contract | None, identity: Identity
    ) -> Contract:
        """Do one act within a transaction."""
        state = await self.act_on(row, subject_id, said=said, acting=self.acting(identity, session))
        return self.moved(subject_id, state)

    def acting(self, identity: Identity, session: Session) -> ItemActor:
        """Return the acting party and its items within a transaction."""
        serving = self.serving
        return ItemActor(
            party=identity.party,
            role=identity.role,
            actor=identity.actor,
            items=self.items(session.driver, serving.kek),
            directory=serving.directory(),
            at=serving.clock.now(),
        )


def add_acts(
    router: APIRouter,
    recipient: RecipientKind,
    *,
    path: Callable[[Act], str],
    answering: Callable[[Act], Answering],
    moved: type[Contract],
) -> None:
    """Add one route for each act of the recipient's people, from the act table. `path` is the path of its subject."""
    for row in personal(recipient.subject):
        told = row.message.clear if row.message is not None else row.takes
        router.add_api_route(
            f"{path(row)}:{row.name.replace('_', '-')}",
            answering(row),
            methods=["POST"],
            name=row.name,
            description=(told.__doc__ or "").partition("\n")[0],
            **does(moved, takes=[] if row.takes is None else [row.takes]),
        )
