"""The values that the walk over a record visits, and models that it cannot walk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from types import ModuleType
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from shared.core.contracts import registry
from shared.core.contracts.fields import Url
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.guard import inspect
from shared.core.guard.charge import BIT
from shared.core.guard.leaves import leaves, plan, pointer
from shared.core.vocabulary import answers, judgement, referral
from tests.guard_report.legitimate import submissions
from tests.shared.core.guard.records import record

MODELS = {m.__name__: m for message in registry.ALL for m in (message.clear, message.sealed) if m is not None}


def test_every_value_that_is_present_is_seen_at_its_pointer() -> None:
    at = "2026-01-11T10:11:12.000Z"
    account = {
        "service": "provider-001.example",
        "account": "anna_1",
        "events": [{"ip": "192.0.2.7", "port": 443, "at": at}],
    }
    found = {pointer(path): kind for kind, _, path in leaves(record(subject_accounts=[account]))[0]}
    assert found["/items/0/locator/value"] == "url"
    assert found["/external_ref"] == "reference"
    assert found["/subject_accounts/0/account"] == "account"
    assert found["/subject_accounts/0/events/0/ip"] == "ip"
    assert found["/subject_accounts/0/service"] == "text"
    assert found["/observed_at"] == "instant"


def test_every_text_of_a_body_that_is_no_choice_is_among_the_leaves() -> None:
    choices = {str(member) for module in (answers, judgement, referral) for member in _choices(module)}
    for body in submissions(40, seed=3):
        seen = {str(value) for _, value, _ in leaves(ReferralSubmission.model_validate(body))[0]}
        assert set(_texts(body)) <= seen | choices | set(_instants(body))


def test_choices_cost_the_bits_of_choosing_and_whether_and_how_many() -> None:
    class Chosen(BaseModel):
        one: Literal["a", "b", "c", "d"]
        perhaps: bool | None = None
        several: Annotated[tuple[Literal["x", "y"], ...], Field(max_length=7)] | None = None

    assert leaves(Chosen(one="a")) == ([], (2 + 1 + 1 + 3) * BIT)
    assert leaves(Chosen(one="b", perhaps=True, several=("x", "y", "x"))) == ([], (2 + 2 + 1 + 3 + 3) * BIT)


def _choices(module: ModuleType) -> Iterator[StrEnum]:
    for member in vars(module).values():
        if isinstance(member, type) and issubclass(member, StrEnum):
            yield from member


def _texts(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for child in node.values() for text in _texts(child)]
    if isinstance(node, list):
        return [text for child in node for text in _texts(child)]
    return [node] if isinstance(node, str) else []


def _instants(node: Any) -> list[str]:
    return [text for text in _texts(node) if re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}(T.*Z)?", text)]


@pytest.mark.parametrize("name", MODELS)
def test_every_message_can_be_walked(name: str) -> None:
    assert {step.name for step in plan(MODELS[name]).steps} <= set(MODELS[name].model_fields)


def test_a_model_that_mixes_kinds_in_one_field_is_an_error_of_ours() -> None:
    class Mixed(BaseModel):
        where: Url | bool

    with pytest.raises(TypeError, match="mixes kinds"):
        leaves(Mixed(where=True))


def test_a_list_or_number_without_bound_is_an_error_of_ours() -> None:
    class Endless(BaseModel):
        many: tuple[bool, ...]

    class Counting(BaseModel):
        count: int

    with pytest.raises(TypeError, match="a bound for each list"):
        leaves(Endless(many=()))
    with pytest.raises(TypeError, match="both bounds of a number"):
        leaves(Counting(count=1))


def test_a_model_with_an_open_type_is_an_error_of_ours() -> None:
    class Open(BaseModel):
        data: bytes

    with pytest.raises(TypeError, match="cannot look into"):
        leaves(Open(data=b""))


def test_an_unmarked_text_is_charged_like_any() -> None:
    class Coded(BaseModel):
        label: str

    inspect(Coded(label="AGE_0_2"))
    with pytest.raises(Refused, match="guard_over_ceiling at /label"):
        inspect(Coded(label="q7Xz9LmP2kVb8RtY" * 60))
