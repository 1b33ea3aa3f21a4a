"""Items answered one by one: what a statement spreads to, what may be said, and the fold, equal on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.answers import (
    ItemAnswer,
    ItemStatement,
    NoticeAnsweredClear,
    NoticeNotOursClear,
    NoticeWithdrawalAcknowledgedClear,
)
from shared.contracts.registry import NOTICE_ANSWERED, NOTICE_NOT_OURS, NOTICE_WITHDRAWAL_ACKNOWLEDGED
from shared.exchange.items import answered, check, fold, kept
from shared.exchange.origin import Answered, answer_edge
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid4, uuid7
from shared.vocabulary.answers import AnswerState, ItemsFold, NoticeAction, NoticeRejection, WithdrawalFate

REMOVED, PRESERVED = NoticeAction.REMOVED, NoticeAction.PRESERVED
NOT_FOUND = NoticeRejection.NOT_FOUND


def acted(n: int | None, action: NoticeAction = REMOVED) -> ItemStatement:
    return ItemStatement(n=n, action=action)


def rejected(n: int | None) -> ItemStatement:
    return ItemStatement(n=n, rejection=NOT_FOUND)


def told(said: Sequence[ItemAnswer]) -> list[tuple[int, str]]:
    return [(each.n, (each.action or each.rejection or NOT_FOUND).value) for each in said]


def test_a_statement_without_a_number_is_about_every_item_that_nothing_was_said_of() -> None:
    first = answered([acted(2)], (1, 2, 3), ())
    assert told(first) == [(2, "removed")]
    both = answered([acted(None), acted(None, PRESERVED), rejected(1)], (1, 2, 3), first)
    assert told(both) == [(3, "removed"), (3, "preserved"), (1, "not_found")]


def test_a_statement_that_is_about_nothing_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        answered([acted(1), acted(None)], (1,), ())
    assert (refusal.value.code, refusal.value.field) == ("items_all_answered", "/items/1")


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ([acted(3)], "item_unknown", "/items/0/n"),
        ([acted(1), acted(1)], "item_action_repeated", "/items/1"),
        ([acted(1), acted(2), rejected(1)], "item_answer_contradicts", "/items/2"),
        ([rejected(1), rejected(1)], "item_action_repeated", "/items/1"),
        ([acted(1).model_copy(update={"round": 2})], "item_round_unknown", "/items/0/round"),
    ],
)
def test_what_may_not_be_said_is_named_by_its_place(said: list[ItemStatement], code: str, field: str) -> None:
    with pytest.raises(Refused) as refusal:
        answered(said, (1, 2), ())
    assert (refusal.value.code, refusal.value.field, refusal.value.status) == (code, field, 422)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([acted(1)], ItemsFold.IN_PART),
        ([rejected(1)], ItemsFold.IN_PART),
        ([acted(1), rejected(2)], ItemsFold.ACTIONED),
        ([rejected(1), rejected(2)], ItemsFold.REJECTED),
        ([acted(None), acted(None, PRESERVED)], ItemsFold.ACTIONED),
    ],
)
def test_a_notice_is_answered_once_every_item_is_and_actioned_by_one_action(
    said: list[ItemStatement], expected: ItemsFold
) -> None:
    assert fold((1, 2), answered(said, (1, 2), ())).items is expected


# -- the origin's side -----------------------------------------------------------------------------------------------

#: Of a referral of nine items, those of the notice: it calls them 1, 2 and 3.
OWN = (2, 5, 9)


def notice_answered(said: Sequence[ItemAnswer], number: int) -> NoticeAnsweredClear:
    return NoticeAnsweredClear(notice_id=uuid7(), act=uuid4(), number=number, items=tuple(said))


def at_the_origin(present: Answered, said: Sequence[ItemAnswer], number: int) -> Answered:
    return answer_edge(present, NOTICE_ANSWERED, notice_answered(said, number), withdrawn=False, own=OWN)


def test_the_origin_keeps_answers_by_its_own_numbers_and_adds_them_up() -> None:
    first = at_the_origin(Answered(AnswerState.NONE), answered([acted(3)], (1, 2, 3), ()), 1)
    assert (first.state, first.acts, told(kept(first.detail["items"]))) == ("in_part", 1, [(9, "removed")])
    second = at_the_origin(first, [ItemAnswer(n=n, round=1, rejection=NOT_FOUND) for n in (1, 2)], 2)
    assert (second.state, second.acts) == ("actioned", 2)
    assert told(kept(second.detail["items"])) == [(9, "removed"), (2, "not_found"), (5, "not_found")]


@pytest.mark.parametrize(
    ("number", "n", "code"),
    [(1, 1, "answer_repeated"), (2, 4, "item_unknown"), (2, 3, "item_action_repeated")],
)
def test_the_origin_believes_no_more_than_a_provider_may_say(number: int, n: int, code: str) -> None:
    present = at_the_origin(Answered(AnswerState.NONE), answered([acted(3)], (1, 2, 3), ()), 1)
    with pytest.raises(Refused, match=code):
        at_the_origin(present, [ItemAnswer(n=n, round=1, action=REMOVED)], number)


def test_a_number_that_was_left_out_holds_nothing_up() -> None:
    """An answer that was refused, or is still on its way, has taken it."""
    assert at_the_origin(Answered(AnswerState.NONE), answered([acted(None)], (1, 2, 3), ()), 7).acts == 7


def test_what_was_said_of_items_stays_when_a_withdrawal_is_acknowledged() -> None:
    present = at_the_origin(Answered(AnswerState.NONE), answered([acted(None)], (1, 2, 3), ()), 1)
    clear = NoticeWithdrawalAcknowledgedClear(notice_id=uuid7(), act=uuid4(), number=2, fate=WithdrawalFate.ERASED)
    noted = answer_edge(present, NOTICE_WITHDRAWAL_ACKNOWLEDGED, clear, withdrawn=True, own=OWN)
    assert (noted.detail["fate"], noted.detail["items"]) == ("erased", present.detail["items"])


def test_the_origin_names_disowned_items_by_its_own_numbers() -> None:
    clear = NoticeNotOursClear(notice_id=uuid7(), act=uuid4(), number=1, disowned=(1, 3))
    disowned = answer_edge(Answered(AnswerState.NONE), NOTICE_NOT_OURS, clear, withdrawn=False, own=OWN)
    assert disowned.detail["disowned"] == [2, 9]


statements = st.lists(
    st.builds(
        lambda n, action: rejected(n) if action is None else acted(n, action),
        st.one_of(st.none(), st.integers(1, 4)),
        st.one_of(st.none(), st.sampled_from(NoticeAction)),
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(st.lists(statements, max_size=5))
def test_both_sides_come_to_the_same_after_every_answer(acts: list[list[ItemStatement]]) -> None:
    """The provider's own fold, and the origin's of what it was told under its own numbers."""
    here: tuple[ItemAnswer, ...] = ()
    there = Answered(AnswerState.NONE)
    for number, said in enumerate(acts, 1):
        if there.state in (AnswerState.ACTIONED, AnswerState.REJECTED):
            break
        try:
            now = answered(said, (1, 2, 3), here)
        except Refused:
            continue
        here = (*here, *now)
        there = at_the_origin(there, now, number)
        assert there.state == fold((1, 2, 3), here).items.value
        assert [(OWN[each.n - 1], each.action) for each in here] == [
            (each.n, each.action) for each in kept(there.detail["items"])
        ]
        check(tuple(enumerate(here)), (1, 2, 3), ())


def test_a_side_that_forgets_what_was_said_before_would_be_noticed() -> None:
    """Negative control: without it, the same action is done twice."""
    once = answered([acted(1)], (1, 2), ())
    assert answered([acted(1)], (1, 2), ()) == once
    with pytest.raises(Refused, match="item_action_repeated"):
        answered([acted(1)], (1, 2), once)
