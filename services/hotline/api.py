"""The HTTP door: offers made to a hotline. What happens to its own referrals is `shared.party.origin`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from services.hotline import use_cases
from services.hotline.domain import OfferAct, OfferState
from services.hotline.store import PostgresOffers
from services.hotline.use_cases import Acting
from shared.contracts.base import Contract, Flag, Instant, PartyId, Uuid
from shared.contracts.decision import Edge
from shared.contracts.referral import ReferralRecord
from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import Clock
from shared.party.origin.api.routes import FILES_MANY, FILES_ONE, Identified, OriginApi, add_origin_routes
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does, shows
from shared.runtime.http.paging import Cursor, Limit, NextCursor
from shared.vocabulary.routing import Purpose


class Offer(Contract):
    """A referral that was offered to this hotline, and the edge on which it came."""

    referral_id: Uuid
    origin: PartyId
    purpose: Purpose
    state: OfferState
    exercise: Flag
    received_at: Instant
    edge: Edge


class OfferPage(Contract):
    """Offers, newest first, without their records."""

    items: tuple[Offer, ...]
    next: NextCursor


class OpenedOffer(Offer):
    """An offer with its record, which is null once it was erased."""

    record: ReferralRecord | None


class OfferMoved(Contract):
    """The state that the act has led to. The origin will be told."""

    referral_id: Uuid
    state: OfferState


def offers_router(
    database: Database,
    acts: Acts,
    identified: Callable[[Request], Awaitable[Identity]],
    *,
    kek: KeyEncryptionKey,
    directory: Callable[[], DirectoryIndex],
    clock: Clock,
) -> APIRouter:
    """The routes under /v1/inbox."""
    router = APIRouter(prefix="/v1/inbox", tags=["inbox"])
    who = Depends(identified)

    def acting(identity: Identity, session: Session) -> Acting:
        return Acting(identity.party, identity.role, PostgresOffers(session.driver, kek), directory(), clock.now())

    @router.get("", **shows(OfferPage))
    async def page(
        identity: Identity = who, state: OfferState | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """The offers made to this hotline, newest first."""
        async with database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            offers = PostgresOffers(session.driver, kek)
            found = await use_cases.list_offers(
                role=identity.role, offers=offers, state=state, cursor=cursor, limit=limit
            )
        return JSONResponse(found)

    @router.get("/{referral_id}", **shows(OpenedOffer))
    async def show(referral_id: UUID, identity: Identity = who) -> Response:
        """One offer with its opened record."""
        async with database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            found = await use_cases.show_offer(referral_id, acting(identity, session))
        return JSONResponse(found)

    @router.post("/{referral_id}:acknowledge-withdrawal", **does(OfferMoved))
    async def acknowledge(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say to the origin that this hotline has stopped acting on the referral."""

        async def act(session: Session) -> Mapping[str, Any]:
            state = await use_cases.acknowledge_withdrawal(referral_id, acting(identity, session))
            return {"referral_id": str(referral_id), "state": state}

        return await acts.once(request, identity, OfferAct.ACKNOWLEDGE_WITHDRAWAL, act=act)

    return router


def referrals_router(origin: OriginApi, identified: Identified) -> APIRouter:
    """The routes under /v1/referrals and /v1/work: what a hotline does with its own referrals."""
    router, who = APIRouter(prefix="/v1", tags=["referrals"]), Depends(identified)

    @router.post("/referrals:batch", **FILES_MANY)
    @router.post("/referrals", **FILES_ONE)
    async def hotline_files(request: Request, identity: Identity = who) -> Response:
        """Whatever a hotline files comes in here: one referral, or a list."""
        return await origin.file(request, identity)

    add_origin_routes(router, origin, identified)
    return router
