"""The HTTP door: notices issued to a provider. What happens to its own referrals is `shared.party.origin`."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from services.industry.domain import AUTHORITY, PROVIDER
from services.industry.ports import NoticeMoved, NoticePage, OpenedNotice
from services.industry.store import PostgresNotices
from services.industry.use_cases import act_on_notice
from shared.contracts.evidence import KeptEvidence
from shared.exchange.act import Act, NoticeState, Subject
from shared.party.bulk.api import Kind, add_batch
from shared.party.finding import Finding
from shared.party.origin.api.changes import Identified
from shared.party.origin.api.routes import FILES_MANY, FILES_ONE, OriginApi, add_origin_routes
from shared.party.recipient.api import Answering, ItemRoutes, Serving, add_acts
from shared.party.recipient.ports import Page
from shared.party.work_items.api import work_items_router
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import shows
from shared.runtime.http.paging import Cursor, Limit

_MANY: Final = Kind(Subject.NOTICE, "notice_id", NoticeMoved)


def notices_router(serving: Serving) -> APIRouter:
    """The routes under /v1/notices."""
    router = APIRouter(prefix="/v1/notices", tags=["notices"])
    who = Depends(serving.identified)
    notices = notice_routes(serving)

    @router.get("", **shows(NoticePage))
    async def page(
        sought: Finding,
        identity: Identity = who,
        state: NoticeState | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """The notices issued to this provider: open ones with a child at risk first, then the newest."""
        return await notices.page(identity, Page(state, cursor, limit, sought))

    @router.get("/{notice_id}", **shows(OpenedNotice))
    async def show(notice_id: UUID, identity: Identity = who) -> Response:
        """One notice with its opened record."""
        return await notices.show(identity, notice_id)

    @router.get("/{notice_id}/evidence", **shows(KeptEvidence))
    async def evidence(notice_id: UUID, identity: Identity = who) -> Response:
        """What proves offline that the notice was sent: the message as it came, and a statement of its arrival."""
        return await notices.evidence(identity, notice_id)

    def answering(row: Act) -> Answering:
        async def answer(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
            return await notices.act(row, notice_id, request, identity=identity)

        return answer

    add_batch(router, ":batch", notices, kind=_MANY)
    add_acts(router, PROVIDER, path=lambda _: "/{notice_id}", answering=answering, moved=NoticeMoved)
    return router


def work_router(serving: Serving) -> APIRouter:
    """The routes under /v1/work-items: the same notices, by where their items lie."""
    return work_items_router(notice_routes(serving), AUTHORITY)


def referrals_router(origin: OriginApi, identified: Identified) -> APIRouter:
    """The routes under /v1/referrals and /v1/work: a provider is an origin too."""
    router, who = APIRouter(prefix="/v1", tags=["referrals"]), Depends(identified)

    @router.post("/referrals:batch", **FILES_MANY)
    @router.post("/referrals", **FILES_ONE)
    async def provider_files(request: Request, identity: Identity = who) -> Response:
        """A provider files what it has found itself, one referral or a list."""
        return await origin.file(request, identity)

    add_origin_routes(router, origin, identified)
    return router


def notice_routes(serving: Serving) -> ItemRoutes:
    """What is done with notices, whichever door asks for it."""
    return ItemRoutes(serving=serving, recipient=PROVIDER, moved=_moved, items=PostgresNotices, act_on=act_on_notice)


def _moved(subject_id: UUID, state: str) -> NoticeMoved:
    return NoticeMoved(notice_id=subject_id, state=NoticeState(state))
