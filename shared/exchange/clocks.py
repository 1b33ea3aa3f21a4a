"""What the acts of an edge's two parties mean to its clocks: steps, the same at both ends.

Each side has its own events of the same acts, and of each the time of the message that told it, cut to ten seconds.
A notice counts as received when it was issued: that is the one time both can read, and never too late.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from shared.exchange.acts import Offered, Subject, Track
from shared.exchange.states import personal
from shared.kernel.clock import coarse
from shared.routing.clocks import ClockedEdge, Did, Step
from shared.vocabulary.answers import AnswerState
from shared.vocabulary.law import ClockDue, ClockEvent

_BEGUN: Final[Mapping[Subject, tuple[ClockEvent, ...]]] = {
    Subject.OFFER: (ClockEvent.REPORT_SENT,),
    Subject.CASE: (ClockEvent.REPORT_SENT,),
    Subject.NOTICE: (ClockEvent.NOTICE_ISSUED, ClockEvent.NOTICE_RECEIVED),
}
_DONE: Final = {
    AnswerState.NONE: frozenset[ClockDue](),
    AnswerState.ACKNOWLEDGED: frozenset({ClockDue.ACKNOWLEDGEMENT}),
    AnswerState.IN_PART: frozenset({ClockDue.ACKNOWLEDGEMENT}),
    # What a provider says of the last item is its answer; what remains of a rejection is a person's at the origin.
    AnswerState.ACTIONED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.REMOVAL}),
    AnswerState.REJECTED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.REMOVAL}),
    AnswerState.NOT_OURS: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.REMOVAL}),
    AnswerState.ACCEPTED: frozenset({ClockDue.ACKNOWLEDGEMENT}),
    AnswerState.DECLINED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.FEEDBACK}),
    AnswerState.ONGOING: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.FEEDBACK}),
    AnswerState.CLOSED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.FEEDBACK}),
    AnswerState.WITHDRAWAL_ACKNOWLEDGED: frozenset[ClockDue](),
}
_STARTED: Final = {AnswerState.ACCEPTED: ClockEvent.CASE_ACCEPTED}


def clocked(
    subject: Subject, *, rules: tuple[str, ...], origin: str, recipient: str, deadlines: Mapping[str, int | None]
) -> ClockedEdge:
    """An edge as clocks look at it. Where no act answers yet, as of an offer, its deadlines bind nobody."""
    answers = any(Offered.OPEN.value in row.needs for row in personal(subject) if row.track is Track.ANSWER)
    hours = {name: number for name, number in deadlines.items() if number} if answers else {}
    return ClockedEdge(rules, origin, recipient, _BEGUN[subject][0], hours)


def begun(subject: Subject, sent_at: datetime) -> tuple[Step, ...]:
    """The offer or notice, by the time of the message that carried it."""
    return tuple(Step(coarse(sent_at), Did.STARTS, event) for event in _BEGUN[subject])


def answered(answer: AnswerState, told_at: datetime) -> tuple[Step, ...]:
    """An answer of its recipient, by what the answers have come to with it."""
    at = coarse(told_at)
    done = tuple(Step(at, Did.DOES, due) for due in sorted(_DONE[answer]))
    return (*done, Step(at, Did.STARTS, _STARTED[answer])) if answer in _STARTED else done


def taken_back(told_at: datetime) -> tuple[Step, ...]:
    """The withdrawal: whatever was still owed is owed no more."""
    return (Step(coarse(told_at), Did.ENDS),)
