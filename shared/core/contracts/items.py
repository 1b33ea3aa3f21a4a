"""Items of a referral or notice: their numbers, the actions on each, and all answers so far."""

from __future__ import annotations

from typing import Annotated, Protocol, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from shared.core.contracts.base import Contract, EventDay, Flag, PartyId
from shared.core.vocabulary import answers as codes

#: Maximum items of a referral or notice.
ITEMS_MAX = 10
#: Maximum items that a referral or notice ever had, over all its revisions. Answers about each remain stored.
ITEMS_EVER_MAX = 99
#: An item's number. The origin's service assigns it; it is stable over revisions and never reused. A notice has
#: its own numbers.
ItemNumber = Annotated[int, Field(strict=True, ge=1, le=ITEMS_EVER_MAX)]
#: Maximum statements about items in one answer: ten items with up to ten actions each.
ITEM_ANSWERS_MAX = 100
#: Maximum rounds of an item. Each reinstatement or reappearance starts a new round.
ROUNDS_MAX = 9
#: Maximum stored checks of all items of a notice.
CHECKS_MAX = 100
#: The round of an item: it starts at 1 and rises each time the item is reinstated or reappears.
Round = Annotated[int, Field(strict=True, ge=1, le=99)]


class _Numbered(Protocol):
    @property
    def n(self) -> int: ...


_NumberedT = TypeVar("_NumberedT", bound=_Numbered)


def _once_each(items: tuple[_NumberedT, ...]) -> tuple[_NumberedT, ...]:
    """Return the items.

    Raises `ValueError` if two have the same number, since an answer would be ambiguous.
    """
    if len({item.n for item in items}) != len(items):
        raise ValueError("item_number_repeated")
    return items


#: Validates that each number occurs once.
NUMBERED_ONCE = AfterValidator(_once_each)


class ItemOutcome(Contract):
    """The action on one item and the day when it took effect (DSA Article 9(5)), or the reason for none."""

    action: codes.NoticeAction | None = None
    rejection: codes.NoticeRejection | None = None
    reason: codes.ActionReason | None = None
    effective_at: EventDay | None = None

    @model_validator(mode="after")
    def _either_acted_or_rejected(self) -> Self:
        if (self.action is None) == (self.rejection is None):
            raise ValueError("action_or_rejection")
        if self.effective_at is not None and self.action is None:
            raise ValueError("effective_at_needs_action")
        return self


class ItemAnswer(ItemOutcome):
    """A provider's answer about one item of a notice in one round."""

    n: ItemNumber
    round: Round


class ItemCheck(Contract):
    """A check of one item in its current round: the result, the checker and the day.

    `reappeared` ends the round.
    """

    n: ItemNumber
    round: Round
    found: codes.ItemFound
    by: codes.CheckedBy
    at: EventDay


class ReinstatedItem(Contract):
    """An item that its provider has made available again. This ends its current round."""

    n: ItemNumber
    round: Round
    reason: codes.ReinstateReason


class OtherHost(Contract):
    """The provider that hosts an item instead, if known."""

    suggested: PartyId | None = None


class DisownedItem(OtherHost):
    """One item that the provider does not host."""

    n: ItemNumber


#: Maximum findings in one answer, and in all answers about one revision: ten items with up to ten findings each.
ASSESSED_MAX = 100
#: Maximum number of an act in its track. A track has the acts of one party on one subject: 1, 2, 3 …
TRACK_NUMBER_MAX = 1_000_000


def over_all_revisions(words_max: int) -> int:
    """Return the maximum statements about items over all revisions, if one revision has up to `words_max`."""
    return words_max * ITEMS_EVER_MAX // ITEMS_MAX


class ItemFinding(Contract):
    """A hotline's assessment of an item, or its action. `not_illegal` and `unavailable` need a reason."""

    assessment: codes.HotlineAssessment | None = None
    action: codes.HotlineAction | None = None
    reason: codes.ActionReason | None = None

    @property
    def reasoned(self) -> bool:
        """Whether it needs a reason. No other finding may have one."""
        return self.assessment is codes.HotlineAssessment.NOT_ILLEGAL or self.action is codes.HotlineAction.UNAVAILABLE


class AssessedItem(ItemFinding):
    """A hotline's finding about one item of a referral."""

    n: ItemNumber

    @model_validator(mode="after")
    def _either_and_reasoned(self) -> Self:
        if (self.assessment is None) == (self.action is None):
            raise ValueError("assessment_or_action")
        if self.reasoned != (self.reason is not None):
            raise ValueError("reason_needed")
        return self


class AnswerTrack(Contract):
    """The recipient's answers on an edge that is issued again: its track as the origin knows it.

    `moved`: the edge is issued to the recipient's new instance. Otherwise it is issued to the present instance, because
    a late answer came from the former instance, or because the present instance has lost answers (`restored`). `number`
    is that of the newest answer, 0 for none. Statements about current items have the notice's numbers: the answers of
    their current round, and the statements that ended the round before.
    """

    moved: Flag = False
    restored: Flag = False
    answer: codes.AnswerState
    number: Annotated[int, Field(strict=True, ge=0, le=TRACK_NUMBER_MAX)]
    items: Annotated[tuple[ItemAnswer, ...], Field(max_length=ITEM_ANSWERS_MAX)] = ()
    disowned: Annotated[tuple[DisownedItem, ...], Field(max_length=ITEMS_MAX), NUMBERED_ONCE] = ()
    assessed: Annotated[tuple[AssessedItem, ...], Field(max_length=ASSESSED_MAX)] = ()
    checked: Annotated[tuple[ItemCheck, ...], Field(max_length=ITEMS_MAX), NUMBERED_ONCE] = ()
    reinstated: Annotated[tuple[ReinstatedItem, ...], Field(max_length=ITEMS_MAX), NUMBERED_ONCE] = ()

    @model_validator(mode="after")
    def _nothing_said_without_an_answer(self) -> Self:
        if self.number == 0 and (
            self.answer is not codes.AnswerState.NONE or self.items or self.disowned or self.assessed
        ):
            raise ValueError("answer_needs_number")
        return self
