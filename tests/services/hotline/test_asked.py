"""Questions and disputes of recipients to an origin: stored by its own numbers, answered once, listed until then."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.core.authority import Role
from shared.core.ids import uuid7
from shared.core.protocol.message import Received
from shared.core.protocol.questions import LAPSES_AFTER
from shared.core.vocabulary.referral import WithdrawalReason
from shared.features.dialogues.store import PostgresQuestions
from shared.features.questions.store import asked_waits
from shared.platform.database.transactions import RowScope
from tests.services.doors import waiting
from tests.services.hotline.origin import Origin, act, applied, said
from tests.services.hotline.test_answers_kept import ITEMS
from tests.services.outgoing import clear_parts
from tests.support.builders import HOTLINE, PROVIDER

STRANGER = "hotline-nl.example"
STATED = [{"reply": "as_stated"}]


async def a_referral(origin: Origin) -> tuple[UUID, UUID]:
    """Submit a referral; return it and its provider's notice, which numbers the referral's items 2 and 3 as 1 and 2."""
    referral_id = await origin.file(items=ITEMS)
    return referral_id, await origin.notice_id(referral_id)


def last_due(origin: Origin) -> datetime:
    return origin.clock.now() + LAPSES_AFTER


def question(origin: Origin, notice_id: UUID, number: int = 1, **changes: Any) -> Received:
    words = {"about": (1, 2), "needs": ("location",), "due": last_due(origin)}
    return said("notice_question_asked", notice_id, PROVIDER, number, **words | changes)


def dispute(notice_id: UUID, number: int = 1, *, n: int = 1) -> Received:
    lawful = {"n": n, "reason": "content_lawful", "basis": "does_not_meet_threshold_for_illegality"}
    return said("notice_dispute_raised", notice_id, PROVIDER, number, disputed=(lawful,))


def lapsed(notice_id: UUID, number: int, of: int) -> Received:
    return said("notice_question_lapsed", notice_id, PROVIDER, number, question=of)


async def listed(origin: Origin, of: UUID, party: str = HOTLINE) -> list[dict[str, Any]]:
    async with origin.database.transaction(RowScope([party], Role.ANALYST, "read")) as session:
        page = await PostgresQuestions(session.driver).page(party, state=None, kind=None, cursor=None, limit=200)
    own = [each for each in page.items if each.subject == of]
    return [each.model_dump(mode="json", exclude_none=True) for each in own]


async def waits(origin: Origin, of: UUID, party: str = HOTLINE) -> list[tuple[str, str]]:
    found = await waiting(origin.database, asked_waits, party, of)
    return [(each.reasons[0], each.mend.value) for each in found]


def replying(number: int = 1, replied: Any = None) -> dict[str, Any]:
    return {"party": PROVIDER, "question": number, "replied": replied or STATED}


async def test_a_question_has_the_origins_numbers_till_its_reply(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, notice_id = await a_referral(origin)
    assert await applied(origin, question(origin, notice_id)) == [None]
    (shown,) = await listed(origin, referral_id)
    assert (shown["subject"], shown["about"], shown["own"], shown["number"]) == (str(referral_id), [2, 3], False, 1)
    assert await waits(origin, referral_id) == [("needs_info", "reply")]
    edge = await origin.edge(referral_id)
    (told,) = edge["timeline"]
    assert (edge["answer"], told["answer"], told["about"], told["needs"]) == ("none", "none", [2, 3], ["location"])
    partly = [{"n": 2, "reply": "gone"}, {"reply": "not_known"}]
    assert await act(client, referral_id, "reply", replying(replied=partly)) == (202, "routed")
    *_, (kind, _, to, _, clear) = await clear_parts(origin.database, notice_id)
    assert (kind, to, clear["question"]) == ("causeway.notice_question_replied.v1", PROVIDER, 1)
    assert clear["replied"] == [{"n": 1, "reply": "gone"}, {"n": 2, "reply": "not_known"}]
    assert await waits(origin, referral_id) == []
    assert await act(client, referral_id, "reply", replying()) == (409, "question_answered")
    (shown,) = await listed(origin, referral_id)
    assert (shown["state"], shown["replied"][0]) == ("answered", {"n": 2, "reply": "gone"})


@pytest.mark.parametrize(
    ("posted", "status", "code"),
    [
        (replying(9), 422, "question_unknown"),
        (replying() | {"party": "provider-b.example"}, 422, "question_unknown"),
        (replying(replied=[{"n": 2, "reply": "gone"}]), 422, "reply_incomplete"),
        (replying(replied=[{"n": 1, "reply": "gone"}, *STATED]), 422, "item_not_asked"),
        (replying(replied=[*STATED, *STATED]), 422, "item_not_asked"),
        (replying(replied=[{"reply": "amended"}]), 409, "reply_not_amended"),
        (replying(replied=[{"reply": "look yourself"}]), 422, "fields_invalid"),
    ],
)
async def test_each_wrong_reply_has_its_code(
    origin: Origin, client: httpx.AsyncClient, posted: Any, status: int, code: str
) -> None:
    referral_id, notice_id = await a_referral(origin)
    await applied(origin, question(origin, notice_id))
    assert await act(client, referral_id, "reply", posted) == (status, code)
    assert await waits(origin, referral_id) == [("needs_info", "reply")]


async def test_nobody_else_answers_and_nothing_that_was_taken_back(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, notice_id = await a_referral(origin)
    await applied(origin, question(origin, notice_id))
    assert await act(client, referral_id, "reply", replying(), party=STRANGER) == (404, "not_found")
    assert await act(client, uuid7(), "reply", replying()) == (404, "not_found")
    assert await act(client, referral_id, "reply", replying(), role=Role.VIEWER) == (403, "forbidden")
    assert (await listed(origin, referral_id, STRANGER), await waits(origin, referral_id, STRANGER)) == ([], [])
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await act(client, referral_id, "reply", replying()) == (409, "state_forbids")
    assert await waits(origin, referral_id) == []


async def test_an_origin_believes_only_what_may_be_asked(origin: Origin) -> None:
    referral_id, notice_id = await a_referral(origin)
    late = last_due(origin) + timedelta(hours=1)
    assert await applied(origin, question(origin, notice_id, due=late)) == ["question_due_unbounded"]
    assert await applied(origin, question(origin, notice_id, 2, about=(3,))) == ["item_unknown"]
    both = question(origin, notice_id, 3), question(origin, notice_id, 4)
    assert await applied(origin, *both) == [None, "question_open"]
    assert await applied(origin, question(origin, notice_id, 5)) == ["question_open"]
    foreign = replace(question(origin, notice_id), sender="provider-b.example")
    assert await applied(origin, foreign) == ["answer_unmatched"]
    assert await applied(origin, dispute(notice_id, 6), dispute(notice_id, 7, n=2)) == [None, "dispute_open"]
    assert len(await listed(origin, referral_id)) == 2


async def test_a_lapse_allows_another_and_changes_no_answered_one(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, notice_id = await a_referral(origin)
    await applied(origin, question(origin, notice_id))
    assert await applied(origin, lapsed(notice_id, 2, 1), question(origin, notice_id, 3)) == [None, None]
    assert await act(client, referral_id, "reply", replying()) == (409, "question_lapsed")
    assert await act(client, referral_id, "reply", replying(3)) == (202, "routed")
    assert await applied(origin, lapsed(notice_id, 4, 3)) == [None]
    states = {each["number"]: each["state"] for each in await listed(origin, referral_id)}
    assert states == {1: "lapsed", 3: "answered"}


async def test_a_dispute_is_upheld_or_conceded_by_its_origin(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, notice_id = await a_referral(origin)
    assert await applied(origin, dispute(notice_id)) == [None]
    assert await waits(origin, referral_id) == [("disputed", "uphold")]
    edge = await origin.edge(referral_id)
    assert [each["n"] for each in edge["timeline"][0]["disputed"]] == [2]
    conceded = {"party": PROVIDER, "dispute": 1, "decided": [{"n": 2, "verdict": "conceded"}]}
    as_question = {"party": PROVIDER, "question": 1, "replied": STATED}
    assert await act(client, referral_id, "reply", as_question) == (422, "question_unknown")
    assert await act(client, referral_id, "uphold", conceded) == (202, "routed")
    assert await waits(origin, referral_id) == [("conceded", "refile")]
    assert await applied(origin, dispute(notice_id, 2)) == ["item_disputed"]
    assert await applied(origin, dispute(notice_id, 3, n=2)) == [None]
    upheld = {"party": PROVIDER, "dispute": 3, "decided": [{"verdict": "upheld"}]}
    assert await act(client, referral_id, "uphold", upheld) == (202, "routed")
    await origin.withdraw(referral_id, WithdrawalReason.FILED_IN_ERROR)
    assert await waits(origin, referral_id) == []


async def test_an_agencys_question_names_the_origins_own_items(origin: Origin, client: httpx.AsyncClient) -> None:
    referral_id, _ = await a_referral(origin)
    edges = (await origin.show(referral_id))["edges"]
    agency = next(edge["recipient"] for edge in edges if edge["recipient"].startswith("police"))
    asks = said("question_asked", referral_id, agency, about=(3,), needs=("why_illegal",), due=last_due(origin))
    assert await applied(origin, asks) == [None]
    assert await act(client, referral_id, "reply", replying() | {"party": agency}) == (202, "routed")
    told = [each for each in await clear_parts(origin.database, referral_id) if each[0].endswith("question_replied.v1")]
    assert [(each[2], each[4]["replied"]) for each in told] == [(agency, [{"n": 3, "reply": "as_stated"}])]
