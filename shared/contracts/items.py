"""Items of a referral or notice: their numbers, what was done about each, and all that was answered so far."""

from __future__ import annotations

from typing import Annotated, Protocol, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from shared.contracts.base import Contract, EventTime, Flag, PartyId
from shared.vocabulary import answers as codes

#: Items of a referral or notice.
ITEMS_MAX = 10
#: Items that a referral or notice has had, over all its revisions. What was said of each stays said.
ITEMS_EVER_MAX = 99
#: An item's number: given by the origin's service, stable over revisions, never used again. A notice counts its own.
ItemNumber = Annotated[int, Field(strict=True, ge=1, le=ITEMS_EVER_MAX)]
#: Statements about items in one answer: of each item every action, of which there may come to be ten.
ITEM_ANSWERS_MAX = 100
#: An item can be reinstated or reappear so often, less one.
ROUNDS_MAX = 9
#: What is kept of checks of all items of a notice.
CHECKS_MAX = 100
#: Of an item: 1, and one more each time it is reinstated or reappears.
Round = Annotated[int, Field(strict=True, ge=1, le=99)]


class _Numbered(Protocol):
    @property
    def n(self) -> int: ...


_NumberedT = TypeVar("_NumberedT", bound=_Numbered)


def _once_each(items: tuple[_NumberedT, ...]) -> tuple[_NumberedT, ...]:
    """Raises `ValueError` where two items have one number: an answer to it would be about both, or about either."""
    if len({item.n for item in items}) != len(items):
        raise ValueError("item_number_repeated")
    return items


#: Of items that are known by their numbers.
NUMBERED_ONCE = AfterValidator(_once_each)


class ItemOutcome(Contract):
    """What was done about one item, and when that took effect (DSA Article 9(5)), or why nothing was done."""

    action: codes.NoticeAction | None = None
    rejection: codes.NoticeRejection | None = None
    reason: codes.ActionReason | None = None
    effective_at: EventTime | None = None

    @model_validator(mode="after")
    def _either_acted_or_rejected(self) -> Self:
        if (self.action is None) == (self.rejection is None):
            raise ValueError("action_or_rejection")
        if self.effective_at is not None and self.action is None:
            raise ValueError("effective_at_needs_action")
        return self


class ItemAnswer(ItemOutcome):
    """What a provider has said of one item of a notice in one round."""

    n: ItemNumber
    round: Round


class ItemCheck(Contract):
    """What was found of one item, in the round that it was in, by whom and when. What `reappeared` ends its round."""

    n: ItemNumber
    round: Round
    found: codes.ItemFound
    by: codes.CheckedBy
    at: EventTime


class Reinstated(Contract):
    """An item that its provider has made available again, which ends the round that it was in."""

    n: ItemNumber
    round: Round
    reason: codes.ReinstateReason


class OtherHost(Contract):
    """The provider that hosts an item instead, if known."""

    suggested: PartyId | None = None


class Disowned(OtherHost):
    """One item that the provider does not host."""

    n: ItemNumber


#: Words about items in one answer, and in all of them: of each item every one, of which there may come to be ten.
ASSESSED_MAX = 100
#: Of an act in its track, which is what one party writes about one subject: 1, 2, 3 …
TRACK_NUMBER_MAX = 1_000_000


def over_all_revisions(words_max: int) -> int:
    """How many words there may be of items so far, where there are `words_max` of those of one revision."""
    return words_max * ITEMS_EVER_MAX // ITEMS_MAX


class ItemFinding(Contract):
    """What a hotline finds an item to be, or what it did. `not_illegal` and `unavailable` need a reason."""

    assessment: codes.HotlineAssessment | None = None
    action: codes.HotlineAction | None = None
    reason: codes.ActionReason | None = None

    @property
    def reasoned(self) -> bool:
        """Whether it is one of those that need a reason: no other may have one."""
        return self.assessment is codes.HotlineAssessment.NOT_ILLEGAL or self.action is codes.HotlineAction.UNAVAILABLE


class AssessedItem(ItemFinding):
    """What a hotline has said of one item of a referral."""

    n: ItemNumber

    @model_validator(mode="after")
    def _either_and_reasoned(self) -> Self:
        if (self.assessment is None) == (self.action is None):
            raise ValueError("assessment_or_action")
        if self.reasoned != (self.reason is not None):
            raise ValueError("reason_needed")
        return self


class AnsweredSoFar(Contract):
    """What the recipient has said of an edge that is issued anew: its track as the origin knows it.

    `moved`: it is issued to where the recipient has moved; else to where it lies already, because of an answer that
    came late from where it was before, or, `restored`, because that place has forgotten some of it. `number` is that of
    the newest answer, 0 for none. What was said of items that stand is by the notice's numbers: answers of the rounds
    that they are in, and what ended the round before.
    """

    moved: Flag = False
    restored: Flag = False
    answer: codes.AnswerState
    number: Annotated[int, Field(strict=True, ge=0, le=TRACK_NUMBER_MAX)]
    items: Annotated[tuple[ItemAnswer, ...], Field(max_length=ITEM_ANSWERS_MAX)] = ()
    disowned: Annotated[tuple[Disowned, ...], Field(max_length=ITEMS_MAX), NUMBERED_ONCE] = ()
    assessed: Annotated[tuple[AssessedItem, ...], Field(max_length=ASSESSED_MAX)] = ()
    checked: Annotated[tuple[ItemCheck, ...], Field(max_length=ITEMS_MAX), NUMBERED_ONCE] = ()
    reinstated: Annotated[tuple[Reinstated, ...], Field(max_length=ITEMS_MAX), NUMBERED_ONCE] = ()

    @model_validator(mode="after")
    def _nothing_said_without_an_answer(self) -> Self:
        if self.number == 0 and (
            self.answer is not codes.AnswerState.NONE or self.items or self.disowned or self.assessed
        ):
            raise ValueError("answer_needs_number")
        return self
