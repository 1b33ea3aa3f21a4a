from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest

from client.api import CausewayClient
from client.problem import ApiProblem
from shared.catalog import CATALOG
from shared.core.acts.act import Act as Row
from shared.core.acts.act import Subject
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.vocabulary.referral import WithdrawalReason
from tests.architecture.source import ROOT
from tests.client.fake_service import BASE_URL, KEY, FakeService, referral

ID = UUID("019ab0e5-1111-7111-8111-111111111111")


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
async def client(service: FakeService) -> AsyncIterator[CausewayClient]:
    async with service.client() as http:
        yield CausewayClient(BASE_URL, KEY, http=http)


@asynccontextmanager
async def answered(handle: Callable[[httpx.Request], httpx.Response]) -> AsyncIterator[CausewayClient]:
    """Return a client whose requests this function answers."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        yield CausewayClient(BASE_URL, KEY, http=http)


async def test_every_act_is_one_post_with_its_body_and_a_key_of_its_own(
    client: CausewayClient, service: FakeService
) -> None:
    for _ in range(2):
        with pytest.raises(ApiProblem, match="not_found"):
            await client.withdraw(ID, WithdrawalReason.DUPLICATE)
    told = ("POST", f"/v1/referrals/{ID}:withdraw", {"reason": "duplicate"})
    assert [(method, at, sent) for method, at, sent, _ in service.requests] == [told] * 2
    assert len({headers["idempotency-key"] for *_, headers in service.requests}) == 2


@pytest.mark.parametrize(
    ("code", "send", "words"),
    [
        ("idempotency_key_malformed", lambda c, key: c.submit(referral(1), key=key), ("", "a b", "x" * 65, "é", "a\n")),
        (
            "purpose_malformed",
            lambda c, purpose: c.flow(ID, purpose=purpose),
            ("", "short", "x" * 65, "audit\r\nX-Evil: 1", "ärger mit dem log"),
        ),
        ("act_unknown", lambda c, act: c.act_on_notice(act, ID), ("erase",)),
    ],
)
async def test_what_the_service_would_refuse_is_not_sent(
    client: CausewayClient, service: FakeService, code: str, send: Any, words: tuple[str, ...]
) -> None:
    for word in words:
        with pytest.raises(Refused, match=code):
            await send(client, word)
    assert service.requests == []


async def test_a_contract_and_the_same_body_as_a_mapping_are_sent_alike(
    client: CausewayClient, service: FakeService
) -> None:
    contract = ReferralSubmission.model_validate(referral(1))
    await client.submit(contract, key="k")
    await client.submit(contract.model_dump(mode="json"), key="k")
    assert len(service.stored) == 1


@pytest.mark.parametrize(
    ("path", "look"),
    [
        ("/v1/referrals", lambda c: c.list(state="routed")),
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

    async with answered(handle) as client:
        pages = [page async for page in look(client)]
    assert [url.path for url in asked] == [path] * len(pages) == [path] * 2
    assert asked[0].params["limit"] == "200"
    assert len(asked[0].params) == 2
    assert asked[1].params["cursor"] == "b/+="


@pytest.mark.parametrize("results", [[{"index": 1, "status": 202}], [None, None], None, {"index": 0}, 2])
async def test_a_batch_answer_without_a_result_for_each_is_not_believed(results: Any) -> None:
    async with answered(lambda _: httpx.Response(200, json={"results": results})) as client:
        with pytest.raises(ApiProblem, match="unexpected_answer"):
            await client.submit_batch([referral(1), referral(2)])


async def test_fields_of_a_later_version_are_kept() -> None:
    later = {"referral_id": str(ID), "state": "paused", "new_field": [1]}
    async with answered(lambda _: httpx.Response(200, json=later)) as client:
        shown = await client.show(ID)
    assert shown.model_dump(mode="json")["new_field"] == [1]


@pytest.mark.parametrize(
    ("act", "row"),
    [("act_on_case", row) for row in CATALOG.personal(Subject.CASE)]
    + [("act_on_notice", row) for row in CATALOG.personal(Subject.NOTICE)],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
async def test_an_act_by_its_name_is_posted_where_its_service_has_a_route(
    client: CausewayClient, service: FakeService, act: str, row: Row
) -> None:
    with pytest.raises(ApiProblem, match="not_found"):
        await getattr(client, act)(row.name, ID)
    path = service.requests[-1][1].replace(str(ID), "{}")
    kind = "law_enforcement" if row.subject is Subject.CASE else "industry"
    document = json.loads((ROOT / f"docs/api/openapi-{kind}.json").read_text(encoding="utf-8"))
    assert path in {re.sub(r"[{][a-z_]+[}]", "{}", each) for each in document["paths"]}
