"""The HTTP routes of an origin: read permissions, the cost of a check, and the answers of an overloaded intake."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.contracts.holds import ShownHold
from shared.core.contracts.registry import MessageType
from shared.core.errors import Unavailable
from shared.core.ids import uuid7
from shared.core.protocol.origin import ANSWERS, ReferralState
from shared.core.vocabulary.answers import AnswerState, ReceiptOutcome
from shared.features.dialogues.store import ShownQuestion
from shared.features.filing.rules import AnswerDetail, Delivery, Request, SentEdge, Submission, Tick, ticks
from shared.features.filing.store.intake import PostgresFiling
from tests.services.doors import ACTOR, asking
from tests.services.hotline.origin import Origin
from tests.support.builders import HOTLINE
from tests.support.exchange_world import SUBMISSION, submission

LOOKING = ["/v1/referrals", "/v1/referrals/{referral_id}", "/v1/work"]


def body(**changes: Any) -> dict[str, Any]:
    return SUBMISSION | {"external_ref": f"door-{uuid7().hex[:24]}"} | changes


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
    posted = body() if one else {"referrals": [body()]}
    answer = await client.post("/v1/referrals:check", json=posted, headers=asking(HOTLINE, role=role))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("indent", [None, 2, "\t"])
@pytest.mark.parametrize("before", ["", "\n  "])
async def test_a_list_has_any_spelling(client: httpx.AsyncClient, indent: int | str | None, before: str) -> None:
    posted = {"referrals": [body(), body(incident_kind="made-up")]}
    answer = await checked(client, before + json.dumps(posted, indent=indent))
    assert [each["ok"] for each in answer.json()["results"]] == [True, False]


async def test_a_single_referral_to_check_is_one_however_it_is_written(client: httpx.AsyncClient) -> None:
    answer = await checked(client, json.dumps(body(), indent=4))
    assert [each["ok"] for each in answer.json()["results"]] == [True]


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
    posted = body(items=[item, item | {"uncut": True}])
    (result,) = (await checked(client, json.dumps(posted))).json()["results"]
    assert result["cut"] == [{"n": 1, "rules": ["facebook_out"], "target": "https://site.example/a"}]
    filed = await client.post("/v1/referrals", json=posted, headers=asking(HOTLINE, key=uuid7().hex))
    assert filed.status_code == 202
    assert filed.json()["cut"] == [{"n": 1, "rules": ["facebook_out"]}]


@pytest.mark.parametrize(("observed_at", "status"), [("2099-01-01T00:00:00Z", 422), ("2026-05-04T11:00:00Z", 202)])
async def test_nothing_is_observed_before_it_happens(client: httpx.AsyncClient, observed_at: str, status: int) -> None:
    posted = body(observed_at=observed_at)
    answer = await client.post("/v1/referrals", json=posted, headers=asking(HOTLINE, key=uuid7().hex))
    assert answer.status_code == status
    if status == 422:
        assert (answer.json()["code"], answer.json()["field"]) == ("guard_rules_instant_in_future", "/observed_at")


def request_of(origin: Origin, submissions: int, party_id: str = HOTLINE, **changes: Any) -> Request:
    party = origin.intake.origin(party_id)
    contents = [submission(external_ref=uuid7().hex[:30], **changes) for _ in range(submissions)]
    filed = [Submission(party, Role.MACHINE, content, body_sha256="0" * 64, actor=ACTOR) for content in contents]
    return Request(filed, uuid7().bytes * 2, bytes(32), single=submissions == 1)


@pytest.mark.timing
async def test_back_pressure_counts_submissions_and_not_requests(origin: Origin) -> None:
    intake = origin.intake_of(waiting_max=50)
    first = [asyncio.create_task(intake.submit(request_of(origin, 5))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="intake_full"):
        await intake.submit(request_of(origin, 1))
    async with intake.running():
        assert {answer.status for answer in await asyncio.gather(*first)} == {200}
        assert (await intake.submit(request_of(origin, 10))).status == 200


@pytest.mark.timing
async def test_an_intake_that_is_late_files_nothing_later(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = origin.intake_of(answer_s_max=0.01)
    with pytest.raises(Unavailable, match="intake_late"):
        await intake.submit(request_of(origin, 1))
    monkeypatch.setattr(intake, "_answer_s_max", 60)
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


@pytest.mark.parametrize("answer", sorted(ANSWERS, key=lambda each: each.name), ids=lambda each: each.name)
def test_every_answer_that_an_origin_understands_can_be_shown(answer: MessageType) -> None:
    assert unshown(answer.clear) == set()


def test_an_answer_that_could_not_be_shown_is_found() -> None:
    assert unshown(UnknownAnswer) == {"mood"}


def edge(delivery: Delivery, answer: AnswerState, withdrawal: Delivery | None = None) -> SentEdge:
    return SentEdge.model_validate(
        {
            "recipient": "police-nl.example",
            "purpose": "investigation",
            "reason": "hosting_jurisdiction",
            "rules": ["nl-rule"],
            "delivery": delivery,
            "code": None,
            "withdrawal": withdrawal,
            "answer": answer,
            "answer_detail": None,
            "notice_id": None,
        }
    )


def test_ticks_count_receipts_and_answers() -> None:
    edges = [
        edge("queued", AnswerState.NONE),
        edge(ReceiptOutcome.APPLIED, AnswerState.NONE),
        edge(ReceiptOutcome.APPLIED, AnswerState.ACCEPTED),
        edge(ReceiptOutcome.REFUSED, AnswerState.NONE),
    ]
    counted = ticks(ReferralState.ROUTED, edges)
    assert (counted.delivered, counted.acknowledged) == (Tick(done=2, of=4), Tick(done=1, of=4))


def test_the_ticks_of_a_withdrawn_referral_are_those_of_its_withdrawal() -> None:
    edges = [
        edge(ReceiptOutcome.APPLIED, AnswerState.ACCEPTED, "sent"),
        edge(ReceiptOutcome.APPLIED, AnswerState.WITHDRAWAL_ACKNOWLEDGED, ReceiptOutcome.APPLIED),
        edge(ReceiptOutcome.APPLIED, AnswerState.ACCEPTED),
    ]
    counted = ticks(ReferralState.WITHDRAWN, edges)
    assert (counted.delivered, counted.acknowledged) == (Tick(done=1, of=3), Tick(done=1, of=3))
