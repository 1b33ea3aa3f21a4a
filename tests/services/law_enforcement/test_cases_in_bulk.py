"""Many cases in one request: accepted and declined together. Acts without a message to the origin go one by one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx

from shared.kernel.ids import uuid7
from tests.services.deliveries import AGENCY
from tests.services.doors import asking
from tests.services.law_enforcement.agency import Agencies


async def post(client: httpx.AsyncClient, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    headers = asking(AGENCY, key=str(uuid7()))
    answer = await client.post("/v1/cases:batch", json={"answers": list(lines)}, headers=headers)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def offers(agencies: Agencies, count: int) -> list[str]:
    return [str(await agencies.offer()) for _ in range(count)]


async def test_cases_are_taken_up_with_their_references_and_declined_in_one_request(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    first, second, third = await offers(agencies, 3)
    results = await post(
        client,
        {"referral_id": first, "act": "accept", "case_reference": "BE-2026-1"},
        {"referral_id": second, "act": "accept"},
        {"referral_id": third, "act": "decline", "reason": "no_crime"},
        {"referral_id": third, "act": "accept"},
    )
    assert [each.get("state") for each in results] == ["accepted", "accepted", "declined", None]
    assert results[3]["problem"]["code"] == "state_forbids"
    shown = [await agencies.show(UUID(each)) for each in (first, second)]
    assert [each["case_reference"] for each in shown] == ["BE-2026-1", None]
    assert [len(each["timeline"]) for each in shown] == [1, 1]


async def test_a_lease_is_an_agencys_own_and_is_taken_or_refused_whole(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    """The origin gets no message about a lease. In a batch it could be stored and yet reported as refused."""
    ids = await offers(agencies, 2)
    results = await post(client, *({"referral_id": each, "act": "claim"} for each in ids))
    assert [(each["status"], each.get("state")) for each in results] == [(202, "offered")] * 2
    assert all([(await agencies.show(UUID(each)))["claimed_by"] for each in ids])
