"""The HTTP routes of the agencies' service: paths, bodies, answers, many cases at once, and the timeline of a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from deploy.serve import build_instance
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.authority import Role
from shared.core.contracts.answers import CaseAcceptance
from shared.core.ids import uuid7
from shared.features.cases.store.cases import case_words
from shared.features.events.api import timelines_router
from tests.contracts.described import Described
from tests.services.deliveries import AGENCY, LOCATION, OTHER_AGENCY, offered
from tests.services.doors import ACTOR, asking, door, serving
from tests.services.installed import installation, paths_of, published_paths
from tests.services.law_enforcement.agency import KEK, Agencies
from tests.services.law_enforcement.test_cases import REFERENCE
from tests.services.law_enforcement.test_outcomes import ARREST, CLOSED


async def offer(agencies: Agencies) -> str:
    return str(await agencies.offer())


async def test_the_inbox_shows_no_record_and_audit_is_told_who_has_opened_one(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    referral_id = await offer(agencies)
    listed = await client.get("/v1/inbox", params={"state": "offered", "limit": 50}, headers=asking(AGENCY))
    [item] = [each for each in listed.json()["items"] if each["referral_id"] == referral_id]
    assert item.keys() >= {"origin", "purpose", "state", "received_at", "edge", "exercise"}
    assert LOCATION not in listed.text
    foreign = await client.get(f"/v1/inbox/{referral_id}", headers=asking(OTHER_AGENCY))
    assert (foreign.status_code, await agencies.sent(UUID(referral_id))) == (404, [])
    shown = await client.get(f"/v1/inbox/{referral_id}", headers=asking(AGENCY, role=Role.VIEWER))
    assert shown.json()["record"]["items"][0]["locator"]["value"] == LOCATION
    told = {"party": AGENCY, "role": "viewer", "actor": ACTOR}
    fact = ("causeway.record_revealed.v1", "law_enforcement", "audit", True, told, None)
    assert await agencies.sent(UUID(referral_id)) == [fact]


@pytest.mark.parametrize(
    ("verb", "body", "code", "field"),
    [
        ("accept", {"case_reference": "secret words"}, "fields_invalid", "/case_reference"),
        ("accept", {"secret": "words"}, "fields_invalid", ""),
        ("decline", {"reason": "secret_words"}, "fields_invalid", "/reason"),
        (
            "outcome",
            {"outcome": "arrest", "child_identified": "yes", "child_safeguarded": "yes", "close_reason": "other"},
            "close_reason_needs_closed",
            "/close_reason",
        ),
    ],
)
async def test_a_body_that_breaks_a_rule_is_refused_by_field_and_never_echoed(
    agencies: Agencies, client: httpx.AsyncClient, verb: str, body: dict[str, str], code: str, field: str
) -> None:
    referral_id = await offer(agencies)
    answer = await client.post(f"/v1/cases/{referral_id}:{verb}", json=body, headers=asking(AGENCY, key=referral_id))
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == (code, field)
    assert "secret" not in answer.text


# -- Many cases in one request: accepted and declined together. Acts without a message to the origin go one by one.


async def post(client: httpx.AsyncClient, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    headers = asking(AGENCY, key=str(uuid7()))
    answer = await client.post("/v1/cases:batch", json={"answers": list(lines)}, headers=headers)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def offers(agencies: Agencies, count: int) -> list[str]:
    return [str(await agencies.offer()) for _ in range(count)]


async def test_cases_are_taken_up_and_declined_in_one_request(agencies: Agencies, client: httpx.AsyncClient) -> None:
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


async def test_a_lease_is_its_own_and_taken_or_refused_whole(agencies: Agencies, client: httpx.AsyncClient) -> None:
    """The origin gets no message about a lease. In a batch it could be stored and yet reported as refused."""
    ids = await offers(agencies, 2)
    results = await post(client, *({"referral_id": each, "act": "claim"} for each in ids))
    assert [(each["status"], each.get("state")) for each in results] == [(202, "offered")] * 2
    assert all([(await agencies.show(UUID(each)))["claimed_by"] for each in ids])


# -- The agencies' service, assembled.


PARTS = {"api", "documents", "timers", "relay", "courier", "consumer", "withdrawals", "lapses"}


async def test_it_serves_what_is_published(agencies: Agencies, endpoint: DatabaseEndpoint, tmp_path: Path) -> None:
    app = await build_instance("law_enforcement", "law_enforcement", **installation(tmp_path, endpoint.service_url))
    assert app.parts.keys() == PARTS
    assert paths_of(app.http.openapi()) == published_paths("law_enforcement")
    await app.machinery.close()


# -- `GET /v1/inbox/ID/timeline`: the acts on one case with their content, only for its own party.


DESCRIBED = Described("law_enforcement")
KNOWN = {"child_identified": "yes", "child_safeguarded": "yes"}
UNKNOWN = {"child_identified": "unknown", "child_safeguarded": "unknown"}


async def got(
    agencies: Agencies, subject: UUID, *, party: str = AGENCY, role: Role = Role.VIEWER, status: int = 200, **query: int
) -> Any:
    held = serving(agencies.database, "law_enforcement", kek=KEK, directory=agencies.directory)
    async with door(timelines_router(held, {"inbox": case_words})) as http:
        answer = await http.get(f"/v1/inbox/{subject}/timeline", params=query, headers=asking(party, role=role))
    assert (answer.status_code, DESCRIBED.differences(answer)) == (status, [])
    return answer.json()


async def closed_case(agencies: Agencies) -> UUID:
    """Receive a case and close it: a child was identified, and the outcome stays unknown."""
    subject = await agencies.offer()
    await agencies.act("accept", CaseAcceptance(case_reference=REFERENCE), subject)
    await agencies.act("outcome", ARREST, subject)
    await agencies.act("outcome", CLOSED, subject)
    return subject


async def test_each_act_stands_in_it_as_it_was_said_and_in_its_order(agencies: Agencies) -> None:
    subject = await closed_case(agencies)
    found = await got(agencies, subject)
    assert [(each["type"], each["state"], each.get("said")) for each in found["items"]] == [
        ("case.offer", "offered", None),
        ("case.accept", "accepted", {}),
        ("case.outcome", "ongoing", {"outcome": "arrest"} | KNOWN),
        ("case.outcome", "closed", {"outcome": "closed", "close_reason": "other"} | UNKNOWN),
    ]
    assert (found["subject"], found["next"]) == (str(subject), None)
    assert REFERENCE not in str(found)


async def test_it_is_read_page_by_page(agencies: Agencies) -> None:
    subject = await closed_case(agencies)
    whole, after, found = (await got(agencies, subject))["items"], 0, []
    while after is not None:
        page = await got(agencies, subject, after=after, limit=1)
        found, after = found + page["items"], page["next"]
    assert [each["number"] for each in found] == [each["number"] for each in whole]


async def test_another_agency_an_absent_subject_and_a_role_that_applies_are_refused(
    agencies: Agencies,
) -> None:
    subject = await closed_case(agencies)
    await got(agencies, subject, party=OTHER_AGENCY, status=404)
    await got(agencies, uuid7(), status=404)
    await got(agencies, subject, role=Role.SERVICE, status=403)
    await agencies.receive(offered(subject, to=OTHER_AGENCY))
    (only,) = (await got(agencies, subject, party=OTHER_AGENCY))["items"]
    assert only["type"] == "case.offer"
