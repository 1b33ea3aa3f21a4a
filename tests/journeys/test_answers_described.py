"""Every route of every service answers as its committed OpenAPI document says, on a running exchange."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.core.clock import SystemClock
from shared.core.ids import uuid7
from tests.acceptance.programs import foreign
from tests.contracts.described import Described
from tests.journeys import answered
from tests.support.running import AGENCY, HOTLINE, PROVIDER, Exchange, provider_filing, referral
from tests.support.stack import INSTANCES

#: The incident kind of all referrals in this exchange.
KIND = referral()["incident_kind"]
#: The ten counted cells in a row of the template.
COUNTED = slice(5, 15)
#: Answers that this module never sees. No provider issues a notice here, so none has one to recheck. No answer names
#: another host, and no notice can be held. `tests/journeys/test_holds.py` and `test_changes.py` cover these.
HELD = {("post", f"/v1/referrals/{{referral_id}}:{act}-override", "202") for act in ("propose", "confirm")}
OF_NOTICES = ("check", "reroute", "transfer", "reply", "uphold")
UNSEEN = {
    "hotline": {("post", "/v1/referrals/{referral_id}:reroute", "202"), *HELD},
    "industry": {*(("post", f"/v1/referrals/{{referral_id}}:{act}", "202") for act in OF_NOTICES), *HELD},
    "law_enforcement": {("post", f"/v1/cases/{{referral_id}}:{act}-hold", "202") for act in ("extend", "release")},
}


@pytest.fixture(scope="module")
async def asked(exchange: Exchange) -> answered.Asked:
    """Call every route for each kind of answer."""
    asked = answered.Asked(exchange)
    await answered.origin_answers(asked, HOTLINE, referral)
    await answered.origin_answers(asked, PROVIDER, provider_filing)
    await answered.second_persons_answer(asked, HOTLINE, referral)
    await answered.second_persons_answer(asked, PROVIDER, provider_filing)
    await answered.recipients_answer(asked)
    await answered.preservations_answer(asked)
    await answered.holds_answer(asked)
    await answered.transfers_answer(asked)
    await answered.questions_answer(asked)
    for party in (HOTLINE, AGENCY, PROVIDER):
        await answered.webhooks_answer(asked, party)
        await asked.get(party, "/v1/whoami")
    await asked.get(PROVIDER, "/v1/statistics/dsa-notices?since=2026-01-01&until=2026-06-30")
    await answered.audit_answers(asked)
    await answered.refusals(asked)
    return asked


def test_every_answer_is_as_described(asked: answered.Asked) -> None:
    assert asked.differing == []


@pytest.mark.parametrize("instance", INSTANCES)
def test_every_route_has_answered(asked: answered.Asked, instance: str) -> None:
    described = asked.documents[instance]
    assert described.successes() - described.seen - UNSEEN.get(instance, set()) == set()


async def shown_notices(asked: answered.Asked) -> list[dict[str, Any]]:
    """Return all notices of the provider, opened, each with its timeline."""
    found, cursor = [], ""
    while cursor is not None:
        page = await asked.get(PROVIDER, f"/v1/notices?limit=100{cursor and f'&cursor={cursor}'}")
        for each in page["items"]:
            path = f"/v1/notices/{each['notice_id']}"
            timeline = (await asked.get(PROVIDER, f"{path}/timeline"))["items"]
            found.append(await asked.get(PROVIDER, path) | {"timeline": timeline})
        cursor = page["next"]
    return found


async def reported_twice(asked: answered.Asked) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the service's report of this year's exercises, and the independent count; by category."""
    await asked.exchange.until_taken()
    today = SystemClock().now().date()
    period = {"since": (today - timedelta(days=300)).isoformat(), "until": today.isoformat()}
    query = "&".join(f"{name}={value}" for name, value in period.items())
    text = await asked.get(PROVIDER, f"/v1/statistics/dsa-notices?{query}&exercises=true")
    ran = foreign(
        "recount_notices.py", {"notices": await shown_notices(asked), "exercises": True, "erased": KIND} | period
    )
    assert ran.returncode == 0, ran.stderr
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    return {row[3]: row[COUNTED] for row in rows}, json.loads(ran.stdout)


async def test_a_provider_reports_what_a_program_that_stands_alone_counts(asked: answered.Asked) -> None:
    reported, recounted = await reported_twice(asked)
    assert reported == recounted
    notices, _, items, _, _, _, actions = reported["STATEMENT_CATEGORY_PROTECTION_OF_MINORS"][:7]
    assert 0 < int(actions) <= int(items) >= int(notices)


async def test_an_answer_that_is_not_as_described_is_found(asked: answered.Asked) -> None:
    """Negative control: a real answer with one change."""
    described = Described("hotline")
    body = referral()
    async with asked.exchange.http(HOTLINE) as http:
        answer = await http.post("/v1/referrals", json=body, headers={"Idempotency-Key": str(uuid7())})
    assert described.differences(answer) == []

    def changed(**changes: Any) -> list[str]:
        wanted = {"status_code": 202, "json": answer.json(), "headers": dict(answer.headers)} | changes
        wanted["headers"] = {name: each for name, each in wanted["headers"].items() if name != "content-length"}
        return described.differences(httpx.Response(request=answer.request, **wanted))

    without = {name: value for name, value in answer.json().items() if name != "decision"}
    unnamed = {name: value for name, value in answer.headers.items() if name != "location"}
    assert changed() == []
    assert changed(json=without) == ["/ required"]
    assert changed(json=answer.json() | {"more": 1}) == ["/ additionalProperties"]
    assert changed(json=answer.json() | {"state": "sent"}) == ["/state anyOf"]
    assert changed(headers=unnamed) == ["Location"]
    assert changed(headers={**answer.headers, "content-type": "text/plain"}) == ["content-type"]
    assert changed(status_code=201) == ["status"]
