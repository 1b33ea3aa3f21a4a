"""A form is made from an act's model, and its input is read back for the same model."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from shared.catalog import CATALOG
from shared.core.contracts.answers import NoticeDisowning, NoticeStatements, OutcomeReport, WithdrawalAnswer
from shared.core.contracts.holds import HoldRequest
from shared.core.errors import Refused
from shared.platform.console.forms import (
    ALIKE,
    Choice,
    FieldGroup,
    Input,
    inputs_of,
    labels_of,
    problems_of,
    read_inputs,
)
from shared.platform.http.edge import read_model


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark_blue"


class Inner(BaseModel):
    until: date


class Sample(BaseModel):
    colour: Colour
    also: tuple[Colour, ...] = ()
    places: Annotated[tuple[str, ...], Field(description="One a line.")] = ()
    count: int | None = None
    sure: bool = False
    inner: Inner | None = None
    which: Literal["a", "b"] = "a"


def paths(found: tuple[Input | FieldGroup, ...]) -> dict[str, str]:
    """Return the kind of all inputs by path."""
    told: dict[str, str] = {}
    for each in found:
        told |= paths(each.inputs) if isinstance(each, FieldGroup) else {each.path: each.kind}
    return told


def test_every_kind_of_field_has_its_kind_of_input() -> None:
    assert paths(inputs_of(Sample)) == {
        "colour": "select",
        "also": "checks",
        "places": "lines",
        "count": "number",
        "sure": "flag",
        "inner.until": "date",
        "which": "select",
    }
    first = inputs_of(Sample)[0]
    assert isinstance(first, Input)
    assert first.choices == (Choice("red", "red"), Choice("dark_blue", "dark blue"))


def test_what_was_filled_in_is_read_back_and_what_was_not_is_left_out() -> None:
    form = {
        "colour": ["red"],
        "also": ["red", "dark_blue"],
        "places": ["one\r\n\r\n two "],
        "count": ["3"],
        "sure": ["on"],
        "inner.until": ["2026-05-04"],
        "which": [""],
        "foreign": ["x"],
    }
    assert read_inputs(Sample, form) == {
        "colour": "red",
        "also": ["red", "dark_blue"],
        "places": ["one", "two"],
        "count": 3,
        "sure": True,
        "inner": {"until": "2026-05-04"},
    }
    assert read_inputs(Sample, {}) == {}


def test_what_is_no_number_stays_as_it_is_for_the_model_to_refuse() -> None:
    assert read_inputs(Sample, {"count": ["three"]}) == {"count": "three"}


def test_a_time_of_an_act_is_asked_as_a_time_and_read_as_its_model_has_it() -> None:
    asked = {each.path: each.kind for each in inputs_of(HoldRequest) if isinstance(each, Input)}
    assert asked["not_after"] == "time"
    form = {"scope": ["removal"], "basis": ["court_order"], "not_after": ["2026-05-04T11:59"]}
    assert read_model(HoldRequest, read_inputs(HoldRequest, form)).not_after.isoformat() == "2026-05-04T11:59:00+00:00"


def test_a_list_about_items_has_a_row_for_each_and_an_empty_row_says_nothing() -> None:
    found = [each for each in inputs_of(NoticeStatements, rows=[3, 7]) if each.path.startswith("items.")]
    assert [each.label for each in found] == ["Item 3", "Item 7"]
    form = {
        "items.0.n": ["3"],
        "items.0.round": ["1"],
        "items.0.action": [""],
        "items.1.n": ["7"],
        "items.1.round": ["1"],
        "items.1.action": ["removed"],
    }
    said = read_inputs(NoticeStatements, form)
    assert said == {"items": [{"n": 7, "round": 1, "action": "removed"}]}
    assert read_model(NoticeStatements, said).items[0].n == 7


def test_a_row_that_asks_only_what_may_be_left_out_counts_when_it_is_ticked() -> None:
    first, second = inputs_of(NoticeDisowning, rows=[1, 2])
    assert isinstance(first, FieldGroup)
    assert isinstance(second, FieldGroup)
    form = {"disowned.0.n": ["1"], "disowned.1.n": ["2"], second.tick: ["on"]}
    assert read_inputs(NoticeDisowning, form) == {"disowned": [{"n": 2}]}


def test_one_row_may_stand_for_every_item() -> None:
    (row,) = [each for each in inputs_of(NoticeStatements, rows=[ALIKE]) if each.path.startswith("items.")]
    assert isinstance(row, FieldGroup)
    assert (row.label, row.fixed) == ("Every item", ())
    assert read_inputs(NoticeStatements, {"items.0.action": ["removed"]}) == {"items": [{"action": "removed"}]}


@pytest.mark.parametrize("act", [each for each in CATALOG.acts if each.takes is not None], ids=lambda each: each.name)
def test_every_act_that_takes_something_has_a_form(act: object) -> None:
    """A new row needs no template, since every field of its model has an input."""
    takes = act.takes  # type: ignore[attr-defined]
    found = inputs_of(takes, rows=[1])
    assert {each.path.partition(".")[0] for each in found} == set(takes.model_fields)


def test_a_refusal_names_the_input_that_is_wrong_and_the_rule_never_the_value() -> None:
    form = {"outcome": ["a secret"], "child_identified": ["yes"]}
    with pytest.raises(Refused) as raised:
        read_model(OutcomeReport, read_inputs(OutcomeReport, form))
    said = problems_of(raised.value)
    assert ("child_safeguarded", "Fill this in") in said
    assert [path for path, _ in said] == ["outcome", "child_safeguarded"]
    assert "secret" not in str(said)


def test_a_group_that_is_left_empty_is_left_out() -> None:
    assert read_inputs(WithdrawalAnswer, {"fate": ["erased"], "kept.retention": [""]}) == {"fate": "erased"}


def test_a_refusal_is_led_to_an_input_that_there_is_by_the_name_that_it_has_there() -> None:
    inputs = inputs_of(NoticeStatements, rows=[1, 2])
    labels = labels_of(inputs)
    assert (labels["items.1"], labels["items.1.action"]) == ("Item 2", "Item 2, Action")
    leads = {
        "/items/1/action": "items.1.action",
        "/items/1/action/0": "items.1.action",
        "/items/1/n": "items.1",
        "/items": "items.0",
        "/elsewhere": "",
    }
    for field, path in leads.items():
        ((found, said),) = problems_of(Refused("item_unknown", "no such item", field=field), inputs)
        assert found == path
        assert said.startswith("no such item (item_unknown). Run causeway referral show")


def test_a_form_about_several_asks_nothing_that_names_something_of_one() -> None:
    """Control: a form about one does."""
    alike, one = (labels_of(inputs_of(NoticeStatements, rows=[n])) for n in (ALIKE, 1))
    assert not [path for path in alike if path.startswith("preservations")]
    assert [path for path in one if path.startswith("preservations")]
