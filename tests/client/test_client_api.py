from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from client.api import CausewayClient
from client.problem import ApiProblem
from shared.contracts.answers import Declination, DisowningStatement, NoticeDisowning
from shared.contracts.referral import ReferralSubmission
from shared.exchange.act import Act as Row
from shared.exchange.act import Subject
from shared.exchange.states import personal
from shared.kernel.errors import Refused
from shared.vocabulary.answers import CaseDeclineReason
from shared.vocabulary.referral import WithdrawalReason
from tests.architecture.source import ROOT
from tests.client.fake_service import BASE_URL, KEY, FakeService, referral

ID = UUID("019ab0e5-1111-7111-8111-111111111111")
Act = Callable[[CausewayClient], Awaitable[Any]]

ACTS: list[tuple[str, dict[str, Any], Act]] = [
    (f"/v1/referrals/{ID}:withdraw", {"reason": "duplicate"}, lambda c: c.withdraw(ID, WithdrawalReason.DUPLICATE)),
    (f"/v1/referrals/{ID}:release", {}, lambda c: c.act_on_referral("release", ID)),
    (f"/v1/notices/{ID}:acknowledge", {}, lambda c: c.act_on_notice("acknowledge", ID)),
    (
        f"/v1/notices/{ID}:not-ours",
        {"disowned": [{}]},
        lambda c: c.act_on_notice("not_ours", ID, NoticeDisowning(disowned=(DisowningStatement(),))),
    ),
    (
        f"/v1/cases/{ID}:decline",
        {"reason": "no_crime"},
        lambda c: c.act_on_case("decline", ID, Declination(reason=CaseDeclineReason.NO_CRIME)),
    ),
]


@pytest.mark.parametrize(("path", "body", "act"), ACTS)
async def test_every_act_is_one_post_with_its_body_and_a_key_of_its_own(path: str, body: Any, act: Act) -> None:
    service = FakeService()
    async with service.client() as http:
        client = CausewayClient(BASE_URL, KEY, http=http)
        for _ in range(2):
            with pytest.raises(ApiProblem, match="not_found"):
                await act(client)
    assert [(method, at, sent) for method, at, sent, _ in service.requests] == [("POST", path, body)] * 2
    keys = [headers["idempotency-key"] for *_, headers in service.requests]
    assert len(set(keys)) == 2


async def test_a_given_key_is_the_one_that_is_sent() -> None:
    service = FakeService()
    async with service.client() as http:
        await CausewayClient(BASE_URL, KEY, http=http).submit(referral(1), key="mine-1")
    assert service.requests[0][3]["idempotency-key"] == "mine-1"


@pytest.mark.parametrize("key", ["", "a b", "x" * 65, "é", "a\n"])
async def test_a_key_the_service_would_refuse_is_not_sent(key: str) -> None:
    service = FakeService()
    async with service.client() as http:
        with pytest.raises(Refused, match="idempotency_key_malformed"):
            await CausewayClient(BASE_URL, KEY, http=http).submit(referral(1), key=key)
    assert service.requests == []


async def test_a_contract_and_the_same_body_as_a_mapping_are_sent_alike() -> None:
    service = FakeService()
    contract = ReferralSubmission.model_validate(referral(1))
    async with service.client() as http:
        client = CausewayClient(BASE_URL, KEY, http=http)
        await client.submit(contract, key="k")
        await client.submit(contract.model_dump(mode="json"), key="k")
    assert len(service.stored) == 1


async def test_a_list_walks_every_page_without_gaps_or_repeats() -> None:
    service = FakeService(page_size=3)
    async with service.client() as http:
        client = CausewayClient(BASE_URL, KEY, http=http)
        await client.submit_batch([referral(number) for number in range(10)])
        pages = [page async for page in client.list(state="routed")]
    assert [item.external_ref for page in pages for item in page.items] == [f"CASE-{n}" for n in range(10)]
    assert len(pages) == 4


@pytest.mark.parametrize(
    ("path", "look"),
    [
        ("/v1/work", lambda c: c.work(reason="no_route")),
        ("/v1/inbox", lambda c: c.inbox(state="offered")),
        ("/v1/notices", lambda c: c.notices(state="issued")),
    ],
)
async def test_every_list_is_asked_with_its_filter_and_goes_on_at_the_given_cursor(path: str, look: Any) -> None:
    asked: list[httpx.URL] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json={"items": [], "next": "b/+=" if len(asked) == 1 else None})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        pages = [page async for page in look(CausewayClient(BASE_URL, KEY, http=http))]
    assert [url.path for url in asked] == [path] * len(pages) == [path] * 2
    assert asked[0].params["limit"] == "200"
    assert len(asked[0].params) == 2
    assert asked[1].params["cursor"] == "b/+="


@pytest.mark.parametrize("results", [[{"index": 1, "status": 202}], [None, None], None, {"index": 0}, 2])
async def test_a_batch_answer_without_a_result_for_each_is_not_believed(results: Any) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"results": results})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        with pytest.raises(ApiProblem, match="unexpected_answer"):
            await CausewayClient(BASE_URL, KEY, http=http).submit_batch([referral(1), referral(2)])


async def test_fields_of_a_later_version_are_kept() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"referral_id": str(ID), "state": "paused", "new_field": [1]})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        shown = await CausewayClient(BASE_URL, KEY, http=http).show(ID)
    assert shown.model_dump(mode="json")["new_field"] == [1]


async def test_a_flow_is_asked_for_with_its_purpose() -> None:
    service = FakeService()
    async with service.client() as http:
        with pytest.raises(ApiProblem, match="not_found"):
            await CausewayClient(BASE_URL, KEY, http=http).flow(ID, purpose="yearly audit 2026")
    method, path, _, headers = service.requests[0]
    assert (method, path, headers["purpose"]) == ("GET", f"/v1/flows/{ID}", "yearly audit 2026")


@pytest.mark.parametrize("purpose", ["", "short", "x" * 65, "audit\r\nX-Evil: 1", "ärger mit dem log"])
async def test_a_purpose_that_cannot_be_a_header_is_not_sent(purpose: str) -> None:
    service = FakeService()
    async with service.client() as http:
        with pytest.raises(Refused, match="purpose_malformed"):
            await CausewayClient(BASE_URL, KEY, http=http).flow(ID, purpose=purpose)
    assert service.requests == []


@pytest.mark.parametrize(
    ("act", "row"),
    [("act_on_case", row) for row in personal(Subject.CASE)]
    + [("act_on_notice", row) for row in personal(Subject.NOTICE)],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
async def test_an_act_by_its_name_is_posted_where_its_service_has_a_route(act: str, row: Row) -> None:
    service = FakeService()
    async with service.client() as http:
        with pytest.raises(ApiProblem, match="not_found"):
            await getattr(CausewayClient(BASE_URL, KEY, http=http), act)(row.name, ID)
    path = service.requests[-1][1].replace(str(ID), "{}")
    kind = "law_enforcement" if row.subject is Subject.CASE else "industry"
    document = json.loads((ROOT / f"docs/api/openapi-{kind}.json").read_text(encoding="utf-8"))
    assert path in {re.sub(r"[{][a-z_]+[}]", "{}", each) for each in document["paths"]}


async def test_an_act_that_no_row_has_is_refused_before_anything_is_sent() -> None:
    service = FakeService()
    async with service.client() as http:
        with pytest.raises(Refused, match="act_unknown"):
            await CausewayClient(BASE_URL, KEY, http=http).act_on_notice("erase", ID)
    assert service.requests == []
