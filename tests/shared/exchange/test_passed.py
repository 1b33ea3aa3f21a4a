"""What one agency passes on to another: accepted as it was sent to the first, for whom the law lets be told, alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from pydantic_core import to_json

from shared.contracts.passing import PassedAct, ReferralPassedOnClear, ReferralPassedOnSealed
from shared.contracts.registry import REFERRAL_PASSED_ON
from shared.exchange.accept import accept
from shared.exchange.compose import Addressing, compose
from shared.exchange.message import Received
from shared.exchange.passed import Passable
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid4
from shared.vocabulary.agencies import CaseReferReason
from shared.vocabulary.answers import AnswerState
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.exchange_world import World, world
from tests.support.forging import forged

OTHER = "police-de.example"
BECAUSE = CaseReferReason.VICTIM_ELSEWHERE


@pytest.fixture(scope="module")
def here() -> World:
    return world()


@pytest.fixture(scope="module")
def offered(here: World) -> Received:
    return accept(here.records([here.offered(POLICE)])[0], here.reader("law_enforcement"))


def passable(offered: Received) -> Passable:
    assert offered.carried is not None
    assert offered.spelt is not None
    decision = json.loads(offered.carried.decision.model_dump_json())
    history = [PassedAct(number=1, answer=AnswerState.ACCEPTED, at=AT)]
    return Passable(uuid4(), decision, offered.carried.salt, offered.spelt, 1, history)


def passed(here: World, offered: Received, sealed: bytes, *, sender: str = POLICE, to: str = OTHER) -> Received:
    clear = ReferralPassedOnClear(referral_id=UUID(offered.subject), revision=1, act=uuid4(), edge_id=uuid4())
    address = Addressing(
        subject=UUID(offered.subject),
        sender=sender,
        recipient=to,
        directory=here.documents.directory,
        exercise=True,
        at=AT,
    )
    made = compose(REFERRAL_PASSED_ON, clear, address, sealed=sealed)
    return accept(forged(here, [made], instance="law_enforcement")[0], here.reader("law_enforcement"))


def test_it_arrives_as_the_first_agency_had_it_with_what_that_has_made_of_it(here: World, offered: Received) -> None:
    received = passed(here, offered, passable(offered).sealed(BECAUSE))
    assert received.spelt == offered.spelt
    assert received.filed_by == HOTLINE
    assert isinstance(received.carried, ReferralPassedOnSealed)
    assert [act.answer for act in received.carried.history] == [AnswerState.ACCEPTED]
    assert received.carried.because is BECAUSE


def _other_edge(told: dict[str, Any]) -> None:
    told["edge"]["reason"] = "user_location"


def _foreign_edge(told: dict[str, Any]) -> None:
    told["edge"]["recipient"] = OTHER


def _other_record(told: dict[str, Any]) -> None:
    told["record"]["items"].append(told["record"]["items"][0] | {"n": 9})


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("edge_not_reproducible", _other_edge),
        ("edge_not_ours", _foreign_edge),
        ("edge_not_reproducible", _other_record),
    ],
)
def test_what_the_origin_did_not_decide_is_refused(
    here: World, offered: Received, code: str, change: Callable[[dict[str, Any]], None]
) -> None:
    told = json.loads(passable(offered).sealed(BECAUSE))
    change(told)
    with pytest.raises(Refused) as refused:
        passed(here, offered, to_json(told))
    assert refused.value.code == code


def test_only_whoever_was_sent_it_passes_it_on(here: World, offered: Received) -> None:
    with pytest.raises(Refused, match="edge_not_ours"):
        passed(here, offered, passable(offered).sealed(BECAUSE), sender=OTHER, to=POLICE)


def test_nobody_but_another_agency_of_this_world_may_be_told(here: World, offered: Received) -> None:
    found, documents = passable(offered), (here.documents.directory, here.documents.policy)
    found.check(OTHER, documents=documents, exercise=True, at=AT)
    for nobody in (POLICE, HOTLINE, "provider-001.example", "police-nowhere.example"):
        with pytest.raises(Refused, match="agency_unknown"):
            found.check(nobody, documents=documents, exercise=True, at=AT)


def test_what_is_for_its_recipient_alone_is_not_passed_on(here: World, offered: Received) -> None:
    found = passable(offered)
    edge = json.loads(found.spelt.edge)
    edge["handling"]["tlp"] = "red"
    red = Passable(found.edge_id, found.decision, found.salt, found.spelt._replace(edge=to_json(edge)), 1, ())
    with pytest.raises(Refused, match="agency_not_entitled"):
        red.check(OTHER, documents=(here.documents.directory, here.documents.policy), exercise=True, at=AT)
