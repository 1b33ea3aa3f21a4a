"""The values that the walk over a record visits, and models that it cannot walk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from shared.catalog import CATALOG
from shared.core.contracts.fields import Url
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.guard import inspect
from shared.core.guard.leaves import leaves, plan, pointer
from shared.core.vocabulary import answers, judgement, referral
from tests.guard_report.legitimate import submissions
from tests.shared.core.guard.records import record

MODELS = {m.__name__: m for message in CATALOG.messages for m in (message.clear, message.sealed) if m is not None}


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


class Mixed(BaseModel):
    where: Url | bool


class Endless(BaseModel):
    many: tuple[bool, ...]


class Counting(BaseModel):
    count: int


class Open(BaseModel):
    data: bytes


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (Mixed(where=True), "mixes kinds"),
        (Endless(many=()), "a bound for each list"),
        (Counting(count=1), "both bounds of a number"),
        (Open(data=b""), "cannot look into"),
    ],
)
def test_a_model_whose_cost_has_no_bound_is_an_error_of_ours(record: BaseModel, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        leaves(record)


def test_an_unmarked_text_is_charged_like_any() -> None:
    class Coded(BaseModel):
        label: str

    inspect(Coded(label="AGE_0_2"))
    with pytest.raises(Refused, match="guard_over_ceiling at /label"):
        inspect(Coded(label="q7Xz9LmP2kVb8RtY" * 60))
