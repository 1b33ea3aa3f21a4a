"""The tree of jurisdictions: the ancestors of a code on a given day."""

from __future__ import annotations

import copy
import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.contracts.base import Jurisdiction
from shared.core.vocabulary import jurisdiction
from shared.core.vocabulary.jurisdiction import TREE, JurisdictionTree

TODAY = date(2026, 3, 15)
DATA: dict[str, Any] = json.loads(
    Path(jurisdiction.__file__).with_name("data").joinpath("jurisdictions.json").read_text()
)
CODES = sorted(
    entry["code"]
    for entry in (*DATA["countries"], *DATA["subdivisions"], *DATA["blocs"])
    if TREE.known(entry["code"], TODAY)
)
DAYS = st.dates(min_value=date(1950, 1, 1), max_value=date(2035, 1, 1))


def test_england_lies_under_england_and_wales_before_its_country() -> None:
    assert TREE.ancestors("GB-ENG", TODAY)[:3] == ("GB-ENG", "GB-EAW", "GB")


@pytest.mark.parametrize(
    ("code", "last_day_outside", "first_day_inside"),
    [("HR", date(2013, 6, 30), date(2013, 7, 1)), ("GB", date(2020, 2, 1), date(2020, 1, 31))],
)
def test_membership_of_the_union_begins_and_ends_on_a_day(
    code: str, last_day_outside: date, first_day_inside: date
) -> None:
    assert "BLOC-EU" in TREE.ancestors(code, first_day_inside)
    assert "BLOC-EU" not in TREE.ancestors(code, last_day_outside)


def test_the_netherlands_antilles_are_unknown_since_they_ended() -> None:
    assert TREE.known("AN", date(2010, 10, 9))
    assert not TREE.known("AN", date(2010, 10, 10))
    assert TREE.ancestors("AN", TODAY) == ()


@pytest.mark.parametrize("stated", ["Europe", "No Country Listed", "nl", "", "BLOC-XX", "US-XX"])
def test_what_is_no_code_is_unknown(stated: str) -> None:
    assert not TREE.known(stated, TODAY)


def test_every_code_of_the_tree_is_one_that_documents_may_name() -> None:
    pattern = Jurisdiction.__metadata__[0].pattern  # type: ignore[attr-defined]
    assert all(re.fullmatch(pattern, code) for code in CODES)


def test_a_member_that_is_no_code_is_refused() -> None:
    spoilt = copy.deepcopy(DATA)
    spoilt["blocs"][0]["members"].append({"code": "QQ"})
    with pytest.raises(ValueError, match="not in the tree"):
        JurisdictionTree(spoilt)


@given(code=st.sampled_from(CODES), on=DAYS)
def test_what_lies_above_a_subdivision_is_what_lies_above_its_parent(code: str, on: date) -> None:
    above = TREE.ancestors(code, on)
    if above:
        assert above[0] == code
        assert len(set(above)) == len(above)
        assert all(TREE.known(node, on) for node in above)
    if len(above) > 1 and not above[1].startswith("BLOC-"):
        assert above[1:] == TREE.ancestors(above[1], on)


@given(code=st.sampled_from(CODES), on=DAYS)
def test_answers_do_not_depend_on_what_was_asked_before(code: str, on: date) -> None:
    fresh = JurisdictionTree(DATA)
    fresh.ancestors(code, on + timedelta(days=4000))
    assert fresh.ancestors(code, on) == TREE.ancestors(code, on)
