"""Later content fits an older release: no limit of a list is as long as the list of its codes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from inspect import isclass
from typing import Annotated, Any, get_args, get_origin

import pytest
from annotated_types import MaxLen
from pydantic.fields import FieldInfo

from deploy.artifacts.schemas import models
from shared.catalog import CATALOG
from shared.core.contracts.answers import NoticeCodes, OfferCodes
from shared.core.contracts.base import Contract
from shared.core.contracts.directory import ReadsAnnouncedClear
from shared.core.contracts.items import (
    ASSESSED_MAX,
    CHECKS_MAX,
    ITEM_ANSWERS_MAX,
    ITEMS_EVER_MAX,
    ITEMS_MAX,
    ROUNDS_MAX,
)
from shared.core.contracts.registry import WITHDRAWALS
from shared.core.vocabulary.answers import (
    ActionReason,
    CheckedBy,
    HotlineAction,
    HotlineAssessment,
    ItemFound,
    NoticeAction,
    ReinstateReason,
)
from shared.core.vocabulary.code import Code
from shared.core.vocabulary.edition import codes_of_editions, spelt
from shared.core.vocabulary.questions import NeedsInfo
from tests.architecture.source import ROOT

#: Lists that are short on purpose, regardless of the number of codes.
SHORT = {NeedsInfo}


def lists_of_codes() -> Iterator[tuple[str, type[Code], int]]:
    """Yield each list of codes of a contract: its place, its type, and its maximum length."""
    seen: set[type[Contract]] = set()
    for model in models().values():
        if isclass(model) and issubclass(model, Contract):
            yield from _lists_in(model, seen)


def _lists_in(model: type[Contract], seen: set[type[Contract]]) -> Iterator[tuple[str, type[Code], int]]:
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield from _lists_of(f"{model.__name__}.{name}", field.annotation, field.metadata, seen)


def _lists_of(
    where: str, annotation: Any, metadata: list[Any], seen: set[type[Contract]]
) -> Iterator[tuple[str, type[Code], int]]:
    if isclass(annotation) and issubclass(annotation, Contract):
        yield from _lists_in(annotation, seen)
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        yield from _lists_of(where, inner, more, seen)
        return
    of = [each for each in get_args(annotation) if isclass(each) and issubclass(each, Code)]
    if get_origin(annotation) is tuple and of:
        yield where, of[0], _bound(metadata)
    for each in get_args(annotation):
        yield from _lists_of(where, each, [], seen)


def _bound(metadata: list[Any]) -> int:
    flat = [part for each in metadata for part in (each.metadata if isinstance(each, FieldInfo) else [each])]
    return min(each.max_length for each in flat if isinstance(each, MaxLen))


LISTS = [each for each in lists_of_codes() if each[1] not in SHORT]


@pytest.mark.parametrize(("where", "kind", "bound"), LISTS, ids=[each[0] for each in LISTS])
def test_a_list_of_codes_has_room_for_half_as_many_again(where: str, kind: type[Code], bound: int) -> None:
    assert bound >= len(kind) * 3 / 2, where


def test_lists_were_found() -> None:
    assert {"Edge.withheld", "Facts.incident_flags", "ReferralRecord.incident_flags", "Rule.reads"} <= {
        where for where, *_ in LISTS
    }


def test_what_is_said_of_items_has_room_for_further_words() -> None:
    assert ITEMS_MAX * len(NoticeAction) * 3 / 2 <= ITEM_ANSWERS_MAX
    assert ITEMS_MAX * (len(HotlineAssessment) + len(HotlineAction)) * 4 / 3 <= ASSESSED_MAX


def test_an_instance_can_announce_many_more_messages_engines_and_guards() -> None:
    reads = ReadsAnnouncedClear.model_fields
    assert _bound(reads["messages"].metadata) >= 5 * len(CATALOG.messages)
    assert min(_bound(reads[name].metadata) for name in ("engines", "guards")) >= 64


@pytest.mark.parametrize("message", WITHDRAWALS, ids=lambda message: message.name)
def test_a_withdrawal_says_nothing_but_codes_of_the_first_edition(message: Any) -> None:
    """A withdrawal is never deferred. An older release would refuse an unknown code, and the record would stay."""
    kinds = [field.annotation for field in message.clear.model_fields.values()]
    said = {spelt(code) for kind in kinds if isclass(kind) and issubclass(kind, Code) for code in kind}
    assert said
    assert said <= codes_of_editions()[0]


def _longest(codes: type[Code]) -> str:
    return max((code.value for code in codes), key=len)


def _said_of_notices() -> dict[str, Any]:
    """Return all possible answers on a notice whose every revision had other items, with the longest codes."""
    numbers, rounds = range(1, ITEMS_EVER_MAX + 1), range(1, ROUNDS_MAX + 1)
    at, by, found = "2026-03-20T08:00:00.000Z", _longest(CheckedBy), _longest(ItemFound)
    said = {"reason": _longest(ActionReason), "effective_at": at}
    pairs = [{"n": n, "round": each} for n in numbers for each in rounds]
    return {
        "items": [pair | said | {"action": action.value} for pair in pairs for action in NoticeAction],
        "disowned": [{"n": n, "suggested": ".".join(["x" * 31, "y" * 31])} for n in numbers],
        "checked": [{"n": 99, "round": 9, "found": found, "by": by, "at": at}] * CHECKS_MAX,
        "reinstated": [pair | {"reason": _longest(ReinstateReason)} for pair in pairs],
    }


def _found_of_offers() -> dict[str, Any]:
    numbers = range(1, ITEMS_EVER_MAX + 1)
    found = [{"assessment": each.value} for each in HotlineAssessment if each is not HotlineAssessment.NOT_ILLEGAL]
    found += [{"action": each.value, "reason": _longest(ActionReason)} for each in [HotlineAction.UNAVAILABLE]]
    found += [{"action": each.value} for each in HotlineAction if each is not HotlineAction.UNAVAILABLE]
    return {"assessed": [{"n": n} | each for n in numbers for each in found]}


@pytest.mark.parametrize(
    ("view", "said"), [(NoticeCodes, _said_of_notices()), (OfferCodes, _found_of_offers())], ids=["notice", "offer"]
)
def test_what_was_said_of_items_of_all_revisions_is_kept_and_shown(view: type[Contract], said: dict[str, Any]) -> None:
    """The limits cover all items of all revisions.

    Those of one revision would block an answer, or a page of the list.
    """
    view.model_validate_json(json.dumps(said))
    table = (ROOT / "shared" / "features" / "received" / "schema.sql").read_text()
    bound = re.search(r"received_answers_bound CHECK \(.* WHEN 'case' THEN \d+ ELSE (\d+) END\)", table)
    assert bound
    assert len(json.dumps(said)) * 5 / 4 <= int(bound[1])
