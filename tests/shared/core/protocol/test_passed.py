"""Cases that one agency passes on: the content is accepted unchanged, and only where the law permits it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_core import to_json

from shared.core.contracts.case_referral import CaseCameBackClear, ReferralPassedOnSealed
from shared.core.contracts.registry import CASE_CAME_BACK
from shared.core.errors import Refused
from shared.core.protocol.accept import accept
from shared.core.protocol.case_referral import CaseFile
from shared.core.protocol.message import Received
from shared.core.protocol.record_table import only_codes_unknown
from shared.core.vocabulary.agencies import CaseReferReason
from shared.core.vocabulary.answers import AnswerState
from tests.shared.core.protocol.statements import example
from tests.support.builders import AT, HOTLINE, POLICE
from tests.support.case_referral_fixtures import offered_to, passable, passed_on
from tests.support.exchange_world import World
from tests.support.forging import forged

OTHER = "police-de.example"
REASON = CaseReferReason.VICTIM_ELSEWHERE


@pytest.fixture(scope="module")
def offered(here: World) -> Received:
    return offered_to(here, POLICE)


def passed(here: World, offered: Received, sealed: bytes, *, sender: str = POLICE, to: str = OTHER) -> Received:
    made = passed_on(here, offered, sealed, sender=sender, to=to)
    return accept(forged(here, [made], instance="law_enforcement")[0], here.reader("law_enforcement"))


def test_it_arrives_as_the_first_agency_had_it_with_what_that_has_made_of_it(here: World, offered: Received) -> None:
    received = passed(here, offered, passable(here, offered).sealed(REASON))
    assert received.spelt == offered.spelt
    assert received.filed_by == HOTLINE
    assert isinstance(received.carried, ReferralPassedOnSealed)
    assert [act.answer for act in received.carried.history] == [AnswerState.ACCEPTED]
    assert received.carried.reason is REASON


@pytest.mark.parametrize(("code", "unknown"), [("of_a_later_edition", True), ("declined", False)])
def test_what_stands_again_may_be_a_code_of_a_later_edition(code: str, unknown: bool) -> None:
    """An unknown code is deferred, since a later edition may define it.

    A known code that is never passed on is wrong.
    """
    said = example(CASE_CAME_BACK)
    assert CaseCameBackClear.model_validate_json(json.dumps(said), strict=True).stands.value == said["stands"]
    with pytest.raises(ValidationError) as wrong:
        CaseCameBackClear.model_validate_json(json.dumps(said | {"stands": code}), strict=True)
    assert only_codes_unknown(wrong.value) is unknown


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("edge_not_reproducible", lambda told: told["edge"].update(reason="user_location")),
        ("edge_not_ours", lambda told: told["edge"].update(recipient=OTHER)),
        ("edge_not_reproducible", lambda told: told["record"]["items"].append(told["record"]["items"][0] | {"n": 9})),
    ],
    ids=["another edge", "another recipient's edge", "another record"],
)
def test_what_the_origin_did_not_decide_is_refused(
    here: World, offered: Received, code: str, change: Callable[[dict[str, Any]], object]
) -> None:
    told = json.loads(passable(here, offered).sealed(REASON))
    change(told)
    with pytest.raises(Refused, match=code):
        passed(here, offered, to_json(told))


def test_only_whoever_was_sent_it_passes_it_on(here: World, offered: Received) -> None:
    with pytest.raises(Refused, match="edge_not_ours"):
        passed(here, offered, passable(here, offered).sealed(REASON), sender=OTHER, to=POLICE)


def test_nobody_but_another_agency_of_this_world_may_be_told(here: World, offered: Received) -> None:
    found, documents = passable(here, offered), (here.documents.directory, here.documents.policy)
    found.check(OTHER, documents=documents, exercise=True, at=AT)
    for nobody in (POLICE, HOTLINE, "provider-001.example", "police-nowhere.example"):
        with pytest.raises(Refused, match="agency_unknown"):
            found.check(nobody, documents=documents, exercise=True, at=AT)


def test_what_is_for_its_recipient_alone_is_not_passed_on(here: World, offered: Received) -> None:
    found = passable(here, offered)
    edge = json.loads(found.spelt.edge)
    edge["handling"]["tlp"] = "red"
    red = CaseFile(found.edge_id, found.decision, found.salt, found.spelt._replace(edge=to_json(edge)), 1, ())
    with pytest.raises(Refused, match="agency_not_entitled"):
        red.check(OTHER, documents=(here.documents.directory, here.documents.policy), exercise=True, at=AT)


def test_it_is_dated_by_no_time_that_has_not_come(here: World, offered: Received) -> None:
    """Otherwise a case with a child at risk would wait until 2090 for an agency."""
    made = passed_on(here, offered, passable(here, offered).sealed(REASON), sender=POLICE, to=OTHER)
    (record,) = forged(here, [made], instance="law_enforcement")
    ahead = here.resigned(record, instance="law_enforcement", time=datetime(2090, 1, 1, tzinfo=UTC))
    with pytest.raises(Refused, match="message_time_off"):
        accept(ahead, here.reader("law_enforcement"))
