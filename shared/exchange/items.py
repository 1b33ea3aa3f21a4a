"""Items of a notice, answered one by one: what may be said of each, and what follows for the notice. Pure.

The recipient asks before it says something, the origin before it believes it: the same rules on both sides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from pydantic import TypeAdapter

from shared.contracts.answers import ItemStatement
from shared.contracts.base import Contract
from shared.contracts.items import ItemAnswer, ItemOutcome
from shared.kernel.errors import Refused
from shared.vocabulary.answers import ItemsFold

#: Nothing is reinstated and nothing reappears yet.
ROUND: Final = 1
_KEPT: Final = TypeAdapter(tuple[ItemAnswer, ...])


class Folded(Contract):
    """What all answers so far make of a notice."""

    items: ItemsFold


def answered(
    statements: Sequence[ItemStatement], numbers: Sequence[int], before: Sequence[ItemAnswer]
) -> tuple[ItemAnswer, ...]:
    """The statements item by item, those without a number spread over every item that nothing was said of.

    `numbers` are the notice's items, `before` what was said of them. Raises `Refused` as `check` does, and
    `items_all_answered` where no item is left for a statement without a number.
    """
    named = {each.n for each in statements} | {each.n for each in before}
    open_ones = [n for n in numbers if n not in named]
    stated: list[tuple[int, ItemAnswer]] = []
    for place, each in enumerate(statements):
        spread = open_ones if each.n is None else [each.n]
        if not spread:
            raise Refused("items_all_answered", "every item is answered", field=f"/items/{place}")
        said = {name: getattr(each, name) for name in ItemOutcome.model_fields}
        stated += [(place, ItemAnswer(n=n, round=each.round, **said)) for n in spread]
    check(stated, numbers, before)
    return tuple(answer for _, answer in stated)


def check(stated: Sequence[tuple[int, ItemAnswer]], numbers: Collection[int], before: Sequence[ItemAnswer]) -> None:
    """Let pass what may be said after `before`; each answer comes with its place in the list that was sent.

    Raises `Refused`: `item_unknown`, `item_round_unknown`, `item_action_repeated`, `item_answer_contradicts`.
    """
    acts = {(each.n, each.round, each.action) for each in before}
    rejected = {(each.n, each.round): each.action is None for each in before}
    for place, each in stated:
        here = f"/items/{place}"
        if each.n not in numbers:
            raise Refused("item_unknown", "no such item in the notice", field=f"{here}/n")
        if each.round != ROUND:
            raise Refused("item_round_unknown", "the item has had no such round", field=f"{here}/round")
        if (each.n, each.round, each.action) in acts:
            raise Refused("item_action_repeated", "each action once per item and round", field=here)
        if rejected.setdefault((each.n, each.round), each.action is None) != (each.action is None):
            raise Refused("item_answer_contradicts", "an item is acted on or rejected", field=here)
        acts.add((each.n, each.round, each.action))


def fold(numbers: Collection[int], said: Sequence[ItemAnswer]) -> Folded:
    """What the answers make of the notice: one action makes it actioned, once every item is answered."""
    if not set(numbers) <= {each.n for each in said}:
        return Folded(items=ItemsFold.IN_PART)
    acted = any(each.action is not None for each in said)
    return Folded(items=ItemsFold.ACTIONED if acted else ItemsFold.REJECTED)


def kept(said: object) -> tuple[ItemAnswer, ...]:
    """The answers as they are kept, in JSON; none where there are none."""
    return () if said is None else _KEPT.validate_python(said)


def renumbered(answers: Sequence[ItemAnswer], own: Sequence[int]) -> Iterator[ItemAnswer]:
    """The answers about a notice under the origin's own numbers: `own[n - 1]` is what the notice calls `n`.

    Raises `Refused("item_unknown")`.
    """
    for each in answers:
        yield each.model_copy(update={"n": own_number(each.n, own)})


def own_number(n: int, own: Sequence[int]) -> int:
    """The origin's own number of what the notice calls `n`. Raises `Refused("item_unknown")`."""
    if n > len(own):
        raise Refused("item_unknown", "no such item in the notice")
    return own[n - 1]
