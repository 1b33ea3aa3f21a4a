"""A case of two purposes is amended for each of them, with one message each."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from shared.exchange.message import Received
from shared.kernel.ids import uuid7
from tests.services.deliveries import offered
from tests.services.law_enforcement.agency import Agencies
from tests.services.law_enforcement.test_cases import ACCEPT

PURPOSES = ("investigation", "victim_identification")


def amended(referral_id: UUID, purpose: str, *, priority: str = "p2_normal", revision: int = 2) -> Received:
    message = offered(referral_id, purpose=purpose, priority=priority)
    return replace(message, clear=message.clear.model_copy(update={"revision": revision}))


async def case_of_two(agencies: Agencies, *, is_accepted: bool) -> UUID:
    referral_id = uuid7()
    assert await agencies.receive(*(offered(referral_id, purpose=each) for each in PURPOSES)) == [None, None]
    if is_accepted:
        await agencies.act("accept", ACCEPT, referral_id)
    return referral_id


@pytest.mark.parametrize("is_accepted", [False, True])
@pytest.mark.parametrize("order", [PURPOSES, PURPOSES[::-1]])
@pytest.mark.parametrize("at_once", [False, True])
async def test_each_purpose_is_amended(
    agencies: Agencies, order: tuple[str, ...], *, is_accepted: bool, at_once: bool
) -> None:
    referral_id = await case_of_two(agencies, is_accepted=is_accepted)
    messages = [amended(referral_id, each) for each in order]
    batches = [messages] if at_once else [[each] for each in messages]
    assert [await agencies.receive(*batch) for batch in batches] == [[None] * len(batch) for batch in batches]
    shown = await agencies.show(referral_id)
    assert (shown["revision"], [each["purpose"] for each in shown["further"]]) == (2, ["victim_identification"])
    kept = sorted((each["purpose"], each["revision"]) for each in shown["earlier"])
    assert kept == ([(each, 1) for each in PURPOSES] if is_accepted else [])
    assert await agencies.receive(*messages) == ["edge_exists"] * 2, "and no revision twice"


@pytest.mark.parametrize("is_accepted", [False, True])
@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_case_is_as_urgent_as_the_amendment_of_any_purpose_says(
    agencies: Agencies, purpose: str, *, is_accepted: bool
) -> None:
    referral_id = await case_of_two(agencies, is_accepted=is_accepted)
    assert await agencies.receive(amended(referral_id, purpose, priority="p0_child_at_risk")) == [None]
    assert (await agencies.show(referral_id))["priority"] == "p0_child_at_risk"
