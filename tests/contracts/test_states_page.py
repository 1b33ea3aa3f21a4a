"""The page of states describes the messages of each act, and no others."""

from __future__ import annotations

import pytest

from deploy.artifacts.pages import TELLS, told
from deploy.artifacts.schemas import ROUTES
from shared.catalog import CATALOG
from shared.core.acts.act import Act, Cause, Subject
from shared.core.acts.states import row


def messages(act: Act) -> set[str]:
    return {each.message.name for each in told(act) if each.message}


@pytest.mark.parametrize("act", CATALOG.acts_on(Subject.REFERRAL), ids=lambda act: act.name)
def test_what_an_act_at_an_origin_tells_an_origin_sends(act: Act) -> None:
    sent = {message.name for message, route in ROUTES.items() if "hotline" in route.senders}
    assert messages(act) <= sent
    assert "referral_passed_on" not in sent


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("submit", {"referral_offered", "notice_issued"}),
        ("drop", set()),
        ("withdraw", {"referral_withdrawn", "notice_withdrawn"}),
        ("check", {"items_checked"}),
        ("transfer", {"transfer_offered"}),
        ("reply", {"question_replied", "notice_question_replied"}),
    ],
)
def test_an_act_tells_what_is_of_its_name_or_what_the_table_says(name: str, tells: set[str]) -> None:
    assert messages(row(Subject.REFERRAL, name)) == tells


def test_the_table_names_acts_alone() -> None:
    at_origins = {each.name for each in CATALOG.acts_on(Subject.REFERRAL)}
    told_of = {each.name for each in CATALOG.acts if each.cause is Cause.ACT}
    assert TELLS.keys() - at_origins == set()
    assert {name for names in TELLS.values() for name in names} - told_of == set()
