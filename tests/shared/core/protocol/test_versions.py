"""How a message grows: a new member comes with a new version, and readers of the new version still read the old one."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from pydantic import ValidationError

from shared.core.contracts.answers import CaseDeclinedClear, NoticeAnsweredClear
from shared.core.contracts.registry import CASE_DECLINED, MessageType
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.accept import RejectedRecord, accept, only_codes_unknown
from shared.core.protocol.message import Record, compose
from shared.core.protocol.record_table import Fate, row_for
from tests.support.builders import HOTLINE, POLICE
from tests.support.exchange_world import World, world


class LaterClear(CaseDeclinedClear):
    """Version 1 with one more member."""

    remark: int | None = None


LATER = MessageType("case_declined", 2, CASE_DECLINED.family, CASE_DECLINED.meter, LaterClear)


@pytest.fixture
def here() -> World:
    return world()


def declined(here: World, message: MessageType, **members: Any) -> Record:
    referral_id = uuid7()
    clear = {"referral_id": str(referral_id), "revision": 1, "act": str(uuid4()), "number": 1, "reason": "no_crime"}
    addressing = here.address(referral_id, POLICE, HOTLINE)
    (record,) = here.records([compose(message, clear | members, addressing)], "law_enforcement")
    return record


def test_both_versions_are_read_and_taken_as_the_newer(here: World) -> None:
    for record in (declined(here, CASE_DECLINED), declined(here, LATER), declined(here, LATER, remark=1)):
        received = accept(record, here.later(LATER).reader("hotline"))
        assert received.message is LATER
        assert isinstance(received.clear, LaterClear)


def test_a_version_stays_closed(here: World) -> None:
    """A later member in a message that states the earlier version makes the body malformed."""
    with pytest.raises(RejectedRecord, match="body_invalid"):
        accept(declined(here, CASE_DECLINED, remark=1), here.later(LATER).reader("hotline"))


def test_who_does_not_read_the_newer_version_defers_it_whatever_it_holds(here: World) -> None:
    """So no reader has to distinguish a member of a later release from one that never exists."""
    for members in ({}, {"remark": 1}, {"what": "ever"}):
        with pytest.raises(RejectedRecord) as turned:
            accept(declined(here, LATER, **members), here.reader("hotline"))
        assert turned.value.code == "version_unknown"
        assert row_for(turned.value.code).fate is Fate.DEFER


ANSWERED: Final[dict[str, Any]] = {
    "notice_id": str(uuid7()),
    "act": str(uuid4()),
    "number": 1,
    "items": [{"n": 1, "round": 1, "rejection": "not_found"}],
}


@pytest.mark.parametrize(
    ("items", "unknown"),
    [
        ([{"n": 1, "round": 1, "rejection": "never_heard_of"}], True),
        ([ANSWERED["items"][0], {"n": 2, "round": 1, "rejection": "never_heard_of"}], True),
        ([{"n": 1, "round": 1, "rejection": "never_heard_of", "remark": "x"}], False),
        ([{"n": 1, "round": 0, "rejection": "never_heard_of"}], False),
        ([], False),
    ],
    ids=["alone in its list", "beside others", "and a member", "and a number", "none at all"],
)
def test_a_body_with_nothing_wrong_but_a_code_is_told_from_a_broken_one(items: list[Any], unknown: bool) -> None:
    with pytest.raises(ValidationError) as raised:
        NoticeAnsweredClear.model_validate_json(json.dumps(ANSWERED | {"items": items}), strict=True)
    assert only_codes_unknown(raised.value) == unknown
