"""Searching an origin's referrals: by recipient, period, priority, state and reference."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.clock import SystemClock
from shared.core.ids import uuid7
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.filing.store import referrals
from tests.services.doors import asking
from tests.services.hotline.origin import Origin
from tests.support.builders import HOTLINE, PROVIDER

P0 = {"level": "p0_child_at_risk", "basis": ["imminent_harm"]}


@pytest.fixture
async def today(origin: Origin) -> Origin:
    """Return an origin that submits at the time of its referrals' ids."""
    origin.clock.advance((SystemClock().now() - origin.clock.now()).total_seconds())
    return origin


async def pages(client: httpx.AsyncClient, *, limit: int = 2, **asked: Any) -> list[list[UUID]]:
    found: list[list[UUID]] = []
    while True:
        answer = await client.get("/v1/referrals", params={"limit": limit} | asked, headers=asking(HOTLINE))
        assert answer.status_code == 200, answer.text
        found.append([UUID(each["referral_id"]) for each in answer.json()["items"]])
        if (cursor := answer.json()["next"]) is None:
            return found
        asked["cursor"] = cursor


def day(days: float) -> str:
    return f"{SystemClock().now() + timedelta(days=days):%Y-%m-%d}"


async def recipients(origin: Origin, referral_id: UUID) -> list[str]:
    return [each["recipient"] for each in (await origin.show(referral_id))["edges"]]


async def test_referrals_are_looked_through_by_all_that_is_sought(today: Origin) -> None:
    calm, risky, taken_back, unsent = [
        await today.file(priority=P0) if number == 1 else await today.file() for number in range(3)
    ] + [uuid7()]
    await today.withdraw(taken_back, WithdrawalReason.FILED_IN_ERROR)
    [provider] = [each for each in await recipients(today, calm) if each == PROVIDER]
    ids = [taken_back, risky, calm]
    async with today.door() as client:

        async def mine(**asked: Any) -> list[UUID]:
            found = [each for page in await pages(client, **asked) for each in page]
            assert len(found) == len(set(found))
            return [each for each in found if each in (*ids, unsent)]

        for to in ({}, {"party": provider}):
            assert await mine(**to) == ids
            assert await mine(state="withdrawn", **to) == [taken_back]
            assert await mine(state="orphaned", **to) == []
            assert await mine(priority="p0", **to) == [risky]
            assert await mine(priority="p0", state="withdrawn", **to) == []
            assert await mine(since=day(-1), until=day(1), **to) == ids
            assert await mine(since=day(1), **to) == []
            assert await mine(until=day(-2), **to) == []
            assert await mine(reference=str(risky), **to) == [risky]
            assert await mine(reference=str(risky), state="withdrawn", **to) == []
        assert await mine(party="nobody.example") == []
        shown = await today.show(calm)
        notice = next(each["notice_id"] for each in shown["edges"] if each.get("notice_id"))
        assert await mine(reference=shown["external_ref"]) == [calm]
        assert await mine(reference=notice) == [calm]
        assert await mine(reference=str(uuid7())) == []


async def test_rare_ones_are_found_over_short_pages(today: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """One page reads a limited number of rows, and states that more follow."""
    monkeypatch.setattr(referrals, "LOOKED_AT_MAX", 3)
    rare = await today.file()
    await today.withdraw(rare, WithdrawalReason.FILED_IN_ERROR)
    later = [await today.file() for _ in range(7)]
    assert later
    async with today.door() as client:
        found = await pages(client, party=PROVIDER, state="withdrawn", since=day(-1))
    assert found[:2] == [[], []]
    assert rare in found[2]


async def test_another_origins_referrals_are_not_found(today: Origin) -> None:
    referral_id = await today.file()
    notice = next(each["notice_id"] for each in (await today.show(referral_id))["edges"] if each.get("notice_id"))
    async with today.door() as client:
        for asked in ({"reference": str(referral_id)}, {"reference": notice}, {"party": PROVIDER}):
            answer = await client.get("/v1/referrals", params=asked, headers=asking("hotline-nl.example"))
            assert answer.json()["items"] == []
