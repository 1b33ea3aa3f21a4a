"""The web door of a provider: the notices issued to it. Its own referrals have the pages of every origin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from services.industry.domain import PROVIDER
from services.industry.ports import ShownNotice
from services.industry.store import PostgresNotices
from services.industry.use_cases import act_on_notice
from shared.party.console.subjects import SubjectKind
from shared.party.recipient.ports import ShownItem


def _numbers(notice: ShownItem) -> Sequence[int]:
    return cast("ShownNotice", notice).numbers


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
)
FOLDERS: Final = (__file__,)
