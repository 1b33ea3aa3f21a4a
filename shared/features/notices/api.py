"""HTTP routes for notices issued to a provider, and the origin's rechecks of items that notices were sent about."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from shared.core.acts.act import NoticeState, Subject
from shared.core.acts.states import personal, row
from shared.core.contracts.answers import ItemChecks
from shared.core.contracts.evidence import KeptEvidence
from shared.features.attention.api import AttentionSource
from shared.features.bulk.api import BatchSubject, add_batch
from shared.features.events.api import RouteContext
from shared.features.filing.api.act_handlers import OriginApi, OriginFeature
from shared.features.notices import service
from shared.features.notices.ports import NoticePage, NoticeTransition, OpenedNotice
from shared.features.notices.rules import PROVIDER, Period
from shared.features.notices.service import act_on_notice, check_items, reported_notices
from shared.features.notices.store import PostgresNotices
from shared.features.received.api import ItemRoutes, add_acts
from shared.features.received.rules import ItemQuery
from shared.features.received.store.listing import items_waiting
from shared.features.search.api import DAY, Finding, read_date
from shared.formats import dsa_notices
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does, shows
from shared.platform.http.paging import Cursor, Limit

_MANY: Final = BatchSubject(Subject.NOTICE, "notice_id", NoticeTransition)

#: The source of the attention list: notices that the party has not answered.
WAITS: Final = (AttentionSource("notice", NoticeState.ISSUED, partial(items_waiting, subject=Subject.NOTICE)),)


def notices_router(serving: RouteContext) -> APIRouter:
    """Build the routes under /v1/notices."""
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
        """List the notices issued to this provider. Open ones with a child at risk come first, then the newest."""
        return await notices.page(identity, ItemQuery(state, cursor, limit, sought))

    @router.get("/{notice_id}", **shows(OpenedNotice))
    async def show(notice_id: UUID, identity: Identity = who) -> Response:
        """Show one notice with its opened record."""
        return await notices.show(identity, notice_id)

    @router.get("/{notice_id}/evidence", **shows(KeptEvidence))
    async def evidence(notice_id: UUID, identity: Identity = who) -> Response:
        """Return evidence that the notice was sent: the message as it came, and a statement of its arrival.

        It can be verified offline.
        """
        return await notices.evidence(identity, notice_id)

    add_batch(router, ":batch", notices, kind=_MANY)
    add_acts(router, notices, personal(Subject.NOTICE), path=lambda _: "/{notice_id}", moved=NoticeTransition)
    return router


class CsvResponse(Response):
    """A CSV response."""

    media_type = "text/csv; charset=utf-8"


def statistics_router(serving: RouteContext) -> APIRouter:
    """Build the routes under /v1/statistics, for the reports of a provider."""
    router = APIRouter(prefix="/v1/statistics", tags=["statistics"])
    notices, who = notice_routes(serving), Depends(serving.identified)

    @router.get("/dsa-notices", name="dsa_notices", response_class=CsvResponse)
    async def reported(
        since: Annotated[str, Query(pattern=DAY, description="The first day of the period, UTC.")],
        until: Annotated[str, Query(pattern=DAY, description="The last day of the period, UTC.")],
        identity: Identity = who,
        *,
        exercises: Annotated[bool, Query(description="Count only exercises.")] = False,
    ) -> Response:
        """Export notices as rows of Implementing Regulation (EU) 2024/2835, part 4, mapped from the data known here."""
        period = Period.of(read_date(since, "since"), read_date(until, "until"))
        async with serving.reading(identity) as session:
            found = await reported_notices(period, notices.acting(identity, session), exercises=exercises)
        serving.owe(identity.principal, len(found))
        return CsvResponse(dsa_notices.format_csv(found, since=period.since, until=period.until))

    return router


def notice_routes(serving: RouteContext) -> ItemRoutes:
    """Build the handlers of notices, for the API and the console."""
    return ItemRoutes(serving=serving, recipient=PROVIDER, moved=_moved, items=PostgresNotices, act_on=act_on_notice)


def _moved(subject_id: UUID, state: str) -> NoticeTransition:
    return NoticeTransition(notice_id=subject_id, state=NoticeState(state))


def add_recheck_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the route for rechecks."""

    @router.post("/referrals/{referral_id}:check", **does(service.CheckedReferral, takes=[ItemChecks]))
    async def check_found(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Report the recheck of items that notices were sent about. A removed item may be available again."""
        return await origin.act(row(Subject.REFERRAL, "check"), referral_id, request, identity=identity)


RECHECKS: Final = OriginFeature(add_recheck_routes, {ItemChecks: check_items})
