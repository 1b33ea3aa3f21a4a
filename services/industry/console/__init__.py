"""The console of a provider: the notices issued to it. Its own referrals have the pages of all origins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import asyncpg

from services.industry.ports import ShownNotice
from shared.features.bulk.store import PostgresWorkItems
from shared.features.received.api import ItemRoutes
from shared.features.received.rules import ShownItem
from shared.features.workspace.pages.subjects import Beside, SubjectKind

FOLDERS: Final = (__file__,)


def _numbers(notice: ShownItem) -> Sequence[int]:
    return cast("ShownNotice", notice).numbers


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
        numbers=_numbers,
        rows="notice_rows.html",
        body="notice_body.html",
        record="one_record.html",
        bulk=("acknowledge", "answer"),
        beside=_beside,
    )
