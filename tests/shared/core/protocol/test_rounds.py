"""Rounds of items: an item that is found again or reinstated is answered once more, on both sides."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from shared.core.acts.act import Subject
from shared.core.contracts.answers import CheckStatement, ItemStatement, ReinstateStatement
from shared.core.contracts.items import CHECKS_MAX, ROUNDS_MAX, ItemCheck
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.core.protocol.clocks import answered as clocks_of
from shared.core.protocol.clocks import begun, checked, clocked, rechecked, reported
from shared.core.protocol.items import ItemLog, answered, fold, found, latest, reinstated
from shared.core.protocol.retention_grounds import folded
from shared.core.routing.clocks import Effect, Law, Step, runs
from shared.core.vocabulary.answers import (
    AnswerState,
    CheckedBy,
    ItemFound,
    NoticeAction,
    NoticeRejection,
    ReinstateReason,
)
from tests.support.builders import HOTLINE, PROVIDER
from tests.support.exchange_world import world

AT = datetime(2026, 5, 6, 9, tzinfo=UTC)
NUMBERS = (1, 2)
COMPLAINT = ReinstateReason.COMPLAINT_UPHELD


def removing(before: ItemLog, *numbers: int, action: NoticeAction = NoticeAction.REMOVED) -> ItemLog:
    return before + answered([ItemStatement(n=n, action=action) for n in numbers], NUMBERS, before)


def finding(before: ItemLog, n: int, what: ItemFound) -> ItemLog:
    return before + found([CheckStatement(n=n, found=what)], NUMBERS, before, at=AT, notice_id=uuid7())


REMOVED = removing(ItemLog(), 1, 2)
#: The clocks of practice that a notice starts.
REMINDERS = (
    "practice-notice-reminder",
    "practice-notice-to-owner",
    "practice-notice-to-registrar",
    "practice-notice-to-regulator",
)


@pytest.mark.parametrize("action", [NoticeAction.REMOVED, NoticeAction.ALREADY_GONE])
def test_what_was_said_gone_and_is_up_has_reappeared(action: NoticeAction) -> None:
    said = finding(removing(ItemLog(), 1, 2, action=action), 1, ItemFound.UP)
    assert [each.found for each in said.checks] == [ItemFound.REAPPEARED]
    assert (said.round_of(1), said.round_of(2), fold(NUMBERS, said).items) == (2, 1, "reappeared")


def test_what_nobody_said_to_be_gone_is_up_and_no_more() -> None:
    for before in (ItemLog(), removing(ItemLog(), 1, action=NoticeAction.PRESERVED)):
        said = finding(before, 1, ItemFound.UP)
        assert ([each.found for each in said.checks], said.round_of(1)) == ([ItemFound.UP], 1)
        with pytest.raises(Refused, match="item_never_gone"):
            finding(before, 1, ItemFound.REAPPEARED)


def test_what_was_found_gone_may_reappear_whatever_its_provider_said() -> None:
    gone = finding(ItemLog(), 1, ItemFound.GONE)
    assert finding(gone, 1, ItemFound.UP).round_of(1) == 2


def test_each_action_comes_once_an_item_and_round() -> None:
    with pytest.raises(Refused, match="item_action_repeated"):
        removing(REMOVED, 1)
    again = finding(REMOVED, 1, ItemFound.UP)
    twice = removing(again, 1)
    assert (twice.answers[-1].round, fold(NUMBERS, twice).items) == (2, "actioned")
    with pytest.raises(Refused, match="item_action_repeated"):
        removing(twice, 1)
    with pytest.raises(Refused, match="item_round_unknown"):
        answered([ItemStatement(n=1, round=1, action=NoticeAction.PRESERVED)], NUMBERS, again)


def test_an_item_is_acted_on_or_rejected_in_one_round_and_may_be_otherwise_in_the_next() -> None:
    rejecting = [ItemStatement(n=1, rejection=NoticeRejection.NOT_FOUND)]
    with pytest.raises(Refused, match="item_answer_contradicts"):
        answered(rejecting, NUMBERS, REMOVED)
    again = finding(REMOVED, 1, ItemFound.UP)
    assert answered(rejecting, NUMBERS, again).answers[0].round == 2


def test_only_what_was_acted_on_is_reinstated() -> None:
    back = reinstated([ReinstateStatement(reason=COMPLAINT)], NUMBERS, removing(ItemLog(), 2))
    assert [(each.n, each.round) for each in back.reinstated] == [(2, 1)]
    with pytest.raises(Refused, match="item_not_acted_on"):
        reinstated([ReinstateStatement(n=1, reason=COMPLAINT)], NUMBERS, removing(ItemLog(), 2))
    with pytest.raises(Refused, match="item_not_acted_on"):
        reinstated([ReinstateStatement(reason=COMPLAINT)], NUMBERS, ItemLog())


def test_acts_that_cross_come_to_the_same_in_either_order() -> None:
    """A provider reinstates an item while its origin finds it again, and answers another item meanwhile."""
    before = removing(ItemLog(), 1)
    back = reinstated([ReinstateStatement(n=1, reason=COMPLAINT)], NUMBERS, before)
    is_up = found([CheckStatement(n=1, found=ItemFound.UP)], NUMBERS, before, at=AT, notice_id=uuid7())
    other = answered([ItemStatement(n=2, action=NoticeAction.REMOVED)], NUMBERS, before)
    orders = [sum(order, before) for order in itertools.permutations((back, is_up, other))]
    came_to = {(fold(NUMBERS, said).items, said.round_of(1), said.round_of(2)) for said in orders}
    assert came_to == {("reappeared", 2, 1)}


def test_a_round_that_were_counted_by_acts_would_differ() -> None:
    """Negative control of the test above: each of the two acts would end a round of its own."""
    back = reinstated([ReinstateStatement(n=1, reason=COMPLAINT)], NUMBERS, REMOVED)
    gone = removing(REMOVED + back, 1)
    later = found([CheckStatement(n=1, found=ItemFound.UP)], NUMBERS, gone, at=AT, notice_id=uuid7())
    assert (REMOVED + back + later).round_of(1) == 3


def test_rounds_and_checks_end_somewhere() -> None:
    said = REMOVED
    for _ in range(1, ROUNDS_MAX):
        said = removing(finding(said, 1, ItemFound.UP), 1)
    with pytest.raises(Refused, match="item_rounds_exhausted"):
        finding(said, 1, ItemFound.UP)
    with pytest.raises(Refused, match="item_rounds_exhausted"):
        reinstated([ReinstateStatement(n=1, reason=COMPLAINT)], NUMBERS, said)
    check = ItemCheck(n=2, round=1, found=ItemFound.GONE, by=CheckedBy.TOOL, at=AT)
    with pytest.raises(Refused, match="checks_exhausted"):
        finding(ItemLog(checks=(check,) * CHECKS_MAX), 2, ItemFound.GONE)


def test_nothing_of_an_earlier_round_is_overwritten_and_the_latest_goes_on_alike() -> None:
    said = removing(finding(REMOVED, 1, ItemFound.UP), 1)
    kept = folded(REMOVED.words(), ItemLog(said.answers[2:], (), said.checks).words())
    assert ItemLog.kept(kept) == said
    told = latest(said)
    assert [(each.n, each.round) for each in told.answers] == [(2, 1), (1, 2)]
    assert (told.round_of(1), fold(NUMBERS, told)) == (2, fold(NUMBERS, said))


def test_a_removal_is_to_be_checked_and_what_reappeared_begins_its_clocks_anew() -> None:
    (begins,) = reported(REMOVED, AT)
    assert (begins.did, begins.code) == (Effect.STARTS, "removal_reported")
    one = finding(REMOVED, 1, ItemFound.GONE)
    assert rechecked(one, AT) == ()
    (ends,) = rechecked(finding(one, 2, ItemFound.GONE), AT + timedelta(hours=1))
    assert (ends.did, ends.code) == (Effect.DOES, "recheck")
    assert checked(one.checks, AT) == ()
    again = checked(finding(REMOVED, 1, ItemFound.UP).checks, AT)
    assert [step.code for step in again] == ["notice_issued", "notice_received"]


def test_of_two_at_one_time_the_round_tells_which_was_later() -> None:
    """Times are cut to ten seconds.

    Within them the provider removes an item, the origin finds it again, and it is removed again.
    """
    again = finding(removing(ItemLog(), 1), 1, ItemFound.UP)
    last = removing(again, 1)
    first = (*said_removed(ItemLog(), AT), *reported(removing(ItemLog(), 1), AT))
    found_up = (*checked(again.checks, AT), *rechecked(again, AT))
    second = (*said_removed(again, AT), *reported(last, AT))
    assert still_due(first) == {"practice-recheck": 1}
    assert still_due((*first, *found_up)) == dict.fromkeys(REMINDERS, 1)
    assert still_due((*first, *found_up, *second)) == {"practice-recheck": 1}
    assert still_due((*first, *found_up, *second, *rechecked(finding(last, 1, ItemFound.GONE), AT))) == {}


def test_without_rounds_what_was_done_before_would_end_what_begins_after() -> None:
    """Negative control of the test above."""
    again = finding(removing(ItemLog(), 1), 1, ItemFound.UP)
    steps = (*said_removed(ItemLog(), AT), *checked(again.checks, AT))
    assert still_due(tuple(step._replace(of=0) for step in steps)) == {}


def said_removed(before: ItemLog, at: datetime) -> tuple[Step, ...]:
    return clocks_of(Subject.NOTICE, AnswerState.ACTIONED, at, again=before.again)


def still_due(steps: tuple[Step, ...]) -> dict[str, int]:
    """Return the clocks of practice that a notice has open."""
    documents = world().documents
    edge = clocked(Subject.NOTICE, rules=(), origin=HOTLINE, recipient=PROVIDER, deadlines={})
    found = runs(edge, [*begun(Subject.NOTICE, AT), *steps], lambda _: Law(documents.directory, documents.policy))
    return Counter(run.clock for run in found if run.ended_at is None and run.instrument == "practice")
