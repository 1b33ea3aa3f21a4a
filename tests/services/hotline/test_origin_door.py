"""The HTTP routes of an origin: read permissions, the cost of a check, and the answers of an overloaded intake."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from shared.catalog import CATALOG
from shared.core.authority import Role
from shared.core.codes import ERRORS
from shared.core.contracts.base import Contract
from shared.core.contracts.holds import ShownHold
from shared.core.contracts.registry import MessageType
from shared.core.errors import Unavailable
from shared.core.ids import uuid7
from shared.features.dialogues.store import ShownQuestion
from shared.features.filing.rules import AnswerDetail, Request
from shared.features.filing.store.intake import PostgresFiling
from shared.platform.admission.budgets import BudgetExceeded
from tests.services.doors import asking
from tests.services.hotline.origin import Origin, body_of
from tests.support.builders import HOTLINE
from tests.support.exchange_world import SUBMISSION, submission

LOOKING = ["/v1/referrals", "/v1/referrals/{referral_id}", "/v1/work"]


async def checked(client: httpx.AsyncClient, text: str) -> httpx.Response:
    headers = asking(HOTLINE) | {"content-type": "application/json"}
    return await client.post("/v1/referrals:check", content=text, headers=headers)


@pytest.mark.parametrize("path", LOOKING)
async def test_a_role_that_may_not_read_learns_nothing(origin: Origin, client: httpx.AsyncClient, path: str) -> None:
    for referral_id in (await origin.file(), uuid7()):
        answer = await client.get(path.format(referral_id=referral_id), headers=asking(HOTLINE, role=Role.AUDITOR))
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        seen = await client.get(path.format(referral_id=referral_id), headers=asking(HOTLINE, role=Role.VIEWER))
        assert seen.status_code in (200, 404)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
@pytest.mark.parametrize("one", [True, False])
async def test_a_role_that_may_not_file_may_not_check(client: httpx.AsyncClient, role: Role, one: bool) -> None:
    posted = body_of() if one else {"referrals": [body_of()]}
    answer = await client.post("/v1/referrals:check", json=posted, headers=asking(HOTLINE, role=role))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("before", ["", "\n  "])
async def test_a_list_has_any_spelling(client: httpx.AsyncClient, indent: int | str | None, before: str) -> None:
    posted = {"referrals": [body_of(), body_of(incident_kind="made-up")]}
    answer = await checked(client, before + json.dumps(posted, indent=indent))
    assert [each["ok"] for each in answer.json()["results"]] == [True, False]
    answer = await checked(client, before + json.dumps(body_of(), indent=indent))
    assert [each["ok"] for each in answer.json()["results"]] == [True], "a single one"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "body_not_json"),
        ("[]", "body_not_object"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "body_not_json"),
        ('{"a": 1, "referrals": []}', "batch_size"),
        ("[" * 5_000, "body_too_deep"),
    ],
)
async def test_what_is_no_body_to_check_has_its_code(client: httpx.AsyncClient, text: str, code: str) -> None:
    answer = await checked(client, text)
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] == code


async def test_a_check_tells_what_would_be_cut_and_where_a_redirector_leads(
    client: httpx.AsyncClient,
) -> None:
    address = "https://l.facebook.com/l.php?u=https%3A%2F%2Fsite.example%2Fa&h=AT0"
    item = SUBMISSION["items"][0] | {"locator": {"kind": "url", "value": address}}
    posted = body_of(items=[item, item | {"uncut": True}])
    (result,) = (await checked(client, json.dumps(posted))).json()["results"]
    assert result["cut"] == [{"n": 1, "rules": ["facebook_out"], "target": "https://site.example/a"}]
    filed = await client.post("/v1/referrals", json=posted, headers=asking(HOTLINE, key=uuid7().hex))
    assert filed.status_code == 202
    assert filed.json()["cut"] == [{"n": 1, "rules": ["facebook_out"]}]


async def test_a_changed_spelling_is_named_by_its_item_and_an_unreadable_address_by_its_rule(
    client: httpx.AsyncClient,
) -> None:
    pasted = ["https://site.example/a", "HXXPS://site[.]example/b", "www.qx7vw.example"]
    items = [SUBMISSION["items"][0] | {"locator": {"kind": "url", "value": each}} for each in pasted]
    (result,) = (await checked(client, json.dumps(body_of(items=items)))).json()["results"]
    assert (result["ok"], result["respelled"]) == (True, [2, 3])
    filed = await client.post("/v1/referrals", json=body_of(items=items), headers=asking(HOTLINE, key=uuid7().hex))
    assert (filed.status_code, filed.json()["respelled"]) == (202, [2, 3])
    assert "qx7vw" not in filed.text
    items[1] = items[1] | {"locator": {"kind": "url", "value": "qx7vw"}}
    refused = await client.post("/v1/referrals", json=body_of(items=items), headers=asking(HOTLINE, key=uuid7().hex))
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "guard_rules_no_host")
    rule = {"rule": "guard_rules_no_host", "expected": ERRORS["guard_rules_no_host"].remedy}
    assert problem["errors"] == [{"field": "/items/1/locator/value"} | rule]
    assert "qx7vw" not in refused.text


@pytest.mark.parametrize(("observed_at", "status"), [("2099-01-01T00:00:00Z", 422), ("2026-05-04T11:00:00Z", 202)])
async def test_nothing_is_observed_before_it_happens(client: httpx.AsyncClient, observed_at: str, status: int) -> None:
    posted = body_of(observed_at=observed_at)
    answer = await client.post("/v1/referrals", json=posted, headers=asking(HOTLINE, key=uuid7().hex))
    assert answer.status_code == status
    if status == 422:
        assert (answer.json()["code"], answer.json()["field"]) == ("guard_rules_instant_in_future", "/observed_at")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
@pytest.mark.parametrize("act", ["file", "withdraw"])
async def test_the_role_is_checked_before_a_stored_answer_is_given(
    origin: Origin, client: httpx.AsyncClient, role: Role, act: str
) -> None:
    key, path, posted = uuid7().hex, "/v1/referrals", body_of()
    if act == "withdraw":
        path, posted = f"/v1/referrals/{await origin.file()}:withdraw", {"reason": "filed_in_error"}
    first, refused, again = [
        await client.post(path, json=posted, headers=asking(HOTLINE, role=each, key=key))
        for each in (Role.ANALYST, role, Role.MACHINE)
    ]
    assert (first.status_code, refused.status_code) == (202, 403)
    assert refused.json()["code"] == "forbidden"
    assert first.content == again.content


def request_of(origin: Origin, submissions: int) -> Request:
    return origin.request(*(submission(external_ref=uuid7().hex[:30]) for _ in range(submissions)))


@pytest.mark.timing
async def test_back_pressure_counts_submissions_and_not_requests(origin: Origin) -> None:
    intake = origin.intake_of(waiting_max=50)
    first = [asyncio.create_task(intake.submit(request_of(origin, 5))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BudgetExceeded):
        await intake.submit(request_of(origin, 1))
    async with intake.running():
        assert {answer.status for answer in await asyncio.gather(*first)} == {200}
        assert (await intake.submit(request_of(origin, 10))).status == 200


@pytest.mark.timing
async def test_an_intake_that_is_late_files_nothing_later(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = origin.intake_of(answer_s_max=0.01)
    with pytest.raises(Unavailable, match="intake_late"):
        await intake.submit(request_of(origin, 1))
    monkeypatch.setattr(intake, "answer_s_max", 60)
    async with intake.running():
        timely = await intake.submit(request_of(origin, 1))
    filed = [row.subject for row in await origin.waiting() if row.recipient == "audit"]
    assert filed == [json.loads(timely.body)["referral_id"]]


@pytest.mark.timing
async def test_a_repeat_after_a_late_answer_is_filed_once(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    intake, file = origin.intake_of(answer_s_max=1.0), PostgresFiling.file
    answered, committing = asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any, **named: Any) -> Any:
        await answered.wait()
        committing.set()
        return await file(*arguments, **named)

    late = request_of(origin, 1)
    monkeypatch.setattr(PostgresFiling, "file", slow)
    async with intake.running():
        with pytest.raises(Unavailable, match="intake_late"):
            await intake.submit(late)
        answered.set()
        async with asyncio.timeout(60):
            await committing.wait()
        monkeypatch.undo()
        again = origin.intake_of()
        async with again.running():
            assert (await again.submit(late)).status == 202


# -- An origin's views of its referrals and the entry points of its submissions, at the service's own routes.


#: The subject of an answer, which the origin stores with the answer. Hold fields are shown with the referral's holds.
NAMED = {"referral_id", "notice_id"}


def unshown(answer: type[Contract]) -> set[str]:
    shown = [*AnswerDetail.model_fields, *ShownHold.model_fields, *ShownQuestion.model_fields]
    return answer.model_fields.keys() - NAMED - {*shown}


class UnknownAnswer(Contract):
    """An answer with a field that no detail has."""

    referral_id: str
    mood: str


@pytest.mark.parametrize(
    "answer", [each for each in CATALOG.messages if each.is_told_to_origin], ids=lambda each: each.name
)
def test_every_answer_that_an_origin_understands_can_be_shown(answer: MessageType) -> None:
    assert unshown(answer.clear) == set()


def test_an_answer_that_could_not_be_shown_is_found() -> None:
    assert unshown(UnknownAnswer) == {"mood"}
