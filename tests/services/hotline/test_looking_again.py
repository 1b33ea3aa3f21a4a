"""An origin rechecks the items of its notices: permissions, the allowed results per item, and the messages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.authority import Role
from shared.core.contracts.answers import NoticeAnsweredClear
from shared.core.contracts.items import ItemAnswer
from shared.core.contracts.registry import NOTICE_ANSWERED
from shared.core.ids import uuid4, uuid7
from shared.core.vocabulary.answers import NoticeAction
from shared.core.vocabulary.referral import WithdrawalReason
from tests.services.deliveries import received
from tests.services.doors import asking
from tests.services.hotline.origin import Origin
from tests.services.hotline.test_answers_kept import applied
from tests.support.builders import HOTLINE

STRANGER = "hotline-nl.example"
UP = {"checked": [{"n": 1, "found": "up", "by": "tool"}]}
GONE = {"checked": [{"n": 1, "found": "gone"}]}


async def check(
    client: httpx.AsyncClient, referral_id: UUID, said: Any, *, party: str = HOTLINE, role: Role = Role.ANALYST
) -> tuple[int, str]:
    """Return the status with the state after a recheck, or the code of a refusal."""
    headers = asking(party, role=role, key=uuid7().hex)
    answer = await client.post(f"/v1/referrals/{referral_id}:check", json=said, headers=headers)
    return answer.status_code, answer.json()["state" if answer.is_success else "code"]


async def notice_of(origin: Origin, referral_id: UUID) -> dict[str, Any]:
    return next(edge for edge in (await origin.show(referral_id))["edges"] if edge["notice_id"])


async def removed(origin: Origin) -> UUID:
    """Submit a referral whose provider reports its item as removed."""
    referral_id = await origin.file()
    edge = await notice_of(origin, referral_id)
    said = (ItemAnswer(n=1, round=1, action=NoticeAction.REMOVED),)
    clear = NoticeAnsweredClear(notice_id=edge["notice_id"], act=uuid4(), number=1, items=said)
    subject = UUID(str(edge["notice_id"]))
    told = received(NOTICE_ANSWERED, clear, subject=subject, sender=edge["recipient"], recipient=HOTLINE)
    assert await applied(origin, told) == [None]
    return referral_id


async def test_removed_closes_nothing_what_is_up_has_reappeared(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id = await removed(origin)
    assert await check(client, referral_id, UP) == (202, "reappeared")
    edge = await notice_of(origin, referral_id)
    (found,) = edge["answer_detail"]["checked"]
    assert (edge["answer"], found["found"], found["by"], found["round"]) == ("reappeared", "reappeared", "tool", 1)
    assert edge["answer_detail"]["items"][0]["action"] == "removed"
    assert await check(client, referral_id, UP) == (202, "routed")


async def test_what_is_gone_confirms_it(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id = await removed(origin)
    assert await check(client, referral_id, GONE) == (202, "routed")
    assert (await notice_of(origin, referral_id))["answer"] == "actioned"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"checked": [{"n": 9, "found": "gone"}]}, "item_unknown"),
        ({"checked": [{"n": 1, "found": "reappeared"}]}, "item_never_gone"),
        ({"checked": [{"n": 1, "found": "lost"}]}, "fields_invalid"),
        ({"checked": [{"n": 1, "found": "gone"}, {"n": 1, "found": "up"}]}, "fields_invalid"),
    ],
)
async def test_what_is_wrong_has_its_code(origin: Origin, client: httpx.AsyncClient, said: Any, code: str) -> None:
    assert await check(client, await origin.file(), said) == (422, code)


async def test_nobody_else_looks_and_nothing_that_was_taken_back(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id = await removed(origin)
    assert await check(client, referral_id, UP, party=STRANGER) == (404, "not_found")
    assert await check(client, uuid7(), UP) == (404, "not_found")
    assert await check(client, referral_id, UP, role=Role.VIEWER) == (403, "forbidden")
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await check(client, referral_id, UP) == (409, "state_forbids")
