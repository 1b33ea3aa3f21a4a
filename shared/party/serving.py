"""Shared dependencies of the routes and pages of a party: authentication, permits and the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from shared.core.acts.states import NUMBERED, PERMIT
from shared.core.authority import Authority
from shared.core.clock import Clock
from shared.core.contracts.base import Contract
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.evidence import Witness
from shared.core.routing.directory_index import DirectoryIndex
from shared.instance.machinery import InstanceParts
from shared.platform.courier.addresses import AddressRules
from shared.platform.database.feed import FeedListener
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.http.acts import Acts
from shared.platform.http.identity import Identity, identified


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
    #: Charges a party for work that was done for it.
    owe: Callable[[str, int], None]
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


def serving(machinery: InstanceParts, authority: Authority) -> RouteContext:
    """Build the shared dependencies of the routes from the machinery."""
    return RouteContext(
        database=machinery.database,
        acts=machinery.acts(),
        authority=authority,
        identified=identified(machinery.api_keys, machinery.budgets),
        kek=machinery.keys.kek,
        directory=machinery.directory,
        clock=machinery.clock,
        witness=Witness(machinery.instance, machinery.keys.signing),
        owe=machinery.budgets.owe,
        listener=machinery.listener,
        address_rules=machinery.address_rules(),
    )
