"""A case is passed on: the second agency's answers may reach the origin before the first agency's statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import pytest

from shared.core.contracts.case_referral import CaseReferredClear
from shared.core.contracts.registry import CASE_ACCEPTED, CASE_DECLINED, CASE_REFERRED
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Draft, Received
from shared.delivery.sending import Unit
from tests.shared.delivery.test_inbound import answer, told
from tests.support.builders import POLICE, draft
from tests.support.consuming import Applied, Site
from tests.support.exchange_world import World

OTHER, THIRD = "police-de.example", "police-be.example"


class Edges(Applied):
    """A handler like an origin's: an answer waits until a message of another batch has made its edge."""

    def __init__(self) -> None:
        super().__init__()
        self.have_edges = {POLICE}

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> Mapping[UUID, str]:
        codes = {each.message_id: "act_awaited" for each in messages if each.sender not in self.have_edges}
        self.have_edges |= {each.clear.agency for each in messages if isinstance(each.clear, CaseReferredClear)}
        return codes


def passed_on(referral_id: UUID, agency: str = OTHER, by: str = POLICE) -> Draft:
    """Return an agency's statement that it passes the case on."""
    first = answer(CASE_ACCEPTED, referral_id, 1)
    new = {"agency": agency, "reason": "suspect_elsewhere", "from_edge_id": str(uuid4()), "edge_id": str(uuid4())}
    return draft(
        referral_id,
        message=CASE_REFERRED,
        sender=by,
        recipient=first.recipient,
        recipient_instance="hotline",
        clear=first.clear | new,
    )


def answers_of(agency: str, referral_id: UUID) -> list[Draft]:
    """Return two answers of an agency."""
    both = (answer(CASE_ACCEPTED, referral_id, 1), answer(CASE_DECLINED, referral_id, 2))
    return [
        draft(
            referral_id,
            message=each.message,
            sender=agency,
            recipient=each.recipient,
            recipient_instance="hotline",
            clear=each.clear,
        )
        for each in both
    ]


@pytest.mark.parametrize("sizes", [(3,), (1, 2), (1, 1, 1)], ids=["together", "two batches", "three batches"])
@pytest.mark.parametrize("place", [0, 1, 2], ids=["before", "between", "after"])
async def test_answers_from_an_agency_that_gets_the_case_wait_for_its_edge_and_no_longer(
    hotline: Site, here: World, sizes: Sequence[int], place: int
) -> None:
    referral_id = uuid7()
    messages = answers_of(OTHER, referral_id)
    messages.insert(place, passed_on(referral_id))
    hotline.handler = Edges()
    for size in sizes:
        batch, messages = messages[:size], messages[size:]
        await hotline.take(here.written(batch, "law_enforcement"))
    assert await hotline.exceptions() == []


async def test_a_case_is_passed_on_twice_in_one_batch(hotline: Site, here: World) -> None:
    referral_id = uuid7()
    hotline.handler = Edges()
    batch = [*answers_of(THIRD, referral_id), passed_on(referral_id, THIRD, OTHER), passed_on(referral_id)]
    outcomes = await hotline.take(here.written(batch, "law_enforcement"))
    assert told(outcomes) == [("applied", None)] * 4


async def test_answers_to_another_referral_go_on_waiting(hotline: Site, here: World) -> None:
    hotline.handler = Edges()
    batch = [*answers_of(OTHER, uuid7()), passed_on(uuid7())]
    outcomes = await hotline.take(here.written(batch, "law_enforcement"))
    assert told(outcomes) == [("waiting", "act_awaited")] * 2 + [("applied", None)]
