"""Questions and disputes: which one pauses which clock, and the result of every order in which acts cross."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from shared.catalog import CATALOG
from shared.core.acts.act import Subject
from shared.core.contracts.questions import (
    DecidedItem,
    DisputedItem,
    DueQuestion,
    NoticeDisputeAnsweredClear,
    NoticeDisputeRaisedClear,
    NoticeQuestionAskedClear,
    NoticeQuestionLapsedClear,
    NoticeQuestionRepliedClear,
    RepliedItem,
)
from shared.core.contracts.registry import NOTICE_QUESTION_ASKED
from shared.core.errors import Refused
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.clocks import answered
from shared.core.protocol.origin import EdgeAmendments, EdgeAnswer, answer_edge
from shared.core.protocol.questions import LAPSES_AFTER, RaisedQuestion, check_raised, refused_steps, steps
from shared.core.routing.clocks import Step
from shared.core.vocabulary.answers import AnswerState
from shared.core.vocabulary.questions import (
    DisputeReason,
    DisputeVerdict,
    NeedsInfo,
    QuestionKind,
    QuestionReply,
    QuestionState,
)
from tests.shared.core.routing.test_clocks import AT as BEGUN
from tests.shared.core.routing.test_clocks import HOUR, ISSUED, notice, policy, run

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
NOTICE = uuid7()
ASKED = NoticeQuestionAskedClear(
    notice_id=NOTICE, act=uuid4(), number=2, revision=1, about=(1,), needs=(NeedsInfo.LOCATION,), due=AT + LAPSES_AFTER
)
REPLIED = NoticeQuestionRepliedClear(
    notice_id=NOTICE, act=uuid4(), question=2, replied=(RepliedItem(n=1, reply=QuestionReply.GONE),)
)
LAPSED = NoticeQuestionLapsedClear(notice_id=NOTICE, act=uuid4(), number=3, question=2)
DISPUTED = NoticeDisputeRaisedClear(
    notice_id=NOTICE, act=uuid4(), number=4, disputed=(DisputedItem(n=1, reason=DisputeReason.DUPLICATE),)
)
DECIDED = NoticeDisputeAnsweredClear(
    notice_id=NOTICE, act=uuid4(), dispute=4, decided=(DecidedItem(n=1, verdict=DisputeVerdict.UPHELD),)
)
LAW = policy(
    {"id": "recipients-own", "duration_h": 48, "stopped_by": ["needs_info"]},
    {"id": "stands-for-nothing", "duration_h": 48},
    {"id": "stands-for-disputes", "duration_h": 48, "stopped_by": ["disputed"]},
)


def due(*more: Step) -> dict[str, timedelta]:
    """Return how long after the notice each clock of the law falls due."""
    found = run(notice(), *ISSUED, *more, law=LAW)
    return {name: each.due_at - BEGUN for name, each in found.items() if each.due_at is not None}


def test_a_question_stops_only_the_clocks_that_list_it_until_its_answer_or_its_lapse() -> None:
    asked = steps(ASKED, 2, BEGUN + 10 * HOUR)
    assert due(*asked) == {"stands-for-nothing": 48 * HOUR, "stands-for-disputes": 48 * HOUR}
    for over in (REPLIED, LAPSED):
        found = due(*asked, *steps(over, 3, BEGUN + 15 * HOUR))
        assert found["recipients-own"] == 53 * HOUR
        assert found["stands-for-nothing"] == found["stands-for-disputes"] == 48 * HOUR


def test_a_dispute_stops_only_the_clocks_that_list_it() -> None:
    raised, over = steps(DISPUTED, 4, BEGUN + HOUR), steps(DECIDED, 0, BEGUN + 3 * HOUR)
    assert due(*raised, *over) == {
        "recipients-own": 48 * HOUR,
        "stands-for-nothing": 48 * HOUR,
        "stands-for-disputes": 50 * HOUR,
    }


def test_what_was_refused_leaves_every_clock_as_its_origin_knows_it() -> None:
    for clear, kind in ((ASKED, QuestionKind.QUESTION), (DISPUTED, QuestionKind.DISPUTE)):
        raised = steps(clear, 2, BEGUN + 10 * HOUR)
        assert due(*raised, *refused_steps(kind, 2, BEGUN + 10 * HOUR)) == due()
        assert due(*raised, *refused_steps(kind, 2, BEGUN + 11 * HOUR)) != due(), "as if it had been asked there"


def test_with_the_lists_of_causes_ignored_every_clock_would_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: any cause pauses any clock."""

    class Everything(frozenset[str]):
        def __contains__(self, cause: object) -> bool:
            return True

    monkeypatch.setattr("shared.core.routing.clocks._causes", lambda entry: Everything())
    law = policy({"id": "stands-for-all", "duration_h": 48})
    asked = steps(ASKED, 2, BEGUN + 10 * HOUR)
    assert run(notice(), *ISSUED, *asked, law=law)["stands-for-all"].due_at is None


def test_the_order_in_which_answer_and_lapse_are_known_changes_no_clock() -> None:
    asked = steps(ASKED, 2, BEGUN + HOUR)
    replied, lapsed = steps(REPLIED, 0, BEGUN + 6 * HOUR), steps(LAPSED, 3, BEGUN + 5 * HOUR)
    orders = {tuple(sorted(due(*asked, *first, *second).items())) for first, second in permutations((replied, lapsed))}
    assert len(orders) == 1


def test_an_answer_for_good_leaves_nothing_owed_of_questions() -> None:
    dues = {step.code for step in answered(Subject.NOTICE, AnswerState.ACTIONED, AT)}
    assert {"information", "verdict"} <= dues
    assert not {"information", "verdict"} & {step.code for step in answered(Subject.NOTICE, AnswerState.IN_PART, AT)}


def test_a_question_that_crossed_an_amendment_is_taken_and_moves_nothing() -> None:
    """The provider's remaining item was removed meanwhile. At the origin, all remaining items are answered for good."""
    present = EdgeAnswer(AnswerState.ACTIONED, {}, 1)
    after = answer_edge(
        present,
        CATALOG.acts_of(NOTICE_QUESTION_ASKED),
        ASKED,
        withdrawn=False,
        own=(1, 2),
        amended=EdgeAmendments(2, frozenset({2})),
    )
    assert (after.state, after.acts) == (AnswerState.ACTIONED, 2)
    with pytest.raises(Refused, match="answer_out_of_order"):
        answer_edge(present, CATALOG.acts_of(NOTICE_QUESTION_ASKED), ASKED, withdrawn=False, own=(1, 2))


def test_both_kinds_stand_beside_each_other_and_bound_themselves_alone() -> None:
    asked = DueQuestion(about=(1,), needs=(NeedsInfo.HASHES,), due=AT)
    open_dispute = RaisedQuestion(QuestionKind.DISPUTE, 1, QuestionState.OPEN, frozenset({1}))
    check_raised(asked, (1, 2), [open_dispute])
    with pytest.raises(Refused, match="question_open"):
        check_raised(asked, (1, 2), [RaisedQuestion(QuestionKind.QUESTION, 2, QuestionState.OPEN, frozenset({1}))])


def test_a_question_that_crossed_a_withdrawal_is_taken_and_moves_nothing() -> None:
    after = answer_edge(
        EdgeAnswer(AnswerState.ACKNOWLEDGED, {}, 1),
        CATALOG.acts_of(NOTICE_QUESTION_ASKED),
        ASKED,
        withdrawn=True,
        own=(1, 2),
    )
    assert after.state is AnswerState.ACKNOWLEDGED
