"""HTTP handlers of a recipient. Each service declares its own routes, with their descriptions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from starlette.responses import Response

from shared.core.acts.act import Act
from shared.core.acts.catalog import Feature
from shared.core.contracts.base import Contract
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.features.events.api import RouteContext, viewed
from shared.features.received.rules import ItemQuery, RecipientKind
from shared.features.received.service.items import ActUseCase, Hear, ItemActor, list_items, show_evidence, show_item
from shared.features.received.store.items import PostgresItems
from shared.platform.database.transactions import Session
from shared.platform.http.edge import read_json, read_model
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does


class ActRoutes(Protocol):
    """The handlers of one kind of subject, as far as its acts need them."""

    @property
    def serving(self) -> RouteContext: ...

    async def move(
        self, row: Act, subject_id: UUID, session: Session, /, *, said: Contract | None, identity: Identity
    ) -> Contract:
        """Do one act within a transaction. Raises `Refused`."""
        ...


class RecipientFeature(NamedTuple):
    """The parts that a feature with messages of its own adds to a recipient.

    `hear` applies its messages that have arrived, in the transaction of their batch and after their subjects. `routes`
    are those of its own acts. `schema`: the file of its tables and permissions, if it has its own.
    """

    feature: Feature
    hear: Hear
    routes: Callable[[ItemRoutes], APIRouter] | None = None
    schema: Path | None = None


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

    async def move(
        self, row: Act, subject_id: UUID, session: Session, /, *, said: Contract | None, identity: Identity
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
    routes: ActRoutes,
    rows: Iterable[Act],
    *,
    path: Callable[[Act], str],
    moved: type[Contract],
    prefix: str = "",
) -> None:
    """Add one route for each act of `rows`. `path` is the path of its subject, with the subject's id as its parameter.

    `moved` is the answer. The name of a route is that of its act after `prefix`.
    """
    who = Depends(routes.serving.identified)

    def answering(row: Act, named: str) -> Callable[[Request, UUID, Identity], Awaitable[Response]]:
        subject = PathParameter(alias=named)

        async def answer(request: Request, subject_id: UUID = subject, identity: Identity = who) -> Response:
            said = None if row.takes is None else read_model(row.takes, await read_json(request))
            move = partial(routes.move, row, subject_id, said=said, identity=identity)
            return await routes.serving.acts.once(request, identity, row.name, roles=row.roles, act=move)

        return answer

    for row in rows:
        model = row.message.clear if row.message is not None else row.takes
        router.add_api_route(
            f"{path(row)}:{row.name.replace('_', '-')}",
            answering(row, path(row).partition("{")[2].rstrip("}")),
            methods=["POST"],
            name=f"{prefix}{row.name}",
            description=(model.__doc__ or "").partition("\n")[0],
            **does(moved, takes=[] if row.takes is None else [row.takes]),
        )
