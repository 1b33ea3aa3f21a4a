"""Items of a notice, answered one by one: what may be said of each, and what follows for the notice. Pure.

The recipient asks before it says something, the origin before it believes it: the same rules on both sides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from pydantic import TypeAdapter

from shared.contracts.answers import DisowningStatement, ItemStatement
from shared.contracts.base import Contract
from shared.contracts.items import AnsweredSoFar, Disowned, ItemAnswer, ItemOutcome
from shared.kernel.errors import Refused
from shared.routing.directory_index import DirectoryIndex
from shared.vocabulary.answers import ItemsFold

#: Nothing is reinstated and nothing reappears yet.
ROUND: Final = 1
_ANSWERS: Final = TypeAdapter(tuple[ItemAnswer, ...])
_DISOWNED: Final = TypeAdapter(tuple[Disowned, ...])
_StatementT = TypeVar("_StatementT", ItemStatement, DisowningStatement)
_SaidT = TypeVar("_SaidT", ItemAnswer, Disowned)


class Folded(Contract):
    """What all answers so far make of a notice."""

    items: ItemsFold


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of items so far: of those that were acted on or rejected, and of those that were disowned."""

    answers: tuple[ItemAnswer, ...] = ()
    disowned: tuple[Disowned, ...] = ()

    @classmethod
    def kept(cls, words: Mapping[str, object]) -> Self:
        """It among the words of an answer as they are kept, in JSON."""
        answers, disowned = words.get("items"), words.get("disowned")
        return cls(
            () if answers is None else _ANSWERS.validate_python(answers),
            () if disowned is None else _DISOWNED.validate_python(disowned),
        )

    def words(self) -> dict[str, object]:
        """It as it is kept, the names for which there is something."""
        named = {"items": self.answers, "disowned": self.disowned}
        return {
            name: [each.model_dump(mode="json", exclude_none=True) for each in said]
            for name, said in named.items()
            if said
        }

    def numbers(self) -> frozenset[int]:
        """The items of which something was said."""
        return frozenset(each.n for each in self.answers) | {each.n for each in self.disowned}

    def __add__(self, more: Said) -> Said:
        return Said((*self.answers, *more.answers), (*self.disowned, *more.disowned))


def answered(statements: Sequence[ItemStatement], numbers: Sequence[int], before: Said) -> Said:
    """The statements item by item, those without a number spread over every item that nothing was said of.

    `numbers` are the notice's items, `before` what was said of them. Raises `Refused` as `check` does, and
    `items_all_answered` where no item is left for a statement without a number.
    """
    stated: list[tuple[int, ItemAnswer]] = []
    for place, each, n in _spread(statements, numbers, before, at="/items"):
        said = {name: getattr(each, name) for name in ItemOutcome.model_fields}
        stated.append((place, ItemAnswer(n=n, round=each.round, **said)))
    _check_answers(stated, numbers, before)
    return Said(answers=tuple(answer for _, answer in stated))


def disowned(statements: Sequence[DisowningStatement], numbers: Sequence[int], before: Said) -> Said:
    """The same of items that are disowned."""
    spread = _spread(statements, numbers, before, at="/disowned")
    stated = [(place, Disowned(n=n, suggested=each.suggested)) for place, each, n in spread]
    _check_disowned(stated, numbers, before)
    return Said(disowned=tuple(each for _, each in stated))


def check(stated: Said, numbers: Collection[int], before: Said) -> None:
    """Let pass what may be said after `before`.

    Raises `Refused`: `item_unknown`, `item_round_unknown`, `item_action_repeated`, `item_answer_contradicts`.
    """
    _check_answers(list(enumerate(stated.answers)), numbers, before)
    _check_disowned(list(enumerate(stated.disowned)), numbers, before)


def fold(numbers: Collection[int], said: Said) -> Folded:
    """What the answers make of the notice, once something is said of every item.

    One action makes it actioned, else one rejection rejected; it is not ours only as a whole.
    """
    if not set(numbers) <= said.numbers():
        return Folded(items=ItemsFold.IN_PART)
    if any(each.action is not None for each in said.answers):
        return Folded(items=ItemsFold.ACTIONED)
    return Folded(items=ItemsFold.REJECTED if said.answers else ItemsFold.NOT_OURS)


def renumbered(said: Said, own: Sequence[int]) -> Said:
    """What was said of a notice under the origin's own numbers: `own[n - 1]` is what the notice calls `n`.

    Raises `Refused("item_unknown")`.
    """
    return Said(tuple(_owned(said.answers, own)), tuple(_owned(said.disowned, own)))


def told(said: Said, own: Sequence[int]) -> Said:
    """The reverse: what was said, under the notice's numbers; nothing of what is no item of the notice any more."""
    numbers = {n: place for place, n in enumerate(own, 1)}
    return Said(tuple(_told(said.answers, numbers)), tuple(_told(said.disowned, numbers)))


def _told(said: Sequence[_SaidT], numbers: Mapping[int, int]) -> Iterator[_SaidT]:
    return (each.model_copy(update={"n": numbers[each.n]}) for each in said if each.n in numbers)


def _owned(said: Sequence[_SaidT], own: Sequence[int]) -> Iterator[_SaidT]:
    for each in said:
        if each.n > len(own):
            raise Refused("item_unknown", "no such item in the notice")
        yield each.model_copy(update={"n": own[each.n - 1]})


def _spread(
    statements: Sequence[_StatementT], numbers: Sequence[int], before: Said, *, at: str
) -> Iterator[tuple[int, _StatementT, int]]:
    """Each statement with its place, once for each item that it is about."""
    named = {each.n for each in statements} | before.numbers()
    open_ones = [n for n in numbers if n not in named]
    for place, each in enumerate(statements):
        spread = open_ones if each.n is None else [each.n]
        if not spread:
            raise Refused("items_all_answered", "every item is answered", field=f"{at}/{place}")
        for n in spread:
            yield place, each, n


def _check_answers(stated: Sequence[tuple[int, ItemAnswer]], numbers: Collection[int], before: Said) -> None:
    """Each answer comes with its place in the list that was sent."""
    acts = {(each.n, each.round, each.action) for each in before.answers}
    rejected = {(each.n, each.round): each.action is None for each in before.answers}
    others = {each.n for each in before.disowned}
    for place, each in stated:
        here = f"/items/{place}"
        if each.n not in numbers:
            raise Refused("item_unknown", "no such item in the notice", field=f"{here}/n")
        if each.round != ROUND:
            raise Refused("item_round_unknown", "the item has had no such round", field=f"{here}/round")
        if each.n in others:
            raise Refused("item_answer_contradicts", "an item is the provider's or it is not", field=here)
        if (each.n, each.round, each.action) in acts:
            raise Refused("item_action_repeated", "each action once per item and round", field=here)
        if rejected.setdefault((each.n, each.round), each.action is None) != (each.action is None):
            raise Refused("item_answer_contradicts", "an item is acted on or rejected", field=here)
        acts.add((each.n, each.round, each.action))


def _check_disowned(stated: Sequence[tuple[int, Disowned]], numbers: Collection[int], before: Said) -> None:
    theirs, ours = {each.n for each in before.disowned}, {each.n for each in before.answers}
    for place, each in stated:
        here = f"/disowned/{place}"
        if each.n not in numbers:
            raise Refused("item_unknown", "no such item in the notice", field=f"{here}/n")
        if each.n in theirs:
            raise Refused("item_action_repeated", "an item is disowned once", field=here)
        if each.n in ours:
            raise Refused("item_answer_contradicts", "an item is the provider's or it is not", field=here)
        theirs.add(each.n)


def told_again(answered: AnsweredSoFar, numbers: Collection[int], directory: DirectoryIndex) -> AnsweredSoFar:
    """What a recipient said, as it is told again with items of these numbers: of them, and of hosts that there are."""
    said = {
        "items": tuple(each for each in answered.items if each.n in numbers),
        "disowned": tuple(
            each if each.suggested is None or directory.party(each.suggested) else Disowned(n=each.n)
            for each in answered.disowned
            if each.n in numbers
        ),
        "assessed": tuple(each for each in answered.assessed if each.n in numbers),
    }
    return answered.model_copy(update=said)


def check_told_again(answered: AnsweredSoFar, numbers: Collection[int], directory: DirectoryIndex) -> None:
    """Raises `Refused` where it speaks of items, or of hosts, that are not there."""
    if told_again(answered, numbers, directory) != answered:
        raise Refused("edge_not_reproducible", "of an item or a host that is not there", field="/sealed/again")
