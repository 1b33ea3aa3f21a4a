"""Many notices answered in one request: a result per line, all in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from shared.core.authority import Role
from shared.core.ids import uuid7
from shared.features.notices.api import notices_router
from tests.services.deliveries import OTHER_PROVIDER, PROVIDER
from tests.services.doors import asking, door, serving
from tests.services.industry.provider import KEK, Providers
from tests.services.industry.test_preservation_before_removal import asked
from tests.services.outgoing import clear_parts
from tests.support.costly_bodies import nested_values

REMOVED = {"action": "removed", "effective_at": "2026-05-04T11:59:00Z"}
WORK: list[int] = []


@pytest.fixture
async def client(providers: Providers) -> AsyncIterator[httpx.AsyncClient]:
    WORK.clear()
    owe = lambda _party, work: WORK.append(work)  # noqa: E731 - what is owed is looked at, no more
    router = notices_router(serving(providers.database, "industry", kek=KEK, directory=providers.directory, owe=owe))
    async with door(router) as opened:
        yield opened


async def issue(providers: Providers, items: int = 1, *, to: str = PROVIDER) -> str:
    notice_id = await providers.issue(items=items, to=to)
    return str(notice_id)


async def post(
    client: httpx.AsyncClient, *lines: dict[str, Any], role: Role = Role.MACHINE, key: str = ""
) -> list[dict[str, Any]]:
    headers = asking(PROVIDER, role=role, key=key or str(uuid7()))
    answer = await client.post("/v1/notices:batch", json={"answers": list(lines)}, headers=headers)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    assert [each["index"] for each in results] == list(range(len(lines)))
    return results


def said(notice_id: str, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"notice_id": notice_id, "act": "answer", "items": list(items) or [REMOVED]} | more


async def test_three_items_are_answered_in_one_line(providers: Providers, client: httpx.AsyncClient) -> None:
    notice_id = await issue(providers, 3)
    items = [{"n": 1, **REMOVED}, {"n": 2, "rejection": "not_found"}, {"n": 3, "action": "preserved"}]
    items[2]["effective_at"] = REMOVED["effective_at"]
    [result] = await post(client, said(notice_id, *items))
    assert result == {"index": 0, "status": 202, "notice_id": notice_id, "state": "actioned"}
    [(kind, *_, clear)] = await providers.sent(UUID(notice_id))
    assert kind == "causeway.notice_answered.v1"
    assert [each.get("action") or each["rejection"] for each in clear["items"]] == ["removed", "not_found", "preserved"]


async def test_a_refused_line_stops_no_other_and_leaves_none(providers: Providers, client: httpx.AsyncClient) -> None:
    good, bad, again = [await issue(providers, 2) for _ in range(3)]
    foreign = await issue(providers, to=OTHER_PROVIDER)
    lines = [
        said(good),
        said(bad, {"n": 1, **REMOVED}, {"n": 1, "rejection": "not_found"}),
        said(foreign),
        said(again, {"n": 1, **REMOVED}),
        said(again, {"n": 1, **REMOVED}),
        {"notice_id": again, "act": "juggle"},
        {"notice_id": again, "act": "acknowledge"},
        said(again, {"n": 3, **REMOVED}),
        said(str(uuid7()), {"action": "removed", "effective_at": "yesterday"}),
    ]
    results = await post(client, *lines)
    assert [each["status"] for each in results] == [202, 422, 404, 202, 422, 422, 409, 422, 422]
    problems = [each.get("problem", {}) for each in results]
    assert [(each.get("code"), each.get("field")) for each in problems] == [
        (None, None),
        ("item_answer_contradicts", "/items/1"),
        ("not_found", None),
        (None, None),
        ("item_action_repeated", "/items/0"),
        ("act_unknown", "/act"),
        ("state_forbids", None),
        ("item_unknown", "/items/0/n"),
        ("fields_invalid", "/items/0/effective_at"),
    ]
    assert all(each["remedy"] for each in problems if each)
    assert (await providers.show(UUID(bad)))["state"] == "issued"
    assert await providers.sent(UUID(bad)) == []
    assert len(await providers.sent(UUID(again))) == 1


async def test_a_key_of_a_line_is_done_once_in_any_batch(providers: Providers, client: httpx.AsyncClient) -> None:
    first, second = await issue(providers), await issue(providers)
    early = said(second, {"n": 2, **REMOVED}, key="row-2" + second)
    keyed = said(first, key="row-1" + first)
    assert [each["status"] for each in await post(client, keyed, early, keyed)] == [202, 422, 202]
    # A refused line stores nothing, so its key is free for other content.
    later = said(second, key="row-2" + second)
    again = await post(client, later, keyed)
    assert [(each["status"], each["state"]) for each in again] == [(202, "actioned")] * 2
    (other,) = await post(client, said(first, {"n": 1, "rejection": "not_found"}, key="row-1" + first))
    assert (other["status"], other["problem"]["code"]) == (422, "idempotency_key_reused")
    for notice_id in (first, second):
        assert len(await providers.sent(UUID(notice_id))) == 1


async def test_the_same_request_is_answered_and_done_once(providers: Providers, client: httpx.AsyncClient) -> None:
    notice_id, key = await issue(providers), str(uuid7())
    before = await post(client, said(notice_id), said(notice_id), key=key)
    assert [each["status"] for each in before] == [202, 409]
    assert await post(client, said(notice_id), said(notice_id), key=key) == before
    headers = asking(PROVIDER, key=key)
    other = await client.post("/v1/notices:batch", json={"answers": [said(notice_id)]}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(await providers.sent(UUID(notice_id))) == 1


async def test_acts_follow_one_another_and_each_is_told(providers: Providers, client: httpx.AsyncClient) -> None:
    notice_id = await issue(providers, 2)
    lines = [
        {"notice_id": notice_id, "act": "acknowledge"},
        {"notice_id": notice_id, "act": "not_ours", "disowned": [{"n": 2}]},
        said(notice_id),
        {"notice_id": notice_id, "act": "reinstate", "reinstated": [{"reason": "acted_in_error"}]},
    ]
    results = await post(client, *lines)
    assert [each["state"] for each in results] == ["acknowledged", "in_part", "actioned", "reappeared"]
    told = await providers.sent(UUID(notice_id))
    assert [clear["number"] for *_, clear in told] == [1, 2, 3, 4]


async def test_a_viewer_may_not_absent_and_foreign_are_alike(providers: Providers, client: httpx.AsyncClient) -> None:
    foreign = await issue(providers, to=OTHER_PROVIDER)
    headers = asking(PROVIDER, role=Role.VIEWER, key=str(uuid7()))
    refused = await client.post("/v1/notices:batch", json={"answers": [said(foreign)]}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    theirs, absent = await post(client, said(foreign), said(str(uuid7())))
    assert theirs | {"index": 0} == absent | {"index": 0}
    assert theirs["status"] == 404
    assert (await providers.show(UUID(foreign), party=OTHER_PROVIDER))["state"] == "issued"


async def test_each_line_and_each_statement_is_work(providers: Providers, client: httpx.AsyncClient) -> None:
    notice_id = await issue(providers, 3)
    three = said(notice_id, *({"n": n, **REMOVED} for n in (1, 2, 3)))
    await post(client, three, {"notice_id": notice_id, "act": "juggle"}, {"notice_id": notice_id, "act": "acknowledge"})
    assert WORK == [3 + 3]


async def test_a_heavy_list_of_little_values_is_refused_and_owed(client: httpx.AsyncClient) -> None:
    body = nested_values().replace(b"referrals", b"answers")
    headers = asking(PROVIDER, key=str(uuid7())) | {"content-type": "application/json"}
    answer = await client.post("/v1/notices:batch", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_size")
    assert [len(body) // 1024 + 1] == WORK


@pytest.mark.parametrize("answers", [[], [{}] * 101, "all", [["answer"]]])
async def test_a_list_of_another_size_or_kind_is_refused(client: httpx.AsyncClient, answers: Any) -> None:
    headers = asking(PROVIDER, key=str(uuid7()))
    answer = await client.post("/v1/notices:batch", json={"answers": answers}, headers=headers)
    if answer.status_code == 200:
        (result,) = answer.json()["results"]
        assert (result["status"], result["problem"]["code"]) == (422, "body_not_object")
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, "batch_size")


async def test_what_agencies_want_kept_is_answered_in_its_line(providers: Providers, client: httpx.AsyncClient) -> None:
    """One line carries both answers. It is refused after the preservation answer was stored, which is rolled back."""
    notice_id, other, preservation_id = await issue(providers), await issue(providers), uuid7()
    assert await providers.receive(asked(preservation_id)) == [None]
    beside = [{"preservation_id": str(preservation_id), "answer": "preserved", "until": "2026-07-03"}]
    twice = [*beside, {"preservation_id": str(uuid7()), "answer": "preserved", "until": "2026-07-03"}]
    results = await post(
        client, said(other), said(notice_id, preservations=twice), said(notice_id, preservations=beside), said(other)
    )
    codes = [each.get("problem", {}).get("code") for each in results]
    assert codes == ["preservation_unanswered", "not_found", None, None]
    assert len(await clear_parts(providers.database, preservation_id)) == 1


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record every statement that goes to the database meanwhile."""
    sent: list[str] = []
    with monkeypatch.context() as patched:
        for name in ("execute", "fetch", "fetchrow", "fetchval", "executemany"):
            patched.setattr(asyncpg.Connection, name, _noted(getattr(asyncpg.Connection, name), sent))
        yield sent


def _noted(method: Callable[..., Awaitable[Any]], sent: list[str]) -> Callable[..., Awaitable[Any]]:
    async def noted(self: object, query: str, *arguments: Any, **named: Any) -> Any:
        sent.append(query)
        return await method(self, query, *arguments, **named)

    return noted


async def test_statements_do_not_grow(
    providers: Providers, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times the notices need no more statements. As a control, single requests need their own statements each."""
    counts = []
    for size in (4, 40):
        ids = [await issue(providers) for _ in range(size)]
        with statements(monkeypatch) as counted:
            results = await post(client, *({"notice_id": each, "act": "acknowledge"} for each in ids))
        assert {each["status"] for each in results} == {202}
        counts.append(len(counted))
    assert 0 < counts[0] == counts[1]
    with statements(monkeypatch) as counted:
        for _ in range(4):
            await post(client, {"notice_id": await issue(providers), "act": "acknowledge"})
    assert len(counted) > counts[0]
