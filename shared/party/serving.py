"""What the routes and pages of a party stand on, taken from the machinery: who asks, and what they may look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from shared.contracts.base import Contract
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.evidence import Witness
from shared.exchange.states import NUMBERED, PERMIT
from shared.kernel.authority import Authority
from shared.kernel.clock import Clock
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.courier.addresses import AddressRules
from shared.runtime.database.feed_reading import FeedListener
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.identity import Identity, identified
from shared.runtime.instance.machinery import Machinery


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What the routes of any kind of subject stand on, and those of the party's feed."""

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
    #: Those who wait for an event.
    listener: FeedListener
    #: Where the party may have its events sent.
    address_rules: AddressRules

    def reading(self, identity: Identity) -> AbstractAsyncContextManager[Session]:
        """Open a transaction in which the party looks at what is its own."""
        return self.database.transaction(RowScope([identity.party], identity.role, "read"))

    def looking(
        self, identity: Identity, resource: str = PERMIT.resource, state: str = NUMBERED
    ) -> AbstractAsyncContextManager[Session]:
        """Do as `reading`, for who may read `resource`: if none is named, the feed. Raises `Refused("forbidden")`."""
        self.authority.require(resource, identity.role, action="read", state=state)
        return self.reading(identity)


def viewed(view: Contract) -> Response:
    """The answer to a look: what was stored, without what it leaves open."""
    return Response(view.model_dump_json(exclude_unset=True), media_type="application/json")


def serving(machinery: Machinery, authority: Authority) -> Serving:
    """Take from the machinery what every route stands on."""
    return Serving(
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
