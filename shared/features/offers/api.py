"""HTTP routes for offers to a hotline."""

from __future__ import annotations

from functools import partial
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from shared.core.acts.act import OfferState, Subject
from shared.core.acts.states import personal
from shared.core.contracts.evidence import KeptEvidence
from shared.core.contracts.referral import ReferralSubmission
from shared.features.attention.api import AttentionSource
from shared.features.bulk.api import BatchSubject, add_batch
from shared.features.events.api import RouteContext, viewed
from shared.features.offers.ports import OfferPage, OfferTransition, OpenedOffer
from shared.features.offers.rules import HOTLINE
from shared.features.offers.service import draft_from_transfer
from shared.features.offers.store import PostgresOffers, transfers_waiting
from shared.features.received.api import ItemRoutes, add_acts
from shared.features.received.rules import ItemQuery
from shared.features.received.service.items import act
from shared.features.received.store.listing import items_waiting
from shared.features.search.api import Finding
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import shows
from shared.platform.http.paging import Cursor, Limit
from shared.platform.http.problems import Problem

_MANY: Final = BatchSubject(Subject.OFFER, "referral_id", OfferTransition)

#: Sources of the attention list: offers to the party, and those that it has claimed.
WAITS: Final = (
    AttentionSource("offer", OfferState.OFFERED, partial(items_waiting, subject=Subject.OFFER)),
    AttentionSource("offer", OfferState.OFFERED, transfers_waiting),
)


def offer_routes(serving: RouteContext) -> ItemRoutes:
    """Return the handlers of offers, the same for HTTP and the console."""
    return ItemRoutes(serving=serving, recipient=HOTLINE, moved=_moved, items=PostgresOffers, act_on=act)


def offers_router(serving: RouteContext) -> APIRouter:
    """Return the routes under /v1/inbox."""
    router = APIRouter(prefix="/v1/inbox", tags=["inbox"])
    who, offers = Depends(serving.identified), offer_routes(serving)

    @router.get("", **shows(OfferPage))
    async def page(
        sought: Finding,
        identity: Identity = who,
        state: OfferState | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """List the offers to this hotline: open ones with a child at risk first, then the newest."""
        return await offers.page(identity, ItemQuery(state, cursor, limit, sought))

    @router.get("/{referral_id}", **shows(OpenedOffer))
    async def show(referral_id: UUID, identity: Identity = who) -> Response:
        """Show one offer with its opened record."""
        return await offers.show(identity, referral_id)

    @router.get("/{referral_id}/draft", **shows(ReferralSubmission, conflict=Problem))
    async def draft_of(referral_id: UUID, identity: Identity = who) -> Response:
        """Draft your own referral from one transferred to this hotline, as the body of `POST /v1/referrals`."""
        async with serving.reading(identity) as session:
            found = await draft_from_transfer(referral_id, offers.acting(identity, session))
        return viewed(found)

    @router.get("/{referral_id}/evidence", **shows(KeptEvidence))
    async def evidence(referral_id: UUID, identity: Identity = who) -> Response:
        """Return offline evidence that the referral was sent: the original message, and a statement of its arrival."""
        return await offers.evidence(identity, referral_id)

    add_batch(router, ":batch", offers, kind=_MANY)
    add_acts(router, offers, personal(Subject.OFFER), path=lambda _: "/{referral_id}", moved=OfferTransition)
    return router


def _moved(subject_id: UUID, state: str) -> OfferTransition:
    return OfferTransition(referral_id=subject_id, state=OfferState(state))
