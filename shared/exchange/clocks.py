"""What the acts of an edge's two parties mean to its clocks: steps, the same at both ends.

Each side has its own events of the same acts, and of each the time of the message that told it, cut to ten seconds.
A notice counts as received when it was issued: that is the one time both can read, and never too late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from shared.contracts.base import Contract
from shared.contracts.case_referral import CaseCameBackClear, ReferralPassedOnClear
from shared.contracts.items import ItemCheck
from shared.contracts.referral import NoticeIssuedClear, ReferralOfferedClear
from shared.exchange.act import Subject
from shared.exchange.items import Said
from shared.exchange.message import Received
from shared.kernel.clock import coarse
from shared.routing.clocks import ClockedEdge, Did, Step
from shared.vocabulary.answers import AnswerState, ItemFound
from shared.vocabulary.law import ClockDue, ClockEvent


@dataclass(frozen=True, slots=True)
class Clocked:
    """An edge as one of its parties knows it, by its `subject`. `begun_at`: the time of the message that carried it.

    `told_by` is the id by which messages name it: of a notice its own, also at the origin, which knows the referral.
    A preservation is one, too, of an agency and a provider: `instrument` is what it was asked under, `begins` the event
    that its message is to clocks, and it has no purpose. Both are "" of every other.
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
    begun_at: datetime
    instrument: str = ""
    begins: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """A step of every edge that the party has with `counterpart` and that messages name so."""

    party: str
    told_by: UUID
    counterpart: str
    at: datetime
    did: str
    code: str
    of: int

    @classmethod
    def by(cls, party: str, told_by: UUID, counterpart: str, *, step: Step) -> Happened:
        return cls(party, told_by, counterpart, step.at, step.did.value, step.code, step.of)


_BEGUN: Final[Mapping[Subject, tuple[ClockEvent, ...]]] = {
    Subject.OFFER: (ClockEvent.REPORT_SENT,),
    Subject.CASE: (ClockEvent.REPORT_SENT,),
    Subject.NOTICE: (ClockEvent.NOTICE_ISSUED, ClockEvent.NOTICE_RECEIVED),
}
#: Whoever has answered for good waits for no answer any more.
_MOOT: Final = frozenset({ClockDue.INFORMATION, ClockDue.VERDICT})
_DONE: Final = {
    AnswerState.NONE: frozenset[ClockDue](),
    AnswerState.ACKNOWLEDGED: frozenset({ClockDue.ACKNOWLEDGEMENT}),
    AnswerState.IN_PART: frozenset({ClockDue.ACKNOWLEDGEMENT}),
    # What a provider says of the last item is its answer; what remains of a rejection is a person's at the origin.
    AnswerState.ACTIONED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.REMOVAL}) | _MOOT,
    AnswerState.REJECTED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.REMOVAL}) | _MOOT,
    AnswerState.REAPPEARED: frozenset({ClockDue.ACKNOWLEDGEMENT}),
    AnswerState.NOT_OURS: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.REMOVAL}) | _MOOT,
    AnswerState.ACCEPTED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.CLAIM}),
    AnswerState.DECLINED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.FEEDBACK, ClockDue.CLAIM}) | _MOOT,
    AnswerState.ONGOING: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.FEEDBACK, ClockDue.CLAIM}),
    AnswerState.CLOSED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.FEEDBACK, ClockDue.CLAIM}) | _MOOT,
    # Whoever it was referred to owes what is due now.
    AnswerState.REFERRED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.FEEDBACK, ClockDue.CLAIM}) | _MOOT,
    AnswerState.CLAIMED: frozenset({ClockDue.ACKNOWLEDGEMENT, ClockDue.FEEDBACK}),
    AnswerState.WITHDRAWAL_ACKNOWLEDGED: frozenset[ClockDue](),
    AnswerState.RECORD_ERASED: frozenset[ClockDue](),
}
_STARTED: Final = {(Subject.CASE, AnswerState.ACCEPTED): ClockEvent.CASE_ACCEPTED}


def received(message: Received) -> Clocked:
    """An edge as its recipient knows it, from the message that carried it."""
    edge, clear = message.edge, message.clear
    assert edge is not None
    assert isinstance(clear, ReferralOfferedClear | NoticeIssuedClear | ReferralPassedOnClear)
    return Clocked(
        edge_id=clear.edge_id,
        party=message.recipient,
        subject=UUID(message.subject),
        told_by=UUID(message.subject),
        origin=message.filed_by,
        recipient=message.recipient,
        purpose=edge.purpose.value,
        rules=edge.rules,
        acknowledge_h=edge.deadlines.acknowledge_h,
        act_h=edge.deadlines.act_h,
        begun_at=coarse(message.sent_at),
    )


def clocked(
    subject: Subject, *, rules: tuple[str, ...], origin: str, recipient: str, deadlines: Mapping[str, int | None]
) -> ClockedEdge:
    """An edge as clocks look at it."""
    hours = {name: number for name, number in deadlines.items() if number}
    return ClockedEdge(rules, origin, recipient, _BEGUN[subject][0], hours)


def begun(subject: Subject, sent_at: datetime, *, again: int = 0) -> tuple[Step, ...]:
    """The offer or notice, by the time of the message that carried it; `again`: how often it began before."""
    return tuple(Step(coarse(sent_at), Did.STARTS, event, again) for event in _BEGUN[subject])


def answered(subject: Subject, answer: AnswerState, told_at: datetime, *, again: int = 0) -> tuple[Step, ...]:
    """An answer of its recipient, by what the answers have come to with it. `again`: its rounds that had ended."""
    at = coarse(told_at)
    done = tuple(Step(at, Did.DOES, due, again) for due in sorted(_DONE[answer]))
    started = _STARTED.get((subject, answer))
    return done if started is None else (*done, Step(at, Did.STARTS, started))


def told_by(
    subject: Subject, said: Contract, answer: AnswerState, *, told_at: datetime, again: int
) -> tuple[Step, ...]:
    """What words mean to clocks, beside the answer they lead to: those of a case that has come back begin anew."""
    if not isinstance(said, CaseCameBackClear):
        return answered(subject, answer, told_at, again=again)
    return begun(subject, told_at, again=said.times) + answered(subject, answer, told_at, again=said.times)


def began_again(words: Mapping[str, object]) -> int:
    """How often it has begun again, by all that was said of it: its items, or a case that came back."""
    times = words.get("times")
    return max(Said.kept(words).again, times if isinstance(times, int) else 0)


def checked(found: Sequence[ItemCheck], told_at: datetime) -> tuple[Step, ...]:
    """What the origin has found: for what is there again the clocks of its notice begin anew."""
    again = max((each.round for each in found if each.found is ItemFound.REAPPEARED), default=0)
    return begun(Subject.NOTICE, told_at, again=again) if again else ()


def reported(said: Said, told_at: datetime) -> tuple[Step, ...]:
    """To whoever issued a notice: its provider says that an item is gone. Nobody believes that before it was checked.

    `said` is all that was said so far. The provider keeps no such step: it need not know until when somebody looks.
    """
    return (Step(coarse(told_at), Did.STARTS, ClockEvent.REMOVAL_REPORTED, said.removals),)


def awaits_claim(told_at: datetime, *, again: int = 0) -> tuple[Step, ...]:
    """To the agency alone: a case where a child is at risk has come, or come back, and nobody of it has that yet."""
    return (Step(coarse(told_at), Did.STARTS, ClockEvent.P0_OFFERED, again),)


def claimed(at: datetime, *, again: int) -> tuple[Step, ...]:
    """To the agency alone: an officer has the case."""
    return (Step(coarse(at), Did.DOES, ClockDue.CLAIM, again),)


def rechecked(said: Said, at: datetime) -> tuple[Step, ...]:
    """To whoever has looked: nothing that is said to be gone is unchecked any more."""
    return () if said.unchecked() else (Step(coarse(at), Did.DOES, ClockDue.RECHECK, said.removals),)


def taken_back(told_at: datetime) -> tuple[Step, ...]:
    """The withdrawal: whatever was still owed is owed no more."""
    return (Step(coarse(told_at), Did.ENDS),)
