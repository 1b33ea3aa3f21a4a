"""Items answered one by one: covered items, allowed answers, and the same fold on both sides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.catalog import CATALOG
from shared.core.contracts.answers import (
    DisowningStatement,
    ItemStatement,
    NoticeAnsweredClear,
    NoticeNotOursClear,
    NoticeWithdrawalAcknowledgedClear,
)
from shared.core.contracts.items import DisownedItem, ItemAnswer
from shared.core.contracts.registry import NOTICE_ANSWERED, NOTICE_NOT_OURS, NOTICE_WITHDRAWAL_ACKNOWLEDGED
from shared.core.errors import Refused
from shared.core.guard.rules import CLOCK_SKEW
from shared.core.ids import coarse_uuid7, uuid4, uuid7
from shared.core.protocol.items import ItemLog, answered, check, check_times, disowned, fold, renumbered
from shared.core.protocol.origin import EdgeAnswer, answer_edge
from shared.core.vocabulary.answers import AnswerState, ItemsFold, NoticeAction, NoticeRejection, WithdrawalFate

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)

REMOVED, PRESERVED = NoticeAction.REMOVED, NoticeAction.PRESERVED
NOT_FOUND = NoticeRejection.NOT_FOUND


def acted(n: int | None, action: NoticeAction = REMOVED) -> ItemStatement:
    return ItemStatement(n=n, action=action)


def rejected(n: int | None) -> ItemStatement:
    return ItemStatement(n=n, rejection=NOT_FOUND)


def theirs(n: int | None, suggested: str | None = None) -> DisowningStatement:
    return DisowningStatement(n=n, suggested=suggested)


NOTHING = ItemLog()


def told(said: ItemLog) -> list[tuple[int, str]]:
    return [(each.n, (each.action or each.rejection or NOT_FOUND).value) for each in said.answers]


def test_a_statement_without_a_number_is_about_every_item_that_nothing_was_said_of() -> None:
    first = answered([acted(2)], (1, 2, 3), NOTHING)
    assert told(first) == [(2, "removed")]
    both = answered([acted(None), acted(None, PRESERVED), rejected(1)], (1, 2, 3), first)
    assert told(both) == [(3, "removed"), (3, "preserved"), (1, "not_found")]


def test_what_is_to_take_effect_has_happened_or_a_clock_is_a_little_fast() -> None:
    fast = AT + CLOCK_SKEW
    stated = [ItemStatement(action=NoticeAction.REMOVED, effective_at=at) for at in (AT, fast, fast.replace(year=9999))]
    check_times(stated[:2], AT, notice_id=uuid7())
    with pytest.raises(Refused) as refusal:
        check_times(stated, AT, notice_id=uuid7())
    assert (refusal.value.code, refusal.value.field) == ("time_ahead", "/items/2/effective_at")


def test_what_took_effect_did_so_on_the_day_of_its_notice_or_later() -> None:
    """Earlier any second since the year 2000 passed."""
    days = [AT - timedelta(days=each) for each in (0, 2, 3)]
    stated = [ItemStatement(action=NoticeAction.REMOVED, effective_at=at) for at in days]
    check_times(stated[:2], AT, notice_id=coarse_uuid7(days[1]))
    with pytest.raises(Refused) as refusal:
        check_times(stated, AT, notice_id=coarse_uuid7(days[1]))
    assert (refusal.value.code, refusal.value.field) == ("time_early", "/items/2/effective_at")


def test_a_statement_that_is_about_nothing_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        answered([acted(1), acted(None)], (1,), NOTHING)
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
        answered(said, (1, 2), NOTHING)
    assert (refusal.value.code, refusal.value.field, refusal.value.status) == (code, field, 422)


@pytest.mark.parametrize(
    ("said", "others", "expected"),
    [
        ([acted(1)], [], ItemsFold.IN_PART),
        ([rejected(1)], [], ItemsFold.IN_PART),
        ([], [theirs(1)], ItemsFold.IN_PART),
        ([acted(1), rejected(2)], [], ItemsFold.ACTIONED),
        ([rejected(1), rejected(2)], [], ItemsFold.REJECTED),
        ([acted(None), acted(None, PRESERVED)], [], ItemsFold.ACTIONED),
        ([acted(1)], [theirs(None)], ItemsFold.ACTIONED),
        ([rejected(2)], [theirs(1)], ItemsFold.REJECTED),
        ([], [theirs(None)], ItemsFold.NOT_OURS),
    ],
)
def test_a_notice_is_answered_once_every_item_is_and_actioned_by_one_action(
    said: list[ItemStatement], others: list[DisowningStatement], expected: ItemsFold
) -> None:
    first = answered(said, (1, 2), NOTHING)
    assert fold((1, 2), first + disowned(others, (1, 2), first)).items is expected


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ([theirs(4)], "item_unknown", "/disowned/0/n"),
        ([theirs(2)], "item_action_repeated", "/disowned/0"),
        ([theirs(3), theirs(3)], "item_action_repeated", "/disowned/1"),
        ([theirs(1)], "item_answer_contradicts", "/disowned/0"),
        ([theirs(3), theirs(None)], "items_all_answered", "/disowned/1"),
    ],
)
def test_an_item_is_disowned_once_and_not_beside_an_answer(
    said: list[DisowningStatement], code: str, field: str
) -> None:
    before = answered([acted(1)], (1, 2, 3), NOTHING) + disowned([theirs(2)], (1, 2, 3), NOTHING)
    with pytest.raises(Refused) as refusal:
        disowned(said, (1, 2, 3), before)
    assert (refusal.value.code, refusal.value.field, refusal.value.status) == (code, field, 422)
    assert disowned([theirs(3)], (1, 2, 3), before).numbers() == {3}


def test_a_disowned_item_is_not_answered() -> None:
    before = disowned([theirs(2)], (1, 2), NOTHING)
    assert told(answered([acted(None)], (1, 2), before)) == [(1, "removed")]
    with pytest.raises(Refused, match="item_answer_contradicts"):
        answered([acted(2)], (1, 2), before)


# -- the origin's side -----------------------------------------------------------------------------------------------

#: The notice's items, of a referral of nine. The notice calls them 1, 2 and 3.
OWN = (2, 5, 9)


def at_the_origin(present: EdgeAnswer, said: ItemLog, number: int) -> EdgeAnswer:
    """Return the origin's copy after a message with this content."""
    named = {"notice_id": uuid7(), "act": uuid4(), "number": number}
    if said.answers:
        return answer_edge(
            present,
            CATALOG.acts_of(NOTICE_ANSWERED),
            NoticeAnsweredClear(**named, items=said.answers),
            withdrawn=False,
            own=OWN,
        )
    return answer_edge(
        present,
        CATALOG.acts_of(NOTICE_NOT_OURS),
        NoticeNotOursClear(**named, disowned=said.disowned),
        withdrawn=False,
        own=OWN,
    )


def test_the_origin_keeps_answers_by_its_own_numbers_and_adds_them_up() -> None:
    first = at_the_origin(EdgeAnswer(AnswerState.NONE), answered([acted(3)], (1, 2, 3), NOTHING), 1)
    assert (first.state, first.acts, told(ItemLog.kept(first.detail))) == ("in_part", 1, [(9, "removed")])
    second = at_the_origin(first, answered([rejected(1), rejected(2)], (1, 2, 3), NOTHING), 2)
    assert (second.state, second.acts) == ("actioned", 2)
    assert told(ItemLog.kept(second.detail)) == [(9, "removed"), (2, "not_found"), (5, "not_found")]


ACTED, DISOWNED = ItemAnswer(n=1, round=1, action=REMOVED), DisownedItem(n=1)


@pytest.mark.parametrize(
    ("said", "number", "code"),
    [
        (ACTED, 1, "answer_repeated"),
        (ACTED.model_copy(update={"n": 4}), 3, "item_unknown"),
        (ACTED, 3, "item_action_repeated"),
        (DISOWNED.model_copy(update={"n": 3}), 3, "item_action_repeated"),
        (DISOWNED, 3, "item_answer_contradicts"),
        (DISOWNED.model_copy(update={"n": 4}), 3, "item_unknown"),
    ],
)
def test_the_origin_believes_no_more_than_a_provider_may_say(
    said: ItemAnswer | DisownedItem, number: int, code: str
) -> None:
    present = at_the_origin(EdgeAnswer(AnswerState.NONE), answered([acted(1)], (1, 2, 3), NOTHING), 1)
    present = at_the_origin(present, disowned([theirs(3)], (1, 2, 3), NOTHING), 2)
    told = ItemLog(answers=(said,)) if isinstance(said, ItemAnswer) else ItemLog(disowned=(said,))
    with pytest.raises(Refused, match=code):
        at_the_origin(present, told, number)


def test_a_number_that_was_left_out_holds_nothing_up() -> None:
    """An answer that was refused or is still in transit has used the number."""
    assert at_the_origin(EdgeAnswer(AnswerState.NONE), answered([acted(None)], (1, 2, 3), NOTHING), 7).acts == 7


def test_what_was_said_of_items_stays_when_a_withdrawal_is_acknowledged() -> None:
    present = at_the_origin(EdgeAnswer(AnswerState.NONE), answered([acted(None)], (1, 2, 3), NOTHING), 1)
    clear = NoticeWithdrawalAcknowledgedClear(notice_id=uuid7(), act=uuid4(), number=2, fate=WithdrawalFate.ERASED)
    noted = answer_edge(present, CATALOG.acts_of(NOTICE_WITHDRAWAL_ACKNOWLEDGED), clear, withdrawn=True, own=OWN)
    assert (noted.detail["fate"], noted.detail["items"]) == ("erased", present.detail["items"])


def test_the_origin_names_disowned_items_by_its_own_numbers_and_adds_them_up() -> None:
    """Disowned items used to close the whole notice, even if they were few."""
    first = at_the_origin(EdgeAnswer(AnswerState.NONE), disowned([theirs(1, "q.example")], (1, 2, 3), NOTHING), 1)
    assert (first.state, first.detail["disowned"]) == ("in_part", [{"suggested": "q.example", "n": 2}])
    second = at_the_origin(first, answered([acted(2)], (1, 2, 3), NOTHING), 2)
    third = at_the_origin(second, disowned([theirs(3)], (1, 2, 3), NOTHING), 3)
    assert (second.state, third.state) == ("in_part", "actioned")
    assert [each.n for each in ItemLog.kept(third.detail).disowned] == [2, 9]
    assert third.detail["items"] == second.detail["items"]


statements = st.lists(
    st.builds(
        lambda n, action: rejected(n) if action is None else acted(n, action),
        st.one_of(st.none(), st.integers(1, 4)),
        st.one_of(st.none(), st.sampled_from(NoticeAction)),
    ),
    min_size=1,
    max_size=4,
)
disownings = st.lists(st.builds(theirs, st.one_of(st.none(), st.integers(1, 4))), min_size=1, max_size=2)


@settings(deadline=None)
@given(
    st.lists(st.one_of(statements.map(lambda said: (answered, said)), disownings.map(lambda said: (disowned, said))))
)
def test_both_sides_come_to_the_same_after_every_answer(acts: list[tuple[Callable[..., ItemLog], list[Any]]]) -> None:
    """The provider's own fold equals the origin's fold of the same answers under the origin's numbers."""
    here, there = NOTHING, EdgeAnswer(AnswerState.NONE)
    for number, (spread, said) in enumerate(acts, 1):
        if there.state in (AnswerState.ACTIONED, AnswerState.REJECTED, AnswerState.NOT_OURS):
            break
        try:
            now = spread(said, (1, 2, 3), here)
        except Refused:
            continue
        here += now
        there = at_the_origin(there, now, number)
        assert there.state == fold((1, 2, 3), here).items.value
        assert renumbered(here, OWN) == ItemLog.kept(there.detail)
        check(here, (1, 2, 3), NOTHING)
