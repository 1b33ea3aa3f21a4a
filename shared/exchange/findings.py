"""Items of an offer, assessed one by one: what a hotline may say of each, and what follows for the offer. Pure.

The hotline asks before it says something, the origin before it believes it: the same rules on both sides. They are
those of the exchange between hotlines: `baseline` is final, `national` may be overruled until somebody has acted on the
item, each action comes once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from pydantic import TypeAdapter

from shared.contracts.answers import FindingStatement
from shared.contracts.base import Contract
from shared.contracts.items import AssessedItem
from shared.kernel.errors import Refused
from shared.vocabulary.answers import HotlineAction, HotlineAssessment, OfferFold

_ASSESSED: Final = TypeAdapter(tuple[AssessedItem, ...])
#: Nothing is left to be done about an item.
_ENDED: Final = frozenset({HotlineAssessment.NOT_ILLEGAL, HotlineAction.REMOVED, HotlineAction.UNAVAILABLE})


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
