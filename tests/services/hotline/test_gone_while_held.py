"""Items that vanished while an agency held their notices are counted with the hold, at the origin only."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from deploy.site.endpoints import DatabaseEndpoint
from deploy.statistics.figures import Figures
from shared.core.contracts.answers import NoticeAnsweredClear
from shared.core.contracts.items import ItemAnswer
from shared.core.contracts.registry import NOTICE_ANSWERED
from shared.core.ids import uuid4
from shared.core.protocol.message import Received
from shared.core.vocabulary.answers import NoticeAction
from tests.services.deliveries import numbered, received
from tests.services.hotline.origin import Origin
from tests.services.hotline.test_holds import SLOT, WINDOW, agencies_of, applied, notice, pass_time, place, planned
from tests.services.hotline.test_removals_counted import counted_twice
from tests.support.builders import HOTLINE, PROVIDER

__all__ = ["planned"]  # the fixture


def answered(notice_id: UUID, number: int, *actions: NoticeAction) -> Received:
    items = tuple(ItemAnswer(n=n, round=1, action=action) for n, action in enumerate(actions, 1))
    clear = NoticeAnsweredClear(notice_id=notice_id, items=items, **numbered(number) | {"act": uuid4()})
    return received(NOTICE_ANSWERED, clear, subject=notice_id, sender=PROVIDER, recipient=HOTLINE)


async def gone(origin: Origin, referral_id: UUID) -> list[int]:
    return [each.get("gone", 0) for each in (await origin.show(referral_id)).get("holds", [])]


@pytest.mark.parametrize(("action", "count"), [(NoticeAction.ALREADY_GONE, 1), (NoticeAction.REMOVED, 0)])
async def test_an_item_gone_when_its_notice_went_is_counted(origin: Origin, action: NoticeAction, count: int) -> None:
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, agency, WINDOW + timedelta(hours=8))) == [None]
    await pass_time(origin, WINDOW + timedelta(hours=8) + 2 * SLOT)
    issued = await notice(origin, referral_id)
    assert issued["delivery"] == "queued"
    assert await gone(origin, referral_id) == [0]
    assert await applied(origin, answered(UUID(issued["notice_id"]), 1, action)) == [None]
    assert await gone(origin, referral_id) == [count]


async def test_what_vanished_before_a_hold_came_too_late_is_not_the_holds(origin: Origin) -> None:
    referral_id = await origin.file()
    agency, *_ = await agencies_of(origin, referral_id)
    await pass_time(origin, WINDOW + 2 * SLOT)
    issued = await notice(origin, referral_id)
    assert await applied(origin, place(origin, referral_id, agency, timedelta(hours=8))) == [None]
    assert await applied(origin, answered(UUID(issued["notice_id"]), 1, NoticeAction.ALREADY_GONE)) == [None]
    assert await gone(origin, referral_id) == [0]


async def test_the_month_counts_what_was_gone_and_held_of_it(origin: Origin, endpoint: DatabaseEndpoint) -> None:
    before = await counted(endpoint)
    for held in (True, False):
        referral_id = await origin.file()
        agency, *_ = await agencies_of(origin, referral_id)
        until = WINDOW + timedelta(hours=8 if held else 0)
        if held:
            assert await applied(origin, place(origin, referral_id, agency, until)) == [None]
        await pass_time(origin, until + 2 * SLOT)
        notice_id = UUID((await notice(origin, referral_id))["notice_id"])
        assert await applied(origin, answered(notice_id, 1, NoticeAction.ALREADY_GONE)) == [None]
    after = await counted(endpoint)
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1]


async def counted(endpoint: DatabaseEndpoint) -> list[int]:
    """Return the counts of the provider's vanished items and of those held, checked to be equal in both programs."""
    found, theirs = await counted_twice(endpoint)
    ours = found.get(PROVIDER, Figures())
    told = [ours.gone.total(), ours.gone_while_held.total()]
    assert theirs.get(PROVIDER, {}).get("gone", [0, 0]) == told
    return told
