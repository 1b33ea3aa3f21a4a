"""Searching an agency's inbox: by sender, arrival, priority, state and reference."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.authority import Role
from shared.core.clock import SystemClock
from shared.core.contracts.answers import CaseAcceptance, Declination
from shared.core.ids import uuid7
from shared.core.vocabulary.answers import CaseDeclineReason
from shared.platform.database.transactions import RowScope
from tests.services.deliveries import AGENCY, OTHER_AGENCY, OTHER_HOTLINE, offered
from tests.services.doors import asking
from tests.services.law_enforcement.agency import KEK, Agencies

P0 = "p0_child_at_risk"


async def found(client: httpx.AsyncClient, asks: str = AGENCY, **asked: Any) -> list[UUID]:
    """Return the ids of all pages of two, in their order."""
    ids: list[UUID] = []
    while True:
        answer = await client.get("/v1/inbox", params={"limit": 2} | asked, headers=asking(asks))
        assert answer.status_code == 200, answer.text
        ids += [UUID(each["referral_id"]) for each in answer.json()["items"]]
        if (cursor := answer.json()["next"]) is None:
            assert len(ids) == len(set(ids))
            return ids
        asked["cursor"] = cursor


def day(days: float) -> str:
    return f"{SystemClock().now() + timedelta(days=days):%Y-%m-%d}"


async def aged(agencies: Agencies, party: str) -> None:
    """Move the arrival of all the party's cases thirty days back."""
    async with agencies.database.transaction(RowScope([party], Role.SERVICE, "apply")) as session:
        statement = "UPDATE received SET received_at = received_at - interval '30 days' WHERE party = $1"
        assert (await session.driver.execute(statement, party)) != "UPDATE 0"


async def test_the_inbox_is_looked_through_by_all_that_is_sought(agencies: Agencies, client: httpx.AsyncClient) -> None:
    calm, risky, accepted, closed, others = (uuid7() for _ in range(5))
    for each, priority in ((calm, "p2_normal"), (risky, P0), (accepted, "p2_normal"), (closed, P0)):
        await agencies.receive(offered(each, origin=OTHER_HOTLINE, priority=priority))
    await agencies.receive(offered(others, priority=P0))
    await agencies.act("accept", CaseAcceptance(), accepted)
    await agencies.act("decline", Declination(reason=CaseDeclineReason.NO_CAPACITY), closed)

    async def mine(**asked: str) -> list[UUID]:
        known = calm, risky, accepted, closed, others
        return [each for each in await found(client, party=OTHER_HOTLINE, **asked) if each in known]

    assert await mine() == [risky, closed, accepted, calm]
    assert await mine(state="accepted") == [accepted]
    assert await mine(priority="p0") == [risky, closed]
    assert await mine(priority="p0", state="declined") == [closed]
    assert await mine(reference=str(calm)) == [calm]
    assert await mine(reference=str(calm), state="accepted") == []
    assert await mine(since=day(1)) == []
    assert await mine(since=day(-1), until=day(1)) == [risky, closed, accepted, calm]
    assert await found(client, party="nobody.example") == []


async def test_a_case_is_found_by_the_agencys_own_reference(agencies: Agencies, client: httpx.AsyncClient) -> None:
    first, second, theirs = (uuid7() for _ in range(3))
    number = f"2026/{uuid7().hex[-10:]}"
    await agencies.receive(offered(first), offered(second), offered(theirs, to=OTHER_AGENCY))
    for each, reference in ((first, number), (second, f"{number}-2")):
        await agencies.act("accept", CaseAcceptance(case_reference=reference), each)
    assert await found(client, reference=number) == [first]
    assert await found(client, OTHER_AGENCY, reference=number) == []
    await agencies.act("accept", CaseAcceptance(case_reference=number), theirs, party=OTHER_AGENCY)
    assert await found(client, reference=number) == [first]
    assert await found(client, OTHER_AGENCY, reference=str(first)) == []
    async with agencies.cases("read", party=OTHER_AGENCY) as cases:
        rows = await cases._driver.fetch("SELECT reference_token FROM received WHERE reference_token IS NOT NULL")
    assert number.encode() not in b"".join(row["reference_token"] for row in rows)
    assert KEK.reference_token(AGENCY, number) not in {row["reference_token"] for row in rows}


async def test_a_period_has_what_came_in_it_at_risk_first(agencies: Agencies, client: httpx.AsyncClient) -> None:
    origin, batches = f"hotline-{uuid7().hex[-8:]}.example", []
    for _ in range(3):
        calm, risky = uuid7(), uuid7()
        for each, priority in ((risky, P0), (calm, "p2_normal")):
            await agencies.receive(offered(each, origin=origin, priority=priority))
        batches.append([risky, calm])
        if len(batches) < 3:
            await aged(agencies, AGENCY)
    oldest, old, new = batches
    assert await found(client, party=origin, since=day(-61), until=day(-59)) == oldest
    assert await found(client, party=origin, since=day(-31), until=day(-29)) == old
    assert await found(client, party=origin, since=day(-1)) == new
    assert await found(client, party=origin, until=day(-29)) == [old[0], oldest[0], old[1], oldest[1]]
    assert await found(client, party=origin, until=day(-29), priority="p0") == [old[0], oldest[0]]
    assert await found(client, party=origin, since=day(-45), until=day(-40)) == []
    every = await found(client, since=day(-31), until=day(-29))
    assert [each for each in every if each in {*oldest, *old, *new}] == old


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        ({"since": "2026-05-04", "until": "2026-05-03"}, "period_empty", "/query/until"),
        ({"since": "2026-02-31"}, "parameter_invalid", "/query/since"),
        ({"since": "1777800000"}, "parameter_invalid", "/query/since"),
        ({"priority": "p9"}, "parameter_invalid", "/query/priority"),
        ({"state": "oferred"}, "parameter_invalid", "/query/state"),
        ({"party": "No Body"}, "parameter_invalid", "/query/party"),
        ({"reference": "a b"}, "parameter_invalid", "/query/reference"),
    ],
)
async def test_wrong_searches_fail(client: httpx.AsyncClient, asked: dict[str, str], code: str, field: str) -> None:
    answer = await client.get("/v1/inbox", params=asked, headers=asking(AGENCY))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, code, field)
    assert answer.json().get("errors") is None or all(each["expected"] for each in answer.json()["errors"])
    assert not any(value in answer.text for value in asked.values() if len(value) > 3)
