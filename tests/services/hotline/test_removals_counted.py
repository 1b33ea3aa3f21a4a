"""The monthly figures count a provider's reported removals that were rechecked, and the results."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.accounting.book import open_ledger
from deploy.site.endpoints import DatabaseEndpoint
from deploy.statistics.figures import Figures, Measure, Month, count_book
from shared.core.contracts.answers import NoticeAnsweredClear
from shared.core.contracts.items import ItemAnswer
from shared.core.contracts.registry import NOTICE_ANSWERED
from shared.core.ids import uuid4
from shared.core.vocabulary.answers import NoticeAction
from tests.acceptance.programs import foreign
from tests.services.deliveries import received
from tests.services.hotline.origin import APPLYING, Origin
from tests.services.hotline.test_answers_kept import applied
from tests.services.hotline.test_looking_again import GONE, UP, check, notice_of
from tests.support.builders import AT, HOTLINE

_COUNTED = (Measure.REMOVED, Measure.CONFIRMED, Measure.REAPPEARED)


async def answered(origin: Origin, referral_id: UUID, action: NoticeAction, *, again: int = 1) -> None:
    edge = await notice_of(origin, referral_id)
    said = (ItemAnswer(n=1, round=again, action=action),)
    clear = NoticeAnsweredClear(notice_id=edge["notice_id"], act=uuid4(), number=again, items=said)
    subject = UUID(str(edge["notice_id"]))
    told = received(NOTICE_ANSWERED, clear, subject=subject, sender=edge["recipient"], recipient=HOTLINE)
    assert await applied(origin, told) == [None]


async def counted_twice(endpoint: DatabaseEndpoint) -> tuple[dict[str, Figures], dict[str, Any]]:
    """Return each provider's month as two independent programs count it."""
    month, ours = Month(AT.year, AT.month), dict[str, Figures]()
    async with open_ledger(endpoint.accountant_url, kind="hotline") as book:
        await count_book(book, month, ours, exercises=True)
    asked = {"urls": {endpoint.accountant_url: "hotline"}, "exercises": True}
    asked |= {"first": month.first.isoformat(), "after": month.after.isoformat()}
    ran = await asyncio.to_thread(foreign, "recount_month.py", asked)
    assert ran.returncode == 0, ran.stderr
    return ours, json.loads(ran.stdout)


async def counted(endpoint: DatabaseEndpoint) -> Counter[Measure]:
    """Return the totals of all providers, checked to be equal in both programs."""
    ours, theirs = await counted_twice(endpoint)
    for party, figures in ours.items():
        for measure in _COUNTED:
            said = [figures.count(measure), figures.median_minutes(measure)]
            assert theirs[party].get(measure.value, [0, None]) == said
    together = Figures.sum(ours.values())
    return Counter({measure: together.count(measure) for measure in _COUNTED})


async def test_said_is_not_yet_found(origin: Origin, client: httpx.AsyncClient, endpoint: DatabaseEndpoint) -> None:
    before = await counted(endpoint)
    said, confirmed, lied = [await origin.file() for _ in range(3)]
    for each in (said, confirmed, lied):
        await answered(origin, each, NoticeAction.REMOVED)
    assert await check(client, confirmed, GONE) == (202, "routed")
    assert await check(client, confirmed, GONE) == (202, "routed")
    assert await check(client, lied, UP) == (202, "reappeared")
    new = await counted(endpoint) - before
    assert new == {Measure.REMOVED: 3, Measure.CONFIRMED: 1, Measure.REAPPEARED: 1}


async def test_refused_looks_count_not(origin: Origin, client: httpx.AsyncClient, endpoint: DatabaseEndpoint) -> None:
    before = await counted(endpoint)
    referral_id = await origin.file()
    await answered(origin, referral_id, NoticeAction.REMOVED)
    assert await check(client, referral_id, GONE) == (202, "routed")
    edge = await notice_of(origin, referral_id)
    async with origin.database.transaction(APPLYING) as session:
        looks = (
            "UPDATE answer_act SET code = 'answer_unmatched' WHERE subject = $1 AND recheck_results <> '[]' RETURNING 1"
        )
        assert await session.driver.fetch(looks, UUID(str(edge["notice_id"])))
    assert await counted(endpoint) - before == {Measure.REMOVED: 1}


async def test_a_second_round_is_no_second_notice(
    origin: Origin, client: httpx.AsyncClient, endpoint: DatabaseEndpoint
) -> None:
    before = await counted(endpoint)
    referral_id = await origin.file()
    await answered(origin, referral_id, NoticeAction.REMOVED)
    assert await check(client, referral_id, UP) == (202, "reappeared")
    await answered(origin, referral_id, NoticeAction.REMOVED, again=2)
    assert await check(client, referral_id, GONE) == (202, "routed")
    assert await counted(endpoint) - before == {Measure.REMOVED: 1, Measure.CONFIRMED: 1, Measure.REAPPEARED: 1}


@pytest.mark.parametrize("action", [NoticeAction.ALREADY_GONE, NoticeAction.PRESERVED])
async def test_what_is_gone_and_was_never_said_to_be_removed_confirms_nothing(
    origin: Origin, client: httpx.AsyncClient, endpoint: DatabaseEndpoint, action: NoticeAction
) -> None:
    before = await counted(endpoint)
    referral_id = await origin.file()
    assert await check(client, referral_id, GONE) == (202, "routed")
    await answered(origin, referral_id, action)
    assert await check(client, referral_id, GONE) == (202, "routed")
    assert not await counted(endpoint) - before
