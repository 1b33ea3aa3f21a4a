"""Timers and deadlines: the open runs of clocks that fall due, and the times of notifications. Pure.

A timer is derived from two things that are stored: the steps of its edge, and the published law. A notification is a
step of its own (`Effect.TOLD`), written in the transaction of its act. So timers can be dropped and counted again, row
for row. After an outage, only the newest of the missed notifications is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from shared.core.acts.act import Subject
from shared.core.clock import EPOCH
from shared.core.protocol.clocks import EdgeClock, EdgeStep, begun, clocked
from shared.core.protocol.preservation import preserved
from shared.core.routing.clocks import ClockedEdge, ClockRun, Effect, Law, LawAt, Step, counted, due_after, runs
from shared.core.vocabulary.law import ClockConsequence, ClockDue
from shared.core.vocabulary.routing import PartyKind

#: A party is notified this long before a due time, or a quarter of the term before if that is shorter.
SOON: Final = timedelta(hours=24)
_SOON_PART: Final = 4
#: Maximum steps of a row that an act counts itself. The time of a count grows with their square.
STEPS_AT_ACT: Final = 64
#: The value that the driver sends as `-infinity`: the scheduler looks at the row at once.
AT_ONCE: Final = datetime.min  # noqa: DTZ901 - with a time zone it would be the year 1
_MICROSECOND: Final = timedelta(microseconds=1)

#: A step as the column holds it: time in microseconds since 1970, act, code, number.
StepEntry = tuple[int, str, str, int]
#: A timer as the column holds it: due time in microseconds, clock, run, responsible party, due act, consequence, level.
TimerEntry = tuple[int, str, int, str, str, str, int]
_SUBJECTS: Final = {
    PartyKind.HOTLINE.value: Subject.OFFER,
    PartyKind.LAW_ENFORCEMENT.value: Subject.CASE,
    PartyKind.INDUSTRY.value: Subject.NOTICE,
}


class TimerNotice(StrEnum):
    """The type of a notification in a party's feed.

    `clock.ran_out`: a preservation has ended, and nothing is overdue. `p0.unclaimed`: a child is at risk, and no
    officer has claimed the case.
    """

    DUE_SOON = "clock.due_soon"
    OVERDUE = "clock.overdue"
    RAN_OUT = "clock.ran_out"
    P0_UNCLAIMED = "p0.unclaimed"


class TimerFiring(NamedTuple):
    """The time and type of a notification."""

    at: datetime
    telling: TimerNotice


@dataclass(frozen=True, slots=True)
class Timer:
    """An open run with a due time. `fires` is its next notification; None after the last one."""

    run: ClockRun
    due_at: datetime
    fires: TimerFiring | None

    def fires_by(self, now: datetime) -> TimerFiring | None:
        """Return the newest notification that is due at `now`, a confirmed time. None: no notification is due."""
        newest, coming = None, self.fires
        while coming is not None and coming.at <= now:
            newest, coming = coming, _following(self.run, coming.at, self.due_at)
        return newest

    def told(self, fires: TimerFiring) -> Step:
        """Return the step that records a notification."""
        return Step(fires.at, Effect.TOLD, self.run.clock, self.run.number)


def timers_of(edge: EdgeClock, steps: Sequence[Step], law_at: LawAt) -> tuple[Timer, ...]:
    """Return the timers of an edge. `steps` are its steps since it began."""
    law = law_at(edge.started_at)
    started_at = max(edge.started_at, law.since)
    steps = counted(steps, started_at)
    if edge.start_event:
        first = Step(started_at, Effect.STARTS, edge.start_event)
        return timers(preserved(edge.origin, edge.recipient, edge.instrument), [first, *steps], law_at)
    party = law.directory.party(edge.recipient)
    if party is None:
        return ()
    terms = _Terms(_SUBJECTS[party.kind], edge.rules, edge.origin, edge.recipient, edge.acknowledge_h, edge.act_h)
    if not steps:
        return _at_first(terms, started_at, law)
    return timers(terms.clocked(), [*begun(terms.subject, started_at), *steps], law_at)


class _Terms(NamedTuple):
    """The terms of an edge at its beginning. Many edges have the same."""

    subject: Subject
    rules: tuple[str, ...]
    origin: str
    recipient: str
    acknowledge_h: int | None
    act_h: int | None

    def clocked(self) -> ClockedEdge:
        deadlines = {"acknowledge_h": self.acknowledge_h, "act_h": self.act_h}
        return clocked(
            self.subject, rules=self.rules, origin=self.origin, recipient=self.recipient, deadlines=deadlines
        )


@lru_cache(1024)  # edges between two parties within ten seconds have the same timers
def _at_first(terms: _Terms, started_at: datetime, law: Law) -> tuple[Timer, ...]:
    return timers(terms.clocked(), begun(terms.subject, started_at), lambda _: law)


def timers(edge: ClockedEdge, steps: Sequence[Step], law_at: LawAt) -> tuple[Timer, ...]:
    """Return the timers of an edge as one of its parties knows it, soonest first."""
    told = _told(steps)
    return tuple(
        Timer(run, run.due_at, _following(run, told.get((run.clock, run.number)), run.due_at))
        for run in runs(edge, steps, law_at)
        if run.due_at is not None and run.ended_at is None
    )


def _told(steps: Iterable[Step]) -> dict[tuple[str, int], datetime]:
    """Return the time of the newest notification of each run."""
    newest: dict[tuple[str, int], datetime] = {}
    for step in steps:
        if step.did is Effect.TOLD:
            newest[step.code, step.of] = max(step.at, newest.get((step.code, step.of), step.at))
    return newest


def _following(run: ClockRun, after: datetime | None, due_at: datetime) -> TimerFiring | None:
    """Return the next notification later than `after`. None as `after`: the first one."""
    for fires in _once(run, due_at):
        if after is None or fires.at > after:
            return fires
    again = None if after is None or run.every is None else due_after(run, after)
    return None if again is None else TimerFiring(again, _at_end(run))


def _once(run: ClockRun, due_at: datetime) -> Iterator[TimerFiring]:
    if run.every is None:
        lead = min(SOON, (due_at - run.started_at) // _SOON_PART)
        yield TimerFiring(due_at - timedelta(seconds=lead // timedelta(seconds=1)), TimerNotice.DUE_SOON)
    yield TimerFiring(due_at, _at_end(run))


def _at_end(run: ClockRun) -> TimerNotice:
    if run.due == ClockDue.CLAIM:
        return TimerNotice.P0_UNCLAIMED
    return TimerNotice.RAN_OUT if run.then == ClockConsequence.ERASE else TimerNotice.OVERDUE


@dataclass(frozen=True, slots=True)
class Deadline:
    """The steps of an edge, and the four values that follow from them.

    `timers` is None until the timers were computed for the first time. `due_at` is the next time at which the scheduler
    reads the row; None if no notification is left. `overdue_at` is the due time of the first open timer. `failure_code`
    is the code of a failed computation.
    """

    edge: EdgeClock
    steps: tuple[StepEntry, ...] = ()
    timers: tuple[TimerEntry, ...] | None = None
    due_at: datetime | None = AT_ONCE
    overdue_at: datetime | None = None
    failure_code: str | None = None


def step_entry(step: Step | EdgeStep) -> StepEntry:
    """Return a step as the column holds it."""
    return to_microseconds(step.at), str(step.did), step.code, step.of


def parse_steps(entries: Iterable[Sequence[Any]]) -> list[Step]:
    """Return the steps of a row. Raises ValueError for a step that this release does not know."""
    return [Step(to_time(at), Effect(did), code, of) for at, did, code, of in entries]


def add_steps(deadline: Deadline, entries: Iterable[StepEntry], law_at: LawAt | None) -> Deadline:
    """Add steps, each once, and compute the timers again. Return the same row if it has all steps already.

    If the act does not compute the timers, the scheduler gets the row at once, with its earlier timers.
    """
    steps = tuple(sorted({*deadline.steps, *entries}))
    if steps == deadline.steps:
        return deadline
    return count_at_act(replace(deadline, steps=steps, due_at=AT_ONCE), law_at)


def count_at_act(deadline: Deadline, law_at: LawAt | None) -> Deadline:
    """Compute the timers of a row with few steps, if the law is available.

    The scheduler computes all others at once. It also computes a failed row, and puts it in retry backoff if it fails.
    """
    if law_at is None or len(deadline.steps) > STEPS_AT_ACT:
        return deadline
    try:
        return to_deadline(deadline, timers_of(deadline.edge, parse_steps(deadline.steps), law_at))
    except Exception:  # a defect in one computation stops no act
        return deadline


def to_deadline(deadline: Deadline, timers: Sequence[Timer]) -> Deadline:
    """Return the row with these timers, and the two times that follow from them."""
    ordered = sorted(timers, key=lambda timer: (timer.due_at, timer.run.clock, timer.run.number))
    return Deadline(
        deadline.edge,
        deadline.steps,
        tuple(_timer_entry(timer) for timer in ordered),
        min((timer.fires.at for timer in ordered if timer.fires), default=None),
        ordered[0].due_at if ordered else None,
    )


def to_microseconds(at: datetime) -> int:
    """Return a time in microseconds since 1970."""
    return (at - EPOCH) // _MICROSECOND


def to_time(microseconds: int) -> datetime:
    """Return the time that is this many microseconds after 1970."""
    return EPOCH + microseconds * _MICROSECOND


def _timer_entry(timer: Timer) -> TimerEntry:
    run = timer.run
    return to_microseconds(timer.due_at), run.clock, run.number, run.owed_by, str(run.due), str(run.then), run.rung
