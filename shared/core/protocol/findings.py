"""Findings of a hotline about the items of an offer: the rules, and the resulting state of the offer.

Pure. The hotline applies the rules before it sends, and the origin applies the same rules before it accepts. They
follow the exchange between hotlines: `baseline` is final. `national` may be changed until a hotline has acted on the
item. Each action occurs once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from pydantic import TypeAdapter

from shared.core.canonical import Json
from shared.core.contracts.answers import FindingStatement
from shared.core.contracts.base import Contract
from shared.core.contracts.items import AssessedItem
from shared.core.errors import Refused
from shared.core.vocabulary.answers import HotlineAction, HotlineAssessment, OfferFold
from shared.core.vocabulary.judgement import AssessmentScheme, AssessmentStatus

_ASSESSED: Final = TypeAdapter(tuple[AssessedItem, ...])
#: Findings after which no action on the item is left.
_ENDED: Final = frozenset({HotlineAssessment.NOT_ILLEGAL, HotlineAction.REMOVED, HotlineAction.UNAVAILABLE})


class OfferSummary(Contract):
    """The state of an offer that results from all findings."""

    items: OfferFold


def found_in(words: Mapping[str, object]) -> tuple[AssessedItem, ...]:
    """Parse the findings about items from stored answers, in JSON."""
    return _ASSESSED.validate_python(words.get("assessed") or ())


def kept(found: Sequence[AssessedItem]) -> dict[str, object]:
    """Return the findings in stored form, or nothing if there are none."""
    return {"assessed": [each.model_dump(mode="json", exclude_none=True) for each in found]} if found else {}


def as_final(found: Sequence[AssessedItem]) -> list[Json]:
    """Return assessments as items of a record that state them as final, as JSON."""
    fixed = {"scheme": AssessmentScheme.INTERPOL_BASELINE.value, "status": AssessmentStatus.FINAL.value}
    return [
        {"n": each.n, "assessments": [fixed | {"value": each.assessment.value}]}
        for each in found
        if each.assessment is not None
    ]


def stated(
    statements: Sequence[FindingStatement], numbers: Sequence[int], before: Sequence[AssessedItem]
) -> tuple[AssessedItem, ...]:
    """Return the findings item by item. A statement without a number applies to every item.

    Raises `Refused` as `check` does, and `assessment_or_action`, `reason_needed`.
    """
    said: list[AssessedItem] = []
    for place, each in enumerate(statements):
        if (each.assessment is None) == (each.action is None):
            raise Refused("assessment_or_action", "give either an assessment or an action", field=f"/assessed/{place}")
        if each.reasoned != (each.reason is not None):
            detail = "give a reason with not_illegal and unavailable only"
            raise Refused("reason_needed", detail, field=f"/assessed/{place}/reason")
        for n in numbers if each.n is None else [each.n]:
            found = AssessedItem(n=n, assessment=each.assessment, action=each.action, reason=each.reason)
            _check(found, numbers, [*before, *said], here=f"/assessed/{place}")
            said.append(found)
    return tuple(said)


def check(said: Sequence[AssessedItem], numbers: Collection[int], before: Sequence[AssessedItem]) -> None:
    """Check that findings may follow `before`.

    Raises `Refused`: `item_unknown`, `item_action_repeated`, `item_answer_contradicts`, `assessment_final`,
    `assessment_missing`.
    """
    for place, each in enumerate(said):
        _check(each, numbers, [*before, *said[:place]], here=f"/assessed/{place}")


def fold_offer(numbers: Collection[int], said: Sequence[AssessedItem]) -> OfferSummary:
    """Return the state of an offer. It is closed once every item is not illegal, removed or unavailable."""
    ended = {each.n for each in said if each.assessment in _ENDED or each.action in _ENDED}
    return OfferSummary(items=OfferFold.CLOSED if set(numbers) <= ended else OfferFold.IN_PART)


def _check(found: AssessedItem, numbers: Collection[int], before: Sequence[AssessedItem], *, here: str) -> None:
    if found.n not in numbers:
        raise Refused("item_unknown", "no such item in the offer", field=f"{here}/n")
    own = [each for each in before if each.n == found.n]
    actions = {each.action for each in own} - {None}
    assessed = next((each.assessment for each in reversed(own) if each.assessment is not None), None)
    if found.assessment is not None:
        if assessed is HotlineAssessment.BASELINE or assessed is HotlineAssessment.NOT_ILLEGAL:
            raise Refused("assessment_final", "the assessment is final", field=f"{here}/assessment")
        if actions:
            raise Refused(
                "assessment_final", "it can be changed only before the first action", field=f"{here}/assessment"
            )
        if found.assessment is assessed:
            raise Refused("item_action_repeated", "an assessment may be given once per item", field=here)
    elif found.action in actions:
        raise Refused("item_action_repeated", "an action may be reported once per item", field=here)
    elif assessed is HotlineAssessment.NOT_ILLEGAL:
        raise Refused("item_answer_contradicts", "no action is possible on an item that is not illegal", field=here)
    elif {HotlineAction.REMOVED, HotlineAction.UNAVAILABLE} <= actions | {found.action}:
        raise Refused("item_answer_contradicts", "an item is either removed or not available", field=here)
    elif assessed is None and found.action is not HotlineAction.UNAVAILABLE:
        raise Refused("assessment_missing", "assess the item first", field=here)
