"""The web door of a provider: the notices issued to it. Its own referrals have the pages of every origin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import asyncpg

from services.industry.domain import PROVIDER
from services.industry.ports import ShownNotice
from services.industry.store import PostgresNotices
from services.industry.use_cases import act_on_notice
from shared.party.console.subjects import Beside, SubjectKind
from shared.party.recipient.domain import ShownItem
from shared.party.work_items.store import PostgresWorkItems


def _numbers(notice: ShownItem) -> Sequence[int]:
    return cast("ShownNotice", notice).numbers


async def _beside(driver: asyncpg.Connection, party: str, listed: Sequence[ShownItem]) -> Beside:
    """The other notices of their work items."""
    return await PostgresWorkItems(driver).beside(party, [cast("ShownNotice", each).notice_id for each in listed])


NOTICES: Final = SubjectKind(
    path="notices",
    title="Notices",
    one="notice",
    recipient=PROVIDER,
    items=PostgresNotices,
    act_on=act_on_notice,
    numbers=_numbers,
    rows="notice_rows.html",
    body="notice_body.html",
    record="one_record.html",
    bulk=("acknowledge", "answer"),
    beside=_beside,
)
FOLDERS: Final = (__file__,)
