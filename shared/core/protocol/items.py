"""Answers to the items of a notice: the rules for each answer, and the resulting state of the notice.

Pure. The recipient applies the rules before it answers, and the origin applies the same rules before it accepts the
answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self, TypeVar
from uuid import UUID

from pydantic import TypeAdapter

from shared.core.clock import COARSE_S, coarse
from shared.core.contracts.answers import CheckStatement, DisowningStatement, ItemStatement, ReinstateStatement
from shared.core.contracts.base import Contract
from shared.core.contracts.items import (
    CHECKS_MAX,
    ROUNDS_MAX,
    TRACK_NUMBER_MAX,
    AnswerTrack,
    DisownedItem,
    ItemAnswer,
    ItemCheck,
    ItemOutcome,
    ReinstatedItem,
)
from shared.core.errors import Refused
from shared.core.guard.rules import CLOCK_SKEW
from shared.core.ids import time_of
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.answers import ItemFound, ItemsFold, NoticeAction

_ANSWERS: Final = TypeAdapter(tuple[ItemAnswer, ...])
_DISOWNED: Final = TypeAdapter(tuple[DisownedItem, ...])
_CHECKS: Final = TypeAdapter(tuple[ItemCheck, ...])
_REINSTATED: Final = TypeAdapter(tuple[ReinstatedItem, ...])
#: Actions after which an item is no longer available.
_REMOVES: Final = frozenset({NoticeAction.REMOVED, NoticeAction.ALREADY_GONE})
#: The highest answer number that may be repeated to another recipient. It leaves room for as many further answers.
TOLD_AGAIN_MAX: Final = TRACK_NUMBER_MAX // 2
_StatementT = TypeVar("_StatementT", ItemStatement, DisowningStatement)
_SaidT = TypeVar("_SaidT", ItemAnswer, DisownedItem, ItemCheck, ReinstatedItem)


class NoticeSummary(Contract):
    """The state of a notice that results from all answers so far."""

    items: ItemsFold


@dataclass(frozen=True, slots=True)
class ItemLog:
    """All statements about items so far.

    `answers` are about items that were acted on or rejected, `disowned` about items of other providers. The origin's
    `checks` and the provider's `reinstated` can end the round of an item.
    """

    answers: tuple[ItemAnswer, ...] = ()
    disowned: tuple[DisownedItem, ...] = ()
    checks: tuple[ItemCheck, ...] = ()
    reinstated: tuple[ReinstatedItem, ...] = ()

    @classmethod
    def kept(cls, words: Mapping[str, object]) -> Self:
        """Parse the statements about items from the stored answers of a subject, in JSON."""
        return cls(
            _ANSWERS.validate_python(words.get("items") or ()),
            _DISOWNED.validate_python(words.get("disowned") or ()),
            _CHECKS.validate_python(words.get("checked") or ()),
            _REINSTATED.validate_python(words.get("reinstated") or ()),
        )

    def words(self) -> dict[str, object]:
        """Return the statements as JSON for storage. Empty lists are omitted."""
        named = {"items": self.answers, "disowned": self.disowned, "checked": self.checks}
        named["reinstated"] = self.reinstated
        return {
            name: [each.model_dump(mode="json", exclude_none=True) for each in said]
            for name, said in named.items()
            if said
        }

    def round_of(self, n: int) -> int:
        """Return the current round of an item: one more than the last round that was ended."""
        ended = {each.round for each in self.checks if each.n == n and each.found is ItemFound.REAPPEARED}
        return 1 + max(ended | {each.round for each in self.reinstated if each.n == n}, default=0)

    @property
    def again(self) -> int:
        """The number of ended rounds of the item with the most."""
        numbers = {each.n for each in self.checks} | {each.n for each in self.reinstated}
        return max(map(self.round_of, numbers), default=1) - 1

    @property
    def removals(self) -> int:
        """How often an item was reported removed or gone."""
        return sum(each.action in _REMOVES for each in self.answers)

    @property
    def present(self) -> tuple[ItemAnswer, ...]:
        """The answers that were given in the current round of their item."""
        return tuple(each for each in self.answers if each.round == self.round_of(each.n))

    def numbers(self) -> frozenset[int]:
        """Return the items that have an answer in their current round, or were disowned."""
        return frozenset(each.n for each in self.present) | {each.n for each in self.disowned}

    def said_gone(self) -> frozenset[int]:
        """Return the items that were reported removed or gone in any round."""
        return frozenset(each.n for each in self.answers if each.action in _REMOVES)

    def removed(self) -> frozenset[int]:
        """Return the items that were reported removed or gone in their current round."""
        return frozenset(each.n for each in self.present if each.action in _REMOVES)

    def found_gone(self) -> frozenset[int]:
        """Return the items that a check found gone in their current round."""
        gone = ItemFound.GONE
        return frozenset(each.n for each in self.checks if each.found is gone and each.round == self.round_of(each.n))

    def unchecked(self) -> frozenset[int]:
        """Return the items that were reported removed or gone and have not been checked since."""
        seen = {each.n for each in self.checks if each.round == self.round_of(each.n)}
        return self.removed() - seen

    def __add__(self, more: ItemLog) -> ItemLog:
        return ItemLog(
            (*self.answers, *more.answers),
            (*self.disowned, *more.disowned),
            (*self.checks, *more.checks),
            (*self.reinstated, *more.reinstated),
        )


def answered(statements: Sequence[ItemStatement], numbers: Sequence[int], before: ItemLog) -> ItemLog:
    """Return one answer per item. A statement without a number applies to every item without an answer.

    `numbers` are the notice's items, `before` the statements so far. Raises `Refused` as `check` does, and
    `items_all_answered` if no item is left for a statement without a number.
    """
    stated: list[tuple[int, ItemAnswer]] = []
    for place, each, n in _spread(statements, numbers, before, at="/items"):
        said = {name: getattr(each, name) for name in ItemOutcome.model_fields}
        stated.append((place, ItemAnswer(n=n, round=each.round or before.round_of(n), **said)))
    _check_answers(stated, numbers, before)
    return ItemLog(answers=tuple(answer for _, answer in stated))


def disowned(statements: Sequence[DisowningStatement], numbers: Sequence[int], before: ItemLog) -> ItemLog:
    """Return the disowned items. Without a number: all items without an answer. Raises as `answered`."""
    spread = _spread(statements, numbers, before, at="/disowned")
    stated = [(place, DisownedItem(n=n, suggested=each.suggested)) for place, each, n in spread]
    _check_disowned(stated, numbers, before)
    return ItemLog(disowned=tuple(each for _, each in stated))


def reinstated(statements: Sequence[ReinstateStatement], numbers: Sequence[int], before: ItemLog) -> ItemLog:
    """Return the reinstated items. Without a number: all items that were acted on. Raises as `answered`."""
    acted = sorted({each.n for each in before.present if each.action is not None and each.n in numbers})
    named = {each.n for each in statements}
    stated: list[tuple[int, ReinstatedItem]] = []
    for place, each in enumerate(statements):
        spread = [n for n in acted if n not in named] if each.n is None else [each.n]
        if not spread:
            raise Refused("item_not_acted_on", "no action on the item to reverse", field=f"/reinstated/{place}")
        stated += [(place, ReinstatedItem(n=n, round=before.round_of(n), reason=each.reason)) for n in spread]
    _check_reinstated(stated, numbers, before)
    return ItemLog(reinstated=tuple(each for _, each in stated))


def latest(said: ItemLog) -> ItemLog:
    """Return the statements that are still needed: current answers, and those that ended the last round."""
    again = [each for each in said.checks if each.found is ItemFound.REAPPEARED]
    checks = {each.n: each for each in again if each.round == said.round_of(each.n) - 1}
    back = {each.n: each for each in said.reinstated if each.round == said.round_of(each.n) - 1}
    return ItemLog(said.present, said.disowned, tuple(checks.values()), tuple(back.values()))


def check(stated: ItemLog, numbers: Collection[int], before: ItemLog) -> None:
    """Check that `stated` may follow `before`.

    Raises `Refused`: `item_unknown`, `item_round_unknown`, `item_action_repeated`, `item_answer_contradicts`.
    """
    _check_answers(list(enumerate(stated.answers)), numbers, before)
    _check_disowned(list(enumerate(stated.disowned)), numbers, before)
    _check_reinstated(list(enumerate(stated.reinstated)), numbers, before)


def check_time(time: datetime | None, at: datetime, *, field: str, since: datetime | None = None) -> None:
    """Check that a time is not after `at`, and not before the day of `since`.

    Message times are cut to ten seconds. Raises `Refused`: `time_ahead`, `time_early`.
    """
    if time is None:
        return
    if time > coarse(at) + CLOCK_SKEW + timedelta(seconds=COARSE_S):
        raise Refused("time_ahead", "at most five minutes ahead of our clock", field=field)
    if since is not None and time.date() < min(since, at).astimezone(UTC).date():
        raise Refused("time_early", "not before the day on which the notice was issued", field=field)


def check_times(stated: Sequence[ItemOutcome], at: datetime, *, notice_id: UUID) -> None:
    """Check the days on which the actions took effect. Raises as `check_time` does."""
    for place, each in enumerate(stated):
        check_time(each.effective_at, at, field=f"/items/{place}/effective_at", since=time_of(notice_id))


def fold(numbers: Collection[int], said: ItemLog) -> NoticeSummary:
    """Return the state of the notice that results from the answers.

    While items lack an answer, the notice is reappeared if one of them is in a second or later round, else in part.
    After that, one action makes it actioned; otherwise one rejection makes it rejected. It is `not_ours` only if all
    items were disowned. Statements about items that the notice no longer has are ignored.
    """
    silent = set(numbers) - said.numbers()
    if silent:
        again = any(said.round_of(n) > 1 for n in silent)
        return NoticeSummary(items=ItemsFold.REAPPEARED if again else ItemsFold.IN_PART)
    answers = [each for each in said.present if each.n in numbers]
    if any(each.action is not None for each in answers):
        return NoticeSummary(items=ItemsFold.ACTIONED)
    return NoticeSummary(items=ItemsFold.REJECTED if answers else ItemsFold.NOT_OURS)


def renumbered(said: ItemLog, own: Sequence[int]) -> ItemLog:
    """Translate item numbers of the notice into the origin's: item `n` is `own[n - 1]`.

    Raises `Refused("item_unknown")`.
    """
    if any(each.n > len(own) for part in (said.answers, said.disowned, said.checks, said.reinstated) for each in part):
        raise Refused("item_unknown", "no such item in the notice")
    return _numbered(said, dict(enumerate(own, 1)))


def told(said: ItemLog, own: Sequence[int], *, gone: Collection[int] = ()) -> ItemLog:
    """Translate the origin's item numbers into the notice's. Statements about items in `gone` are omitted."""
    return _numbered(said, {n: place for place, n in enumerate(own, 1) if n not in gone})


def _numbered(said: ItemLog, numbers: Mapping[int, int]) -> ItemLog:
    """Return the statements about the items in `numbers`, with the number that each has there."""
    return ItemLog(
        tuple(_told(said.answers, numbers)),
        tuple(_told(said.disowned, numbers)),
        tuple(_told(said.checks, numbers)),
        tuple(_told(said.reinstated, numbers)),
    )


def _told(said: Sequence[_SaidT], numbers: Mapping[int, int]) -> Iterator[_SaidT]:
    return (each.model_copy(update={"n": numbers[each.n]}) for each in said if each.n in numbers)


def _spread(
    statements: Sequence[_StatementT], numbers: Sequence[int], before: ItemLog, *, at: str
) -> Iterator[tuple[int, _StatementT, int]]:
    """Yield each statement with its place in the request, once for each item that it applies to."""
    named = {each.n for each in statements} | before.numbers()
    open_ones = [n for n in numbers if n not in named]
    for place, each in enumerate(statements):
        spread = open_ones if each.n is None else [each.n]
        if not spread:
            raise Refused("items_all_answered", "every item is answered", field=f"{at}/{place}")
        for n in spread:
            yield place, each, n


def _check_answers(stated: Sequence[tuple[int, ItemAnswer]], numbers: Collection[int], before: ItemLog) -> None:
    """Check answers, each with its place in the list that was sent."""
    acts = {(each.n, each.round, each.action) for each in before.answers}
    rejected = {(each.n, each.round): each.action is None for each in before.answers}
    others = {each.n for each in before.disowned}
    for place, each in stated:
        here = f"/items/{place}"
        if each.n not in numbers:
            raise Refused("item_unknown", "no such item in the notice", field=f"{here}/n")
        if each.round != before.round_of(each.n):
            raise Refused("item_round_unknown", "the item is in another round", field=f"{here}/round")
        if each.n in others:
            raise Refused("item_answer_contradicts", "the item was reported as another provider's", field=here)
        if (each.n, each.round, each.action) in acts:
            raise Refused("item_action_repeated", "an action may be reported once per item and round", field=here)
        if rejected.setdefault((each.n, each.round), each.action is None) != (each.action is None):
            raise Refused("item_answer_contradicts", "an item is either acted on or rejected", field=here)
        acts.add((each.n, each.round, each.action))


def _check_disowned(stated: Sequence[tuple[int, DisownedItem]], numbers: Collection[int], before: ItemLog) -> None:
    theirs, ours = {each.n for each in before.disowned}, {each.n for each in before.present}
    for place, each in stated:
        here = f"/disowned/{place}"
        if each.n not in numbers:
            raise Refused("item_unknown", "no such item in the notice", field=f"{here}/n")
        if each.n in theirs:
            raise Refused("item_action_repeated", "an item may be disowned once", field=here)
        if each.n in ours:
            raise Refused("item_answer_contradicts", "the item already has another answer", field=here)
        theirs.add(each.n)


def _check_reinstated(stated: Sequence[tuple[int, ReinstatedItem]], numbers: Collection[int], before: ItemLog) -> None:
    acted = {each.n for each in before.present if each.action is not None}
    for place, each in stated:
        here = f"/reinstated/{place}"
        if each.n not in numbers:
            raise Refused("item_unknown", "no such item in the notice", field=f"{here}/n")
        if each.round != before.round_of(each.n):
            raise Refused("item_round_unknown", "the item is in another round", field=f"{here}/round")
        if each.n not in acted:
            raise Refused("item_not_acted_on", "no action on the item to reverse", field=f"{here}/n")
        if each.round >= ROUNDS_MAX:
            raise Refused("item_rounds_exhausted", "the item has no further round", field=f"{here}/n")


def found(
    statements: Sequence[CheckStatement], numbers: Collection[int], before: ItemLog, *, at: datetime, notice_id: UUID
) -> ItemLog:
    """Return the origin's checks of items in the notice, each with the item's current round.

    An item that was reported or found gone and is available has reappeared. A check before the day
    of the notice is stated as of that day. Raises `Refused`: `item_never_gone`, `item_rounds_exhausted`,
    `checks_exhausted`, `time_ahead`.
    """
    gone = before.removed() | before.found_gone()
    checks: list[ItemCheck] = []
    for place, each in enumerate(statements):
        check_time(each.at, at, field=f"/checked/{place}/at")
        if each.n not in numbers:
            continue
        up = each.found in (ItemFound.UP, ItemFound.REAPPEARED)
        if each.found is ItemFound.REAPPEARED and each.n not in gone:
            raise Refused("item_never_gone", "the item was not reported gone", field=f"/checked/{place}/found")
        if up and each.n in gone and before.round_of(each.n) >= ROUNDS_MAX:
            raise Refused("item_rounds_exhausted", "the item has no further round", field=f"/checked/{place}/n")
        is_found = ItemFound.REAPPEARED if up and each.n in gone else each.found
        seen = max(each.at or at, min(time_of(notice_id), at))
        checks.append(ItemCheck(n=each.n, round=before.round_of(each.n), found=is_found, by=each.by, at=seen))
    _check_room(checks, before)
    return ItemLog(checks=tuple(checks))


def check_found(found: Sequence[ItemCheck], numbers: Collection[int], before: ItemLog) -> None:
    """Check the results that an origin sends. Raises `Refused`: `item_unknown`, and as `found`."""
    if not {each.n for each in found} <= set(numbers):
        raise Refused("item_unknown")
    if any(each.found is ItemFound.REAPPEARED and each.round >= ROUNDS_MAX for each in found):
        raise Refused("item_rounds_exhausted")
    _check_room(found, before)


def _check_room(found: Sequence[ItemCheck], before: ItemLog) -> None:
    if len(before.checks) + len(found) > CHECKS_MAX:
        raise Refused("checks_exhausted", "the maximum number of checks is reached", field="/checked", status=409)


def told_again(answered: AnswerTrack, numbers: Collection[int], directory: DirectoryIndex) -> AnswerTrack:
    """Return the part of a recipient's answers about these items.

    Suggested hosts not in the directory are removed.
    """
    lists = ("items", "disowned", "assessed", "checked", "reinstated")
    said = {name: tuple(each for each in getattr(answered, name) if each.n in numbers) for name in lists}
    said["disowned"] = tuple(
        each if each.suggested is None or directory.party(each.suggested) else DisownedItem(n=each.n)
        for each in said["disowned"]
    )
    return answered.model_copy(update=said)


def check_told_again(answered: AnswerTrack, numbers: Collection[int], directory: DirectoryIndex) -> None:
    """Raise `Refused` if the answers name unknown items or hosts, or leave no room for further answers."""
    if told_again(answered, numbers, directory) != answered:
        raise Refused("edge_not_reproducible", "it names an unknown item or host", field="/sealed/again")
    said = ItemLog(answered.items, answered.disowned, answered.checked, answered.reinstated)
    rounds = {each.round for each in said.answers} | {each.round for each in said.checks}
    if max(rounds | {1 + said.again}) > ROUNDS_MAX or answered.number > TOLD_AGAIN_MAX:
        raise Refused("edge_not_reproducible", "more answers than are possible", field="/sealed/again")
