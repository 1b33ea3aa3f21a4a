"""Steps of an edge's clocks, derived from the acts of its two parties.

Both ends compute the same steps. Each side has its own events of the same acts, with the time of the message of each
act, cut to ten seconds. A notice counts as received when it was issued: both sides know that time, and it is never too
late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.core.acts.act import Subject
from shared.core.clock import coarse
from shared.core.contracts.base import Contract
from shared.core.contracts.case_referral import CaseCameBackClear, ReferralPassedOnClear
from shared.core.contracts.items import ItemCheck
from shared.core.contracts.referral import NoticeIssuedClear, ReferralOfferedClear
from shared.core.protocol.items import ItemLog
from shared.core.protocol.message import Received
from shared.core.routing.clocks import ClockedEdge, Effect, Step
from shared.core.vocabulary.answers import AnswerState, ItemFound
from shared.core.vocabulary.law import ClockDue, ClockEvent


@dataclass(frozen=True, slots=True)
class EdgeClock:
    """An edge as one of its parties knows it, by its `subject`.

    `started_at` is the time of the message that carried it. `told_by` is the id that messages use. For a notice it is
    the notice's id, also at the origin, which knows the referral. A preservation is also such an edge, between an
    agency and a provider. `instrument` is the one that the request cites, `start_event` is the clock event of its
    message, and it has no purpose. Other edges have "" in both.
    """

    edge_id: UUID
    party: str
    subject: UUID
    told_by: UUID
    origin: str
    recipient: str
    purpose: str
    rules: tuple[str, ...]
    acknowledge_h: int | None
    act_h: int | None
    started_at: datetime
    instrument: str = ""
    start_event: str = ""


@dataclass(frozen=True, slots=True)
class EdgeStep:
    """A step for all edges between the party and `counterpart` that messages identify by `told_by`."""

    party: str
    told_by: UUID
    counterpart: str
    at: datetime
    did: str
    code: str
    of: int

    @classmethod
    def by(cls, party: str, told_by: UUID, counterpart: str, *, step: Step) -> EdgeStep:
        return cls(party, told_by, counterpart, step.at, step.did.value, step.code, step.of)


_BEGUN: Final[Mapping[Subject, tuple[ClockEvent, ...]]] = {
    Subject.OFFER: (ClockEvent.REPORT_SENT,),
    Subject.CASE: (ClockEvent.REPORT_SENT,),
    Subject.NOTICE: (ClockEvent.NOTICE_ISSUED, ClockEvent.NOTICE_RECEIVED),
}
_ACKNOWLEDGED: Final = frozenset({ClockDue.ACKNOWLEDGEMENT})
#: After a final answer the party does not wait for information or a verdict.
_MOOT: Final = frozenset({ClockDue.INFORMATION, ClockDue.VERDICT})
_REPORTED: Final = _ACKNOWLEDGED | {ClockDue.FEEDBACK, ClockDue.CLAIM}
_DONE: Final[Mapping[AnswerState, frozenset[ClockDue]]] = {
    **dict.fromkeys(
        (AnswerState.NONE, AnswerState.WITHDRAWAL_ACKNOWLEDGED, AnswerState.RECORD_ERASED), frozenset[ClockDue]()
    ),
    **dict.fromkeys((AnswerState.ACKNOWLEDGED, AnswerState.IN_PART, AnswerState.REAPPEARED), _ACKNOWLEDGED),
    # The statement about the last item is the provider's answer. A person at the origin handles rejected items.
    **dict.fromkeys(
        (AnswerState.ACTIONED, AnswerState.REJECTED, AnswerState.NOT_OURS), _ACKNOWLEDGED | _MOOT | {ClockDue.REMOVAL}
    ),
    AnswerState.ACCEPTED: _ACKNOWLEDGED | {ClockDue.CLAIM},
    AnswerState.ONGOING: _REPORTED,
    # The agency that received a case that was passed on has the duties now.
    **dict.fromkeys((AnswerState.DECLINED, AnswerState.CLOSED, AnswerState.REFERRED), _REPORTED | _MOOT),
    AnswerState.CLAIMED: _ACKNOWLEDGED | {ClockDue.FEEDBACK},
}
_STARTED: Final = {(Subject.CASE, AnswerState.ACCEPTED): ClockEvent.CASE_ACCEPTED}


def received(message: Received) -> EdgeClock:
    """Return an edge as its recipient knows it, from the message that carried it."""
    edge, clear = message.edge, message.clear
    assert edge is not None
    assert isinstance(clear, ReferralOfferedClear | NoticeIssuedClear | ReferralPassedOnClear)
    return EdgeClock(
        edge_id=clear.edge_id,
        party=message.recipient,
        subject=message.subject_id,
        told_by=message.subject_id,
        origin=message.filed_by,
        recipient=message.recipient,
        purpose=edge.purpose.value,
        rules=edge.rules,
        acknowledge_h=edge.deadlines.acknowledge_h,
        act_h=edge.deadlines.act_h,
        started_at=coarse(message.sent_at),
    )


def clocked(
    subject: Subject, *, rules: tuple[str, ...], origin: str, recipient: str, deadlines: Mapping[str, int | None]
) -> ClockedEdge:
    """Return the data of an edge for its clocks."""
    hours = {name: number for name, number in deadlines.items() if number}
    return ClockedEdge(rules, origin, recipient, _BEGUN[subject][0], hours)


def begun(subject: Subject, sent_at: datetime, *, again: int = 0) -> tuple[Step, ...]:
    """Return the steps of an offer or notice at the time of its message.

    `again` is the number of earlier starts.
    """
    return tuple(Step(coarse(sent_at), Effect.STARTS, event, again) for event in _BEGUN[subject])


def answered(subject: Subject, answer: AnswerState, told_at: datetime, *, again: int = 0) -> tuple[Step, ...]:
    """Return the steps of a recipient's answer, by the resulting state.

    `again` is the number of ended rounds.
    """
    at = coarse(told_at)
    done = tuple(Step(at, Effect.DOES, due, again) for due in sorted(_DONE[answer]))
    started = _STARTED.get((subject, answer))
    return done if started is None else (*done, Step(at, Effect.STARTS, started))


def told_by(
    subject: Subject, said: Contract, answer: AnswerState, *, told_at: datetime, again: int
) -> tuple[Step, ...]:
    """Return the steps of an answer. The clocks of a case that was returned start again."""
    if not isinstance(said, CaseCameBackClear):
        return answered(subject, answer, told_at, again=again)
    return begun(subject, told_at, again=said.times) + answered(subject, answer, told_at, again=said.times)


def began_again(words: Mapping[str, object]) -> int:
    """Return how often the edge has started again: by item rounds or returns of the case."""
    times = words.get("times")
    return max(ItemLog.kept(words).again, times if isinstance(times, int) else 0)


def checked(found: Sequence[ItemCheck], told_at: datetime) -> tuple[Step, ...]:
    """Return the steps of the origin's checks.

    If an item has reappeared, the clocks of its notice start again.
    """
    again = max((each.round for each in found if each.found is ItemFound.REAPPEARED), default=0)
    return begun(Subject.NOTICE, told_at, again=again) if again else ()


def reported(said: ItemLog, told_at: datetime) -> tuple[Step, ...]:
    """Return the notifier's step when a provider reports that an item is gone. The report needs a check.

    `said` are all statements so far. The provider stores no such step: it need not know the deadline of the check.
    """
    return (Step(coarse(told_at), Effect.STARTS, ClockEvent.REMOVAL_REPORTED, said.removals),)


def awaits_claim(told_at: datetime, *, again: int = 0) -> tuple[Step, ...]:
    """Return the agency's step for a new or returned case with a child at risk and without an officer."""
    return (Step(coarse(told_at), Effect.STARTS, ClockEvent.P0_OFFERED, again),)


def claimed(at: datetime, *, again: int) -> tuple[Step, ...]:
    """Return the agency's step when an officer has claimed the case."""
    return (Step(coarse(at), Effect.DOES, ClockDue.CLAIM, again),)


def rechecked(said: ItemLog, at: datetime) -> tuple[Step, ...]:
    """Return the notifier's step when every item that was reported gone has been checked."""
    return () if said.unchecked() else (Step(coarse(at), Effect.DOES, ClockDue.RECHECK, said.removals),)


def taken_back(told_at: datetime) -> tuple[Step, ...]:
    """Return the step of a withdrawal: all open duties end."""
    return (Step(coarse(told_at), Effect.ENDS),)
