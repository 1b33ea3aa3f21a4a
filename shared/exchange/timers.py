"""Timers: which open runs of an edge's clocks wait to fall due, and when a party is told. Pure.

A timer is derived: from the steps of its edge and the published law, which are kept, and from nothing else. That a
party was told is a step of its own (`Did.TOLD`), written in the transaction that tells it; so a table of timers can be
dropped and made again, row for row. What was missed meanwhile is told once: the newest of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from shared.exchange.act import Subject
from shared.exchange.clocks import Clocked, begun, clocked
from shared.exchange.preservation import preserved
from shared.routing.clocks import ClockedEdge, Did, Law, LawAt, Run, Step, counted, due_after, runs
from shared.vocabulary.law import ClockConsequence, ClockDue
from shared.vocabulary.routing import PartyKind

#: A party is told so long before something falls due, or a quarter of the term before, if that is less.
SOON: Final = timedelta(hours=24)
_SOON_PART: Final = 4
_SUBJECTS: Final = {
    PartyKind.HOTLINE.value: Subject.OFFER,
    PartyKind.LAW_ENFORCEMENT.value: Subject.CASE,
    PartyKind.INDUSTRY.value: Subject.NOTICE,
}


class Telling(StrEnum):
    """What a party's feed says of a clock, as the type of an event.

    A preservation runs out: nothing is overdue. A case where a child is at risk is nobody's: somebody is woken.
    """

    DUE_SOON = "clock.due_soon"
    OVERDUE = "clock.overdue"
    RAN_OUT = "clock.ran_out"
    P0_UNCLAIMED = "p0.unclaimed"


class Fires(NamedTuple):
    """When a party is told, and what."""

    at: datetime
    telling: Telling


@dataclass(frozen=True, slots=True)
class Timer:
    """One open run that falls due. `fires` is what comes next; None once all was told: it stays until it is done."""

    run: Run
    due_at: datetime
    fires: Fires | None

    def fires_by(self, now: datetime) -> Fires | None:
        """What is to be told at `now`, by a clock that the broker's bears out: of all that was missed, the newest."""
        newest, coming = None, self.fires
        while coming is not None and coming.at <= now:
            newest, coming = coming, _following(self.run, coming.at, self.due_at)
        return newest

    def told(self, fires: Fires) -> Step:
        """The step that says so."""
        return Step(fires.at, Did.TOLD, self.run.clock, self.run.number)


def timers_of(edge: Clocked, steps: Sequence[Step], law_at: LawAt) -> tuple[Timer, ...]:
    """The timers of an edge that is kept; `steps`: what has happened to it since it began."""
    law = law_at(edge.begun_at)
    begun_at = max(edge.begun_at, law.since)
    steps = counted(steps, begun_at)
    if edge.begins:
        first = Step(begun_at, Did.STARTS, edge.begins)
        return timers(preserved(edge.origin, edge.recipient, edge.instrument), [first, *steps], law_at)
    party = law.directory.party(edge.recipient)
    if party is None:
        return ()
    terms = _Terms(_SUBJECTS[party.kind], edge.rules, edge.origin, edge.recipient, edge.acknowledge_h, edge.act_h)
    if not steps:
        return _at_first(terms, begun_at, law)
    return timers(terms.clocked(), [*begun(terms.subject, begun_at), *steps], law_at)


class _Terms(NamedTuple):
    """What the clocks of an edge hang on when it begins: the same for many."""

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


@lru_cache(1024)  # what is sent between two parties within ten seconds has the same timers
def _at_first(terms: _Terms, begun_at: datetime, law: Law) -> tuple[Timer, ...]:
    return timers(terms.clocked(), begun(terms.subject, begun_at), lambda _: law)


def timers(edge: ClockedEdge, steps: Sequence[Step], law_at: LawAt) -> tuple[Timer, ...]:
    """The timers of an edge as one of its parties knows it: what falls due first stands first."""
    told = _told(steps)
    return tuple(
        Timer(run, run.due_at, _following(run, told.get((run.clock, run.number)), run.due_at))
        for run in runs(edge, steps, law_at)
        if run.due_at is not None and run.ended_at is None
    )


def _told(steps: Iterable[Step]) -> dict[tuple[str, int], datetime]:
    """Of each run, the newest that was told."""
    newest: dict[tuple[str, int], datetime] = {}
    for step in steps:
        if step.did is Did.TOLD:
            newest[step.code, step.of] = max(step.at, newest.get((step.code, step.of), step.at))
    return newest


def _following(run: Run, after: datetime | None, due_at: datetime) -> Fires | None:
    """What is told next, when all up to `after` was; None: nothing was told yet."""
    for fires in _once(run, due_at):
        if after is None or fires.at > after:
            return fires
    again = None if after is None or run.every is None else due_after(run, after)
    return None if again is None else Fires(again, _at_end(run))


def _once(run: Run, due_at: datetime) -> Iterator[Fires]:
    if run.every is None:
        lead = min(SOON, (due_at - run.started_at) // _SOON_PART)
        yield Fires(due_at - timedelta(seconds=lead // timedelta(seconds=1)), Telling.DUE_SOON)
    yield Fires(due_at, _at_end(run))


def _at_end(run: Run) -> Telling:
    if run.due == ClockDue.CLAIM:
        return Telling.P0_UNCLAIMED
    return Telling.RAN_OUT if run.then == ClockConsequence.ERASE else Telling.OVERDUE
