"""Submissions, checks, amendments, transfers, lists and imports are charged as work, also if their form is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic_core import to_json

from shared.core.authority import Role
from shared.core.ids import uuid7
from shared.platform.admission.budgets import Budgets, Principal
from shared.platform.http.identity import Identity
from tests.services.doors import asking
from tests.services.hotline.origin import Origin, body_of
from tests.services.hotline.transferring import orphan, transfer
from tests.support.builders import HOTLINE
from tests.support.costly_bodies import nested_items, nested_values
from tests.support.exchange_world import SUBMISSION

ITEMS = len(SUBMISSION["items"])


class Owed(list[int]):
    """The charges to the hotline, in order."""

    def taken(self) -> int:
        work = sum(self)
        self.clear()
        return work


@pytest.fixture
def owed(monkeypatch: pytest.MonkeyPatch) -> Owed:
    """Record the charges. Requested before the origin is made, because the origin keeps the charging function."""
    charges = Owed()

    def owe(_: Budgets, whose: Principal, work: int) -> None:
        assert whose.party == HOTLINE
        charges.append(work)

    monkeypatch.setattr(Budgets, "owe", owe)
    return charges


@pytest.fixture
async def client(owed: Owed, origin: Origin) -> AsyncIterator[httpx.AsyncClient]:
    async with origin.intake.running(), origin.door() as opened_door:
        yield opened_door


async def post(client: httpx.AsyncClient, path: str, body: object, **headers: str) -> Any:
    sent = asking(HOTLINE, key=uuid7().hex) | headers
    answer = await client.post(f"/v1/referrals{path}", json=body, headers=sent)
    assert answer.status_code < 300, answer.text
    return answer.json()


async def test_an_amendment_is_owed_by_its_items_and_messages(client: httpx.AsyncClient, owed: Owed) -> None:
    body = body_of()
    filed = await post(client, "", body)
    of_filing = owed.taken()
    assert of_filing == 1 + ITEMS + len(filed["recipients"])
    await post(client, ":check", body)
    assert owed.taken() == of_filing
    path, changed = f"/{filed['referral_id']}:amend", body | {"media_kind": "video"}
    told = await post(client, path, changed, **{"if-match": '"1"'})
    assert len(told["replaced"]) > 0
    assert owed.taken() == 1 + ITEMS + len(told["replaced"])
    await post(client, path, changed, **{"if-match": '"2"'})
    assert owed.taken() == 1 + ITEMS, "the same again is looked at, and no message is sent"


@pytest.mark.parametrize("path", ["batch", "check"])
async def test_a_body_of_wrong_form_is_owed_by_who_asked(client: httpx.AsyncClient, owed: Owed, path: str) -> None:
    headers = asking(HOTLINE, key=uuid7().hex) | {"content-type": "application/json"}

    async def told(body: bytes) -> httpx.Response:
        return await client.post(f"/v1/referrals:{path}", content=body, headers=headers)

    answer = await told(nested_values())
    assert (answer.status_code, answer.json()["code"]) == (422, "batch_size")
    assert owed.taken() == len(nested_values()) // 1024 + 1
    answer = await told(nested_items(2))
    assert {each.get("problem", each)["code"] for each in answer.json()["results"]} == {"body_too_many_values"}
    assert owed.taken() == len(nested_items(2)) // 1024 + 1 + 2


async def test_a_transfer_is_owed_by_its_messages_each_time(owed: Owed, origin: Origin) -> None:
    referral_id: UUID = await orphan(origin)
    owed.clear()
    for _ in range(2):
        status, body = await transfer(origin, referral_id)
        assert status == 202
        assert owed.taken() == 1 + len(body["offered"])


async def test_lists_and_imports_are_owed_as_referrals(client: httpx.AsyncClient, owed: Owed, origin: Origin) -> None:
    await post(client, "", body_of())
    of_one = owed.taken()
    await post(client, ":batch", {"referrals": [body_of(), body_of()]})
    assert owed.taken() == 2 * of_one
    identity = Identity(HOTLINE, Role.ANALYST, "hotline", exercise=True, actor="0a" * 16)
    imported = to_json({"referrals": [body_of(), body_of()]})
    reply = await origin.api.file_spelt(identity, imported, key=uuid7().bytes * 2, route="/console/import:batch")
    assert reply.status == 200
    assert owed.taken() == 2 * of_one
