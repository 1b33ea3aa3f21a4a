"""The HTTP routes of the agencies' service: paths, bodies, answers, and one effect per idempotency key."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest

from shared.kernel.authority import Role
from shared.kernel.ids import uuid7
from tests.services.deliveries import AGENCY, LOCATION, OTHER_AGENCY, offered, withdrawn
from tests.services.doors import ACTOR, asking
from tests.services.law_enforcement.agency import Agencies


async def offer(agencies: Agencies) -> str:
    return str(await agencies.offer())


async def test_the_inbox_lists_offers_without_their_records(agencies: Agencies, client: httpx.AsyncClient) -> None:
    referral_id = await offer(agencies)
    answer = await client.get("/v1/inbox", params={"state": "offered", "limit": 50}, headers=asking(AGENCY))
    assert answer.status_code == 200
    [item] = [each for each in answer.json()["items"] if each["referral_id"] == referral_id]
    assert item.keys() >= {"origin", "purpose", "state", "received_at", "edge", "exercise"}
    assert LOCATION not in answer.text


async def test_one_item_of_the_inbox_has_its_opened_record(agencies: Agencies, client: httpx.AsyncClient) -> None:
    referral_id = await offer(agencies)
    answer = await client.get(f"/v1/inbox/{referral_id}", headers=asking(AGENCY, role=Role.VIEWER))
    assert answer.json()["record"]["items"][0]["locator"]["value"] == LOCATION


async def test_opening_a_record_is_told_to_audit_and_nothing_else_is(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    referral_id = await offer(agencies)
    await client.get("/v1/inbox", headers=asking(AGENCY))
    foreign = await client.get(f"/v1/inbox/{referral_id}", headers=asking(OTHER_AGENCY))
    assert (foreign.status_code, await agencies.sent(UUID(referral_id))) == (404, [])
    await client.get(f"/v1/inbox/{referral_id}", headers=asking(AGENCY, role=Role.VIEWER))
    told = {"party": AGENCY, "role": "viewer", "actor": ACTOR}
    fact = ("causeway.record_revealed.v1", "law_enforcement", "audit", True, told, None)
    assert await agencies.sent(UUID(referral_id)) == [fact]


async def test_a_case_is_accepted_reported_on_and_closed(agencies: Agencies, client: httpx.AsyncClient) -> None:
    referral_id = await offer(agencies)
    children = {"child_identified": "no", "child_safeguarded": "unknown"}
    acts = [
        ("accept", {"case_reference": "2026/000418"}, "accepted"),
        ("outcome", children | {"outcome": "ongoing_investigation"}, "ongoing"),
        ("outcome", children | {"outcome": "closed", "close_reason": "no_crime"}, "closed"),
    ]
    for number, (verb, body, state) in enumerate(acts):
        headers = asking(AGENCY, role=Role.MACHINE, key=f"{referral_id}-{number}")
        answer = await client.post(f"/v1/cases/{referral_id}:{verb}", json=body, headers=headers)
        assert (answer.status_code, answer.json()) == (202, {"referral_id": referral_id, "state": state})


async def test_a_case_is_declined_with_a_reason(agencies: Agencies, client: httpx.AsyncClient) -> None:
    referral_id = await offer(agencies)
    answer = await client.post(
        f"/v1/cases/{referral_id}:decline", json={"reason": "no_capacity"}, headers=asking(AGENCY, key=referral_id)
    )
    assert (answer.status_code, answer.json()) == (202, {"referral_id": referral_id, "state": "declined"})


async def test_a_withdrawal_is_acknowledged(agencies: Agencies, client: httpx.AsyncClient) -> None:
    referral_id = uuid7()
    await agencies.receive(offered(referral_id), withdrawn(referral_id))
    answer = await client.post(
        f"/v1/inbox/{referral_id}:acknowledge-withdrawal",
        json={"fate": "erased"},
        headers=asking(AGENCY, key=str(referral_id)),
    )
    assert answer.json() == {"referral_id": str(referral_id), "state": "withdrawal_acknowledged"}


async def test_the_same_key_gives_the_same_answer_and_one_message(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    referral_id = await agencies.offer()
    answers = [
        await client.post(f"/v1/cases/{referral_id}:accept", json={}, headers=asking(AGENCY, key=str(referral_id)))
        for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert len(await agencies.sent(referral_id)) == 1


async def test_another_key_for_an_act_that_is_done_is_told_the_state_forbids_it(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    referral_id = await offer(agencies)
    first, second = [
        await client.post(f"/v1/cases/{referral_id}:accept", json={}, headers=asking(AGENCY, key=f"{referral_id}-{n}"))
        for n in range(2)
    ]
    assert (first.status_code, second.status_code) == (202, 409)
    assert second.json()["code"] == "state_forbids"


async def test_an_act_without_a_key_is_refused(agencies: Agencies, client: httpx.AsyncClient) -> None:
    referral_id = await offer(agencies)
    answer = await client.post(f"/v1/cases/{referral_id}:accept", json={}, headers=asking(AGENCY))
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


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


async def test_absent_and_foreign_cases_are_byte_equal(agencies: Agencies, client: httpx.AsyncClient) -> None:
    foreign, absent = await offer(agencies), str(uuid7())
    shown = [await client.get(f"/v1/inbox/{each}", headers=asking(OTHER_AGENCY)) for each in (foreign, absent)]
    acted = [
        await client.post(f"/v1/cases/{each}:accept", json={}, headers=asking(OTHER_AGENCY, key=each))
        for each in (foreign, absent)
    ]
    assert {answer.status_code for answer in shown + acted} == {404}
    assert len({answer.content for answer in shown + acted}) == 1


async def test_a_viewer_may_look_and_not_act_whether_there_is_a_case_or_not(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    referral_id = await offer(agencies)
    viewer = asking(AGENCY, role=Role.VIEWER, key=referral_id)
    assert (await client.get(f"/v1/inbox/{referral_id}", headers=viewer)).status_code == 200
    for each in (referral_id, uuid7()):
        acted = await client.post(f"/v1/cases/{each}:accept", json={}, headers=viewer)
        assert (acted.status_code, acted.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("path", ["", f"/{uuid7()}"])
async def test_an_auditors_role_reads_no_cases(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/v1/inbox{path}", headers=asking(AGENCY, role=Role.AUDITOR))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_state_that_there_is_not_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/inbox", params={"state": "oferred"}, headers=asking(AGENCY))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        400,
        "parameter_invalid",
        "/query/state",
    )
    assert "oferred" not in answer.text
