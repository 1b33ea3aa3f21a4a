"""Notable acts of a party raise an alarm once a day, for all its processes together and across restarts."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest

from tests.services.doors import asking
from tests.services.hotline.origin import KEK, Origin, body_of
from tests.services.hotline.test_party_day import P0, filed, smallest
from tests.services.hotline.test_second_person import over_budget, review
from tests.support.builders import AT, HOTLINE

ALARMS = "SELECT kind, name FROM alarm WHERE party = $1 AND day = $2 ORDER BY kind"
_days = (AT.replace(hour=12) + timedelta(days=n) for n in range(400, 500))


@pytest.fixture
async def origin(origin: Origin) -> Origin:
    return smallest(origin, next(_days))


async def raised(origin: Origin) -> list[str]:
    """Return the alarms of this day, each with the party's opaque name."""
    found = await origin.database.fetch(ALARMS, HOTLINE, origin.clock.now().date())
    assert {row["name"] for row in found} <= {KEK.actor_id(HOTLINE, b"")}
    return [row["kind"] for row in found]


async def checked(client: httpx.AsyncClient, text: str) -> list[dict[str, object]]:
    headers = asking(HOTLINE) | {"content-type": "application/json"}
    answer = await client.post("/v1/referrals:check", content=text, headers=headers)
    results: list[dict[str, object]] = answer.json()["results"]
    return results


async def test_refusals_and_a_picture_are_told_once_over_a_restart(origin: Origin, client: httpx.AsyncClient) -> None:
    refused = body_of(observed_at="1999-01-01T00:00:00Z")
    picture = body_of(items=[{"locator": {"kind": "url", "value": "https://site.example/iVBORw0KGgoAAAANSUhEUgAAAAE"}}])
    for _ in range(2):  # the second process starts without counts, and its alarms are already known
        async with origin.alarms.running():
            for _ in range(5):
                assert not any(each["ok"] for each in await checked(client, json.dumps({"referrals": [refused] * 100})))
            assert (await checked(client, json.dumps(picture)))[0]["ok"], "nothing is refused by an alarm"
        origin.alarms._seen.clear()
    assert await raised(origin) == ["refused", "tripwire"]


async def test_a_batch_that_fills_the_day_is_told_once(origin: Origin, client: httpx.AsyncClient) -> None:
    async with origin.alarms.running():
        for _ in range(2):
            results = (await filed(client, *(body_of() for _ in range(100)))).json()["results"]
            assert 429 in {each["status"] for each in results}
    assert await raised(origin) == ["day_filled"]


async def test_a_child_at_risk_beyond_the_day_is_told(origin: Origin, client: httpx.AsyncClient) -> None:
    async with origin.alarms.running():
        results = (await filed(client, *(body_of(**P0) for _ in range(100)))).json()["results"]
        assert results[-1]["work_reason"] == "over_day"
    assert await raised(origin) == ["day_filled", "urgent_waits"]


async def test_what_two_let_go_beyond_the_day_is_told(origin: Origin, client: httpx.AsyncClient) -> None:
    """A report above its budget waits even if the daily quota is full. Its share is counted when it is released."""
    async with origin.alarms.running():
        for _ in range(20):
            answer = await filed(client, over_budget(**P0))
            assert (await review(client, answer.json()["referral_id"], "release")).status_code == 202
    assert await raised(origin) == ["day_filled", "long_fields"]


async def test_a_body_that_is_refused_as_a_whole_counts(origin: Origin, client: httpx.AsyncClient) -> None:
    headers = asking(HOTLINE, key="again") | {"content-type": "application/json"}
    text = '{"external_ref":1,"external_ref":"iVBORw0KGgoAAAANSUhEUgAAAAE"}'
    async with origin.alarms.running():
        for path in ("", ":check") * 51:
            assert (await client.post(f"/v1/referrals{path}", content=text, headers=headers)).status_code == 422
    assert await raised(origin) == ["refused", "tripwire"]
