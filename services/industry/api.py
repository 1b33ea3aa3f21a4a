"""The HTTP door: notices issued to a provider. What happens to its own referrals is `shared.party.origin`."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from services.industry.domain import PROVIDER, Period
from services.industry.ports import NoticeMoved, NoticePage, OpenedNotice
from services.industry.store import PostgresNotices
from services.industry.use_cases import act_on_notice, reported_notices
from shared.contracts.evidence import KeptEvidence
from shared.exchange.act import Act, NoticeState, Subject
from shared.formats import dsa_notices
from shared.party.bulk.api import Kind, add_batch
from shared.party.list_query import DAY, Finding, read_date
from shared.party.origin.api.act_handlers import OriginApi
from shared.party.origin.api.routes import FILES_MANY, FILES_ONE, add_origin_routes
from shared.party.recipient.api import Answering, ItemRoutes, add_acts
from shared.party.recipient.domain import Page
from shared.party.serving import Serving
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


class CsvResponse(Response):
    """An answer that is a table."""

    media_type = "text/csv; charset=utf-8"


def statistics_router(serving: Serving) -> APIRouter:
    """The routes under /v1/statistics: what a provider reports of itself."""
    router = APIRouter(prefix="/v1/statistics", tags=["statistics"])
    notices, who = notice_routes(serving), Depends(serving.identified)

    @router.get("/dsa-notices", name="dsa_notices", response_class=CsvResponse)
    async def reported(
        since: Annotated[str, Query(pattern=DAY, description="The first day of the period, UTC.")],
        until: Annotated[str, Query(pattern=DAY, description="The last day of the period, UTC.")],
        identity: Identity = who,
        *,
        exercises: Annotated[bool, Query(description="Count exercises, and nothing else.")] = False,
    ) -> Response:
        """Notices as rows of Implementing Regulation (EU) 2024/2835, part 4; a mapping, with what is known here."""
        period = Period.of(read_date(since, "since"), read_date(until, "until"))
        async with serving.reading(identity) as session:
            found = await reported_notices(period, notices.acting(identity, session), exercises=exercises)
        serving.owe(identity.party, len(found))
        return CsvResponse(dsa_notices.written(found, since=period.since, until=period.until))

    return router


def referrals_router(origin: OriginApi) -> APIRouter:
    """The routes under /v1/referrals and /v1/work: a provider is an origin too."""
    router, who = APIRouter(prefix="/v1", tags=["referrals"]), Depends(origin.serving.identified)

    @router.post("/referrals:batch", **FILES_MANY)
    @router.post("/referrals", **FILES_ONE)
    async def provider_files(request: Request, identity: Identity = who) -> Response:
        """A provider files what it has found itself, one referral or a list."""
        return await origin.file(request, identity)

    return add_origin_routes(router, origin)


def notice_routes(serving: Serving) -> ItemRoutes:
    """What is done with notices, whichever door asks for it."""
    return ItemRoutes(serving=serving, recipient=PROVIDER, moved=_moved, items=PostgresNotices, act_on=act_on_notice)


def _moved(subject_id: UUID, state: str) -> NoticeMoved:
    return NoticeMoved(notice_id=subject_id, state=NoticeState(state))
