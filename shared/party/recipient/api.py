"""The HTTP door of a recipient: what its service's routes do. The routes stand in the service, with their words.

What a recipient's routes stand on, taken from the machinery.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Request
from starlette.responses import Response

from shared.contracts.base import Contract
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Act
from shared.exchange.evidence import Witness
from shared.exchange.states import personal
from shared.kernel.clock import Clock
from shared.party.recipient.domain import Page, RecipientKind
from shared.party.recipient.store.items import PostgresItems
from shared.party.recipient.use_cases import Acting, ActOn, list_items, show_evidence, show_item
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.courier.addresses import AddressRules
from shared.runtime.database.feed_reading import FeedListener
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.edge import read_json, read_model
from shared.runtime.http.identity import Identity, identified
from shared.runtime.http.openapi import does
from shared.runtime.instance.machinery import Machinery

#: A route that does an act: it names its subject in the path, and takes the request for body and idempotency key.
Answering = Callable[[UUID, Request, Identity], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What the routes of any kind of item stand on, and those of the party's feed."""

    database: Database
    acts: Acts
    identified: Callable[[Request], Awaitable[Identity]]
    kek: KeyEncryptionKey
    directory: Callable[[], DirectoryIndex]
    clock: Clock
    witness: Witness
    #: Charges a party for work that was done for it.
    owe: Callable[[str, int], None]
    #: Those who wait for an event.
    listener: FeedListener
    #: Where the party may have its events sent.
    address_rules: AddressRules


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRoutes:
    """What the routes of a kind of item do. `moved` is an act's answer: the subject, and the state it has come to."""

    serving: Serving
    recipient: RecipientKind
    moved: Callable[[UUID, str], Contract]
    items: Callable[[asyncpg.Connection, KeyEncryptionKey], PostgresItems]
    act_on: ActOn

    async def page(self, identity: Identity, page: Page) -> Response:
        """The party's items, newest first."""
        async with self.serving.database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            found = await list_items(self.recipient, page, self.acting(identity, session))
        return viewed(found)

    async def show(self, identity: Identity, subject_id: UUID) -> Response:
        """One item with its opened record."""
        async with self.serving.database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            found = await show_item(self.recipient, subject_id, self.acting(identity, session))
        return viewed(found)

    async def evidence(self, identity: Identity, subject_id: UUID) -> Response:
        """What proves that one item was sent."""
        async with self.serving.database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            acting = self.acting(identity, session)
            found = await show_evidence(self.recipient, subject_id, acting, witness=self.serving.witness)
        return viewed(found)

    async def act(self, row: Act, subject_id: UUID, request: Request, *, identity: Identity) -> Response:
        """One act, once for its idempotency key."""
        said = None if row.takes is None else read_model(row.takes, await read_json(request))

        async def move(session: Session) -> Contract:
            state = await self.act_on(row, subject_id, said=said, acting=self.acting(identity, session))
            return self.moved(subject_id, state)

        return await self.serving.acts.once(request, identity, row.name, roles=row.roles, act=move)

    def acting(self, identity: Identity, session: Session) -> Acting:
        """Who acts, on what, within a transaction."""
        serving = self.serving
        return Acting(
            party=identity.party,
            role=identity.role,
            actor=identity.actor,
            items=self._items(session),
            directory=serving.directory(),
            at=serving.clock.now(),
        )

    def _items(self, session: Session) -> PostgresItems:
        return self.items(session.driver, self.serving.kek)


def add_acts(
    router: APIRouter,
    recipient: RecipientKind,
    *,
    path: Callable[[Act], str],
    answering: Callable[[Act], Answering],
    moved: type[Contract],
) -> None:
    """One route for each act that the recipient's people do, as the rows say. `path` is where its subject stands."""
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


def viewed(view: Contract) -> Response:
    """The answer to a look: what was stored, without what it leaves open."""
    return Response(view.model_dump_json(exclude_unset=True), media_type="application/json")


def serving(machinery: Machinery) -> Serving:
    """What the routes of every kind of item stand on."""
    return Serving(
        database=machinery.database,
        acts=machinery.acts(),
        identified=identified(machinery.api_keys, machinery.budgets),
        kek=machinery.keys.kek,
        directory=machinery.directory,
        clock=machinery.clock,
        witness=Witness(machinery.instance, machinery.keys.signing),
        owe=machinery.budgets.owe,
        listener=machinery.listener,
        address_rules=machinery.address_rules(),
    )
