"""Problems name rule and place, and never repeat sent content."""

from __future__ import annotations

import json
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, StringConstraints

from shared.core.codes import find_remedy
from shared.core.contracts.answers import WithdrawalAnswer
from shared.core.contracts.base import Contract
from shared.core.errors import InvalidFields, Refused
from shared.platform.http.edge import read_model
from shared.platform.http.problems import FieldError, problem, problem_body


class Inner(Contract):
    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Outer(Contract):
    items: Annotated[tuple[Inner, ...], Field(min_length=1)]


def test_a_refusal_is_told_with_its_code_field_and_status() -> None:
    answer = problem(Refused("webhook_url_refused", "an absolute address", field="/items/0/url"))
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert json.loads(bytes(answer.body)) == {
        "type": "/problems/webhook_url_refused",
        "title": "an absolute address",
        "status": 422,
        "code": "webhook_url_refused",
        "remedy": find_remedy("webhook_url_refused"),
        "field": "/items/0/url",
    }


def test_a_model_that_does_not_validate_names_each_place_and_rule() -> None:
    with pytest.raises(InvalidFields) as refused:
        read_model(Outer, {"items": [{"code": "NL"}, {"code": "x"}, {}]})
    body = json.loads(problem_body(refused.value).spelt())
    assert (body["code"], body["field"]) == ("fields_invalid", "/items/1/code")
    assert body["errors"] == [
        {"field": "/items/1/code", "rule": "string_pattern_mismatch", "expected": "the pattern ^[A-Z]{2}$"},
        {"field": "/items/2/code", "rule": "missing"},
    ]


def test_an_unknown_name_is_not_repeated_and_a_rule_over_members_is_named() -> None:
    with pytest.raises(InvalidFields) as refused:
        read_model(Outer, {"items": [{"code": "NL", "visible-name": 1}]})
    assert problem_body(refused.value).errors == (FieldError(field="/items/0", rule="extra_forbidden"),)
    with pytest.raises(InvalidFields) as refused:
        read_model(WithdrawalAnswer, {"fate": "kept"})
    assert problem_body(refused.value).errors == (FieldError(field="", rule="kept_needs_reason"),)


marked = st.text(max_size=20).map(lambda text: f"§{text}")


@given(st.dictionaries(marked, marked | st.lists(marked), min_size=1))
def test_nothing_that_was_sent_is_in_a_problem_or_behind_it(sent: dict[str, object]) -> None:
    with pytest.raises(InvalidFields) as refused:
        read_model(Outer, sent | {"items": [sent, {"code": "§"}]})
    told = problem_body(refused.value).spelt().decode() + repr(refused.value) + str(refused.value)
    assert "§" not in told
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_at_most_twenty_places_are_named() -> None:
    with pytest.raises(InvalidFields) as refused:
        read_model(Outer, {"items": [{} for _ in range(100)]})
    assert len(refused.value.errors) == 20


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (b'{"items":[{"code":"x"}]}', [("/items/0/code", "string_pattern_mismatch")]),
        (b'{"items":[]}', [("/items", "too_short")]),
    ],
)
def test_a_list_is_too_short_only_where_no_entry_is_wrong(body: bytes, errors: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidFields) as caught:
        read_model(Outer, json.loads(body))
    assert [(each["field"], each["rule"]) for each in caught.value.errors] == errors
