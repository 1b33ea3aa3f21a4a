"""Items of an offer, assessed one by one: what a hotline may say of each, and what follows for the offer. Pure.

The hotline asks before it says something, the origin before it believes it: the same rules on both sides. They are
those of the exchange between hotlines: `baseline` is final, `national` may be overruled until somebody has acted on the
item, each action comes once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from shared.contracts.base import Contract
from shared.contracts.items import AssessedItem
from shared.contracts.offers import FindingStatement
from shared.kernel.errors import Refused
from shared.vocabulary.answers import HotlineAction, HotlineAssessment, OfferFold
from shared.vocabulary.judgement import AssessmentScheme, AssessmentStatus

_ASSESSED: Final = TypeAdapter(tuple[AssessedItem, ...])
#: Nothing is left to be done about an item.
_ENDED: Final = frozenset({HotlineAssessment.NOT_ILLEGAL, HotlineAction.REMOVED, HotlineAction.UNAVAILABLE})
#: Findings of which an item has only one once they are final.
_OPPOSED: Final = frozenset({HotlineAssessment.BASELINE.value, HotlineAssessment.NOT_ILLEGAL.value})
#: An item of a record.
_ItemJson = Mapping[str, Any]


class FoldedOffer(Contract):
    """What all that was found so far makes of an offer."""

    items: OfferFold


def found_in(words: Mapping[str, object]) -> tuple[AssessedItem, ...]:
    """What was said of items among the words of answers as they are kept, in JSON."""
    return _ASSESSED.validate_python(words.get("assessed") or ())


def kept(found: Sequence[AssessedItem]) -> dict[str, object]:
    """What was said of items, as it is kept among the words; nothing where nothing was."""
    return {"assessed": [each.model_dump(mode="json", exclude_none=True) for each in found]} if found else {}


def stated(
    statements: Sequence[FindingStatement], numbers: Sequence[int], before: Sequence[AssessedItem]
) -> tuple[AssessedItem, ...]:
    """The statements item by item, those without a number of every item.

    Raises `Refused` as `check` does, and `assessment_or_action`, `reason_needed`.
    """
    said: list[AssessedItem] = []
    for place, each in enumerate(statements):
        if (each.assessment is None) == (each.action is None):
            raise Refused("assessment_or_action", "say the one or the other", field=f"/assessed/{place}")
        if each.reasoned != (each.reason is not None):
            detail = "not_illegal and unavailable have a reason, no other has"
            raise Refused("reason_needed", detail, field=f"/assessed/{place}/reason")
        for n in numbers if each.n is None else [each.n]:
            found = AssessedItem(n=n, assessment=each.assessment, action=each.action, reason=each.reason)
            _check(found, numbers, [*before, *said], here=f"/assessed/{place}")
            said.append(found)
    return tuple(said)


def check(said: Sequence[AssessedItem], numbers: Collection[int], before: Sequence[AssessedItem]) -> None:
    """Let pass what may be said after `before`.

    Raises `Refused`: `item_unknown`, `item_action_repeated`, `item_answer_contradicts`, `assessment_final`,
    `assessment_missing`.
    """
    for place, each in enumerate(said):
        _check(each, numbers, [*before, *said[:place]], here=f"/assessed/{place}")


def check_stated(items: Iterable[_ItemJson], before: Iterable[_ItemJson] = ()) -> None:
    """Check that no item is stated as finally baseline and finally not illegal.

    `items` are those of a record, as JSON. `before` are those of the revision that they replace, matched by number: a
    final finding stays final. Raises `Refused("assessment_final")`.
    """
    found = {each["n"]: _finals(each) for each in before}
    for place, each in enumerate(items):
        if _finals(each) | found.get(each.get("n"), frozenset()) >= _OPPOSED:
            detail = "an item is finally baseline or finally not illegal, never both"
            raise Refused("assessment_final", detail, field=f"/items/{place}/assessments")


def _finals(item: _ItemJson) -> frozenset[str]:
    """Return the opposed values that a record's item states as final."""
    stated = item.get("assessments") or ()
    own = (each for each in stated if each["scheme"] == AssessmentScheme.INTERPOL_BASELINE)
    return _OPPOSED & {each["value"] for each in own if each.get("status") == AssessmentStatus.FINAL}


def fold_offer(numbers: Collection[int], said: Sequence[AssessedItem]) -> FoldedOffer:
    """What findings make of an offer: closed, once every item is not illegal, removed or unavailable."""
    ended = {each.n for each in said if each.assessment in _ENDED or each.action in _ENDED}
    return FoldedOffer(items=OfferFold.CLOSED if set(numbers) <= ended else OfferFold.IN_PART)


def _check(found: AssessedItem, numbers: Collection[int], before: Sequence[AssessedItem], *, here: str) -> None:
    if found.n not in numbers:
        raise Refused("item_unknown", "no such item in the offer", field=f"{here}/n")
    own = [each for each in before if each.n == found.n]
    actions = {each.action for each in own} - {None}
    assessed = next((each.assessment for each in reversed(own) if each.assessment is not None), None)
    if found.assessment is not None:
        if assessed is HotlineAssessment.BASELINE or assessed is HotlineAssessment.NOT_ILLEGAL:
            raise Refused("assessment_final", "what was found is final", field=f"{here}/assessment")
        if actions:
            raise Refused(
                "assessment_final", "it is overruled before the first action only", field=f"{here}/assessment"
            )
        if found.assessment is assessed:
            raise Refused("item_action_repeated", "each word once per item", field=here)
    elif found.action in actions:
        raise Refused("item_action_repeated", "each action once per item", field=here)
    elif assessed is HotlineAssessment.NOT_ILLEGAL:
        raise Refused("item_answer_contradicts", "nothing is done about what is not illegal", field=here)
    elif {HotlineAction.REMOVED, HotlineAction.UNAVAILABLE} <= actions | {found.action}:
        raise Refused("item_answer_contradicts", "an item was removed or it is not available", field=here)
    elif assessed is None and found.action is not HotlineAction.UNAVAILABLE:
        raise Refused("assessment_missing", "say first what the item is", field=here)
