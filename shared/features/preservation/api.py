"""HTTP routes for preservations, the same for agencies and providers except for the acts of each side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.core.acts.act import Act, PreservationState, Subject, Track
from shared.core.acts.states import begins, personal
from shared.core.contracts.base import Contract
from shared.core.contracts.preservation_api import PreservationRecord
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.prepare import Documents
from shared.core.protocol.preservation import ASK
from shared.features.attention.api import AttentionSource
from shared.features.events.api import RouteContext, viewed
from shared.features.preservation import rules
from shared.features.preservation.service import PreserveActor, act, ask, export, list_preservations, show_preservation
from shared.features.preservation.store import PostgresPreservations, refused_waits, unanswered_waits
from shared.features.received.api import add_acts
from shared.features.received.store.arriving import HeldLocations
from shared.platform.database.transactions import RowScope, Session
from shared.platform.http.edge import read_json, read_model
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does, shows
from shared.platform.http.paging import Cursor, Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class PreservationRoutes:
    """The handlers of the routes. `track` is the track of the service's parties; only agencies have `holds`."""

    serving: RouteContext
    track: Track
    documents: Callable[[], Documents]
    preservations: Callable[[asyncpg.Connection, KeyEncryptionKey], PostgresPreservations]
    holds: Callable[[asyncpg.Connection, KeyEncryptionKey], HeldLocations] | None = None

    async def asked(self, said: rules.PreservationAsk, identity: Identity, session: Session) -> rules.AskResult:
        """Store one request, within a transaction. Raises `Refused` as `ask` does."""
        assert self.holds is not None
        holds, policy = self.holds(session.driver, self.serving.kek), self.documents().policy

        async def held(record: PreservationRecord) -> bool:
            """Return whether the agency has a hold there. Reading holds needs the permit to read, not that to ask."""
            await session.bind(RowScope([identity.party], identity.role, "read"))
            found = await holds.has_hold(identity.party, record)
            await session.bind(RowScope([identity.party], identity.role, ASK.name))
            return found

        return await ask(said, acting=self.acting(identity, session), policy=policy, held=held)

    async def move(
        self, row: Act, preservation_id: UUID, session: Session, /, *, said: Contract | None, identity: Identity
    ) -> rules.PreservationTransition:
        """Do one act, within a transaction. Raises `Refused` as the use case does."""
        state = await act(row, preservation_id, said=said, acting=self.acting(identity, session))
        return rules.PreservationTransition(preservation_id=preservation_id, state=PreservationState(state))

    def acting(self, identity: Identity, session: Session) -> PreserveActor:
        """Return the acting party and its preservations, within a transaction."""
        return PreserveActor(
            party=identity.party,
            role=identity.role,
            actor=identity.actor,
            track=self.track,
            authority=self.serving.authority,
            preservations=self.preservations(session.driver, self.serving.kek),
            directory=self.serving.directory(),
            at=self.serving.clock.now(),
        )


#: Sources of an agency's attention list: requests that a provider has not taken.
AGENCY_WAITS: Final = (AttentionSource("preservation", PreservationState.REQUESTED, refused_waits),)
#: Sources of a provider's attention list: requests without an answer, and those that were not taken.
PROVIDER_WAITS: Final = (
    AttentionSource("preservation", PreservationState.REQUESTED, unanswered_waits),
    *AGENCY_WAITS,
)


def preservations_router(routes: PreservationRoutes) -> APIRouter:
    """Build the routes under /v1/preservations."""
    router = APIRouter(prefix="/v1/preservations", tags=["preservations"])
    who = Depends(routes.serving.identified)

    @router.get("", name="preservations", **shows(rules.PreservationPage))
    async def page(
        identity: Identity = who, state: PreservationState | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """List the preservations, newest first."""
        async with routes.serving.reading(identity) as session:
            acting = routes.acting(identity, session)
            return viewed(await list_preservations(acting, state=state, cursor=cursor, limit=limit))

    @router.get("/{preservation_id}", name="preservation", **shows(rules.OpenedPreservation))
    async def show(preservation_id: UUID, identity: Identity = who) -> Response:
        """Show one preservation with its locations and acts; at a provider, also the open notices at its locations."""
        async with routes.serving.reading(identity) as session:
            return viewed(await show_preservation(preservation_id, routes.acting(identity, session)))

    @router.get("/{preservation_id}/ts103120", name="ts103120", response_class=XmlResponse)
    async def exported(preservation_id: UUID, identity: Identity = who) -> Response:
        """Export the whole flow as ETSI TS 103 120 XML: one action for each act, oldest first."""
        async with routes.serving.reading(identity) as session:
            return XmlResponse(await export(preservation_id, routes.acting(identity, session)))

    if routes.track is ASK.track:

        @router.post("", name="ask", **does(rules.AskResult, takes=[rules.PreservationAsk]))
        async def asked(request: Request, identity: Identity = who) -> Response:
            """Ask a provider to keep its data at some locations. No origin is informed."""
            begin = partial(routes.asked, read_model(rules.PreservationAsk, await read_json(request)), identity)
            return await routes.serving.acts.once(request, identity, ASK.name, roles=ASK.roles, act=begin)

    own = [row for row in personal(Subject.PRESERVATION) if row.track is routes.track and not begins(row)]
    path = "/{preservation_id}"
    add_acts(router, routes, own, path=lambda _: path, moved=rules.PreservationTransition, prefix="preservation_")
    return router


class XmlResponse(Response):
    """An XML response."""

    media_type = "application/xml"
