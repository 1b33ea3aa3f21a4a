"""Pages of the notices issued to a provider, and of its report on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import asyncpg
from starlette.responses import Response

from shared.core.errors import Refused
from shared.features.bulk.store import PostgresWorkItems
from shared.features.notices.ports import ShownNotice
from shared.features.notices.rules import Period
from shared.features.notices.service import reported_notices
from shared.features.received.api import ItemRoutes
from shared.features.received.rules import ShownItem
from shared.features.search.api import read_date
from shared.features.workspace.pages.subjects import Beside, SubjectKind
from shared.formats import dsa_notices
from shared.formats.dsa_notices import ReportedNotice
from shared.platform.console.forms import PageInput, problems_of
from shared.platform.console.frame import HEADERS, Frame

FOLDERS: Final = (__file__,)


async def _beside(driver: asyncpg.Connection, party: str, listed: Sequence[ShownItem]) -> Beside:
    """Return, for each notice, the other notices of its work items."""
    return await PostgresWorkItems(driver).beside(party, [cast("ShownNotice", each).notice_id for each in listed])


def notices(routes: ItemRoutes) -> SubjectKind:
    """Return the properties of the pages of notices issued to a provider."""
    return SubjectKind(
        path="notices",
        title="Notices",
        one="notice",
        routes=routes,
        numbers=lambda notice: cast("ShownNotice", notice).numbers,
        rows="notice_rows.html",
        body="notice_body.html",
        record="one_record.html",
        bulk=("acknowledge", "answer"),
        beside=_beside,
    )


PLACE: Final = "report"


class ReportPages:
    """The handlers of the pages. `notices` wire the use cases, as in the API."""

    def __init__(self, frame: Frame, notices: ItemRoutes) -> None:
        self._frame = frame
        self._notices = notices
        frame.get(f"/{PLACE}", self._page)
        frame.get(f"/{PLACE}/dsa-notices.csv", self._table)

    async def _page(self, request: PageInput) -> Response:
        """Show the form, and below it the counted columns of the requested report."""
        views: dict[str, object] = {"rows": None, "problems": [], "query": request.request.url.query}
        status = 200
        if request.query("since") or request.query("until"):
            try:
                found = await self._read(request, _period(request))
                views["rows"] = [(row.category, list(row.cells().values())) for row in dsa_notices.build_rows(found)]
            except Refused as error:
                if error.status in (403, 404):
                    raise
                views["problems"], status = problems_of(error), error.status
        return self._frame.page(request, "report.html", views, status=status)

    async def _table(self, request: PageInput) -> Response:
        period = _period(request)
        found = dsa_notices.format_csv(await self._read(request, period), since=period.since, until=period.until)
        name = f"dsa-notices-{period.since}-{period.until}.csv"
        headers = dict(HEADERS) | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(found, media_type="text/csv; charset=utf-8", headers=headers)

    async def _read(self, request: PageInput, period: Period) -> Sequence[ReportedNotice]:
        who, serving = request.identity, self._notices.serving
        async with serving.reading(who) as session:
            acting = self._notices.acting(who, session)
            found = await reported_notices(period, acting, exercises=request.query("exercises") == "true")
        serving.owe(who.principal, len(found))
        return found


def _period(request: PageInput) -> Period:
    return Period.of(*(read_date(request.query(name) or "", name) for name in ("since", "until")))
