"""Clocks: due times of the duties that the law sets for the parties of an edge. Pure.

    steps of an edge ──▶ runs of the clocks that its law sets ──▶ due instants and notifications

Both parties know the same steps, with the times of the messages. They find the law in force at a step in the published
documents, so both compute the same result. A clock applies to an edge whose rules cite its instrument. If no rule of
the policy cites the instrument, the clock applies by place: to each responsible party within its jurisdiction. It stops
only for the causes that it lists. Standard library only. Instants are UTC in whole seconds, terms whole hours or days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from shared.core.canonical import JsonView
from shared.core.routing.calendars import Calendars
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.policy_index import PolicyIndex
from shared.core.vocabulary.law import ClockConsequence, ClockDue, ClockEvent, StopCause

#: Clocks for the deadlines of an edge's rules, in addition to those of the policy. Both start with its message.
ACKNOWLEDGE_BY: Final = "acknowledge-by"
ACT_BY: Final = "act-by"
#: The bloc of all places: every party counts as within it, also a party that serves another bloc.
_WORLD: Final = "BLOC-WLD"
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)
#: Duties of an edge's origin. All others are duties of its recipient.
_OF_ORIGIN: Final = frozenset(
    each.value for each in (ClockDue.REPORT, ClockDue.INFORMATION, ClockDue.RECHECK, ClockDue.VERDICT)
)


class Effect(StrEnum):
    """The effect of a step on clocks. `ENDS`: no further duties, but a preservation continues.

    `TOLD` has no effect: a party was notified that one of its runs falls due (`shared.core.protocol.timers`).
    """

    STARTS = "starts"
    STOPS = "stops"
    RESUMES = "resumes"
    DOES = "does"
    ENDS = "ends"
    TOLD = "told"


class Step(NamedTuple):
    """One event of an edge, as both its parties know it.

    `at` is the time of its message. `code` is a `ClockEvent` that starts, a `StopCause` that stops or resumes, or the
    `ClockDue` that was done; "" for the end of all. `of` is the number of the question, order or hold that stops or
    resumes: these may overlap, and each ends separately. For starts and for done duties, `of` is the number of earlier
    starts. Times are cut to ten seconds, so `of` orders two steps of the same time. For a notification, `code` and `of`
    are the clock and number of the run, and `at` is its due time.
    """

    at: datetime
    did: Effect
    code: str = ""
    of: int = 0


class Law(NamedTuple):
    """The documents in force at an instant.

    `hour` is the length of a policy hour; it is shorter only on a dev stack. `since` is the first time at which
    documents were in force. Earlier events count as of that time.
    """

    directory: DirectoryIndex
    policy: PolicyIndex
    hour: timedelta = timedelta(hours=1)
    since: datetime = _BEFORE_ALL


#: Return the law in force at an instant, or the first law for earlier instants. Raises `Unavailable` if there is none.
LawAt = Callable[[datetime], Law]


@dataclass(frozen=True, slots=True)
class ClockedEdge:
    """The data of an edge for its clocks: rules, parties, and deadline hours, which start with `begins`.

    A preservation is an edge between an agency and a provider. Only clocks of `instrument` apply to it. Other edges
    have "".
    """

    rules: tuple[str, ...]
    origin: str
    recipient: str
    begins: ClockEvent
    deadlines: Mapping[str, int]
    instrument: str = ""


#: The start and end of a pause of a clock. The end is None while the clock is stopped.
Stand = tuple[datetime, datetime | None]


@dataclass(frozen=True, slots=True)
class ClockRun:
    """One run of a clock. `number` counts the runs of this clock on its edge, from 1.

    `due_at` is None while the clock is stopped, and if the calendar does not cover the time. `ended_at` is when the
    duty was done or ceased. `rung` is its escalation level in its instrument, from 1; 0 if it does not escalate.
    `every`: the run falls due again after each such time. `stands` are its stops; the last may have no end.
    """

    clock: str
    number: int
    instrument: str
    owed_by: str
    due: str
    then: str
    started_at: datetime
    due_at: datetime | None
    ended_at: datetime | None
    working: bool = False
    every: timedelta | None = None
    rung: int = 0
    stands: tuple[Stand, ...] = ()


class _Clock(NamedTuple):
    """A clock of the policy, or a deadline of the edge's rules. It has either `hours` or `days`."""

    id: str
    instrument: str
    jurisdiction: str
    starts: str
    hours: int | None
    due: str
    then: str
    days: int | None = None
    stopped_by: frozenset[str] = frozenset()
    repeats: bool = False
    valid_from: date = date.min
    valid_to: date = date.max
    known_from: date = date.min

    def in_force(self, on: date) -> bool:
        return self.valid_from <= on < self.valid_to and self.known_from <= on

    @property
    def preserves(self) -> bool:
        return self.due == ClockDue.END_OF_PRESERVATION


class _ClockTable(NamedTuple):
    """The clocks and calendars of one policy, and the instruments that its rules cite."""

    clocks: tuple[_Clock, ...]
    instrument_of: Mapping[str, str]
    cited: frozenset[str]
    calendars: Calendars


def runs(edge: ClockedEdge, steps: Iterable[Step], law_at: LawAt) -> tuple[ClockRun, ...]:
    """Return every run of every clock of an edge, including ended ones. Runs without a due time come last."""
    # At the same time, a preservation starts before it is extended.
    ordered = sorted(steps, key=lambda step: (step.at, step.code == ClockEvent.PRESERVATION_EXTENDED, step))
    found: list[ClockRun] = []
    counted: dict[str, int] = {}
    kept_until = _BEFORE_ALL
    for start in ordered:
        if start.did is not Effect.STARTS:
            continue
        law = law_at(start.at)
        # An extension is added to the planned end of the preservation.
        begins = max(start.at, kept_until) if start.code == ClockEvent.PRESERVATION_EXTENDED else start.at
        for clock in _clocks_started(edge, start, law):
            counted[clock.id] = counted.get(clock.id, 0) + 1
            run = _run(clock, edge, start, begins=begins, steps=ordered, number=counted[clock.id], law=law)
            found.append(run)
            if clock.preserves:
                kept_until = max(kept_until, _due_at(clock, begins, (), law=law) or begins)
    return tuple(_ranked(found))


def counted(steps: Iterable[Step], begun_at: datetime) -> list[Step]:
    """Return the steps at the times from which they count.

    Steps before the start of the edge count as of its start. A sender may date its message arbitrarily early, and a
    delayed message has an early date, too. Both ends know the start of the edge.
    """
    return [step if step.did is Effect.TOLD else step._replace(at=max(step.at, begun_at)) for step in steps]


def due_after(run: ClockRun, after: datetime) -> datetime | None:
    """Return the first due time of a run after `after`. A repeating run has infinitely many."""
    if run.due_at is None or run.due_at > after:
        return run.due_at
    if run.every is None:
        return None
    stood = (min(end or after, after) - begin for begin, end in run.stands if begin < after)
    times = (after - run.started_at - sum(stood, timedelta())) // run.every
    return _ran(run.started_at, (times + 1) * run.every, run.stands)


def _clocks_started(edge: ClockedEdge, start: Step, law: Law) -> Iterator[_Clock]:
    if start.code == edge.begins:
        yield from _deadlines(edge)
    book, on = _book(law.policy), start.at.date()
    cited = {book.instrument_of[rule] for rule in edge.rules if rule in book.instrument_of}
    if edge.instrument:
        cited = {edge.instrument}
    for clock in book.clocks:
        if clock.starts != start.code or not clock.in_force(on):
            continue
        if clock.instrument in cited or (
            not edge.instrument
            and clock.instrument not in book.cited
            and _below(clock, _owing(clock, edge), on, directory=law.directory)
        ):
            yield clock


def _below(clock: _Clock, party_id: str, on: date, *, directory: DirectoryIndex) -> bool:
    """Return whether a party is at or below the clock's jurisdiction on that day."""
    party = directory.party(party_id)
    if party is None:
        return False
    return clock.jurisdiction == _WORLD or clock.jurisdiction in directory.nodes(tuple(party.jurisdictions), on)


def _owing(clock: _Clock, edge: ClockedEdge) -> str:
    of_origin = clock.due in _OF_ORIGIN or (clock.preserves and clock.starts == ClockEvent.REPORT_SENT)
    return edge.origin if of_origin else edge.recipient


def _deadlines(edge: ClockedEdge) -> Iterator[_Clock]:
    """Yield the deadlines of an edge's own rules.

    Acting on a notice is removal, acting on a case is feedback.
    """
    acting = ClockDue.REMOVAL if edge.begins is ClockEvent.NOTICE_ISSUED else ClockDue.FEEDBACK
    for name, clock, due in (("acknowledge_h", ACKNOWLEDGE_BY, ClockDue.ACKNOWLEDGEMENT), ("act_h", ACT_BY, acting)):
        if hours := edge.deadlines.get(name):
            yield _Clock(
                id=clock,
                instrument="",
                jurisdiction=_WORLD,
                starts=edge.begins,
                hours=hours,
                due=due,
                then=ClockConsequence.ALERT,
            )


def _run(
    clock: _Clock, edge: ClockedEdge, start: Step, *, begins: datetime, steps: Sequence[Step], number: int, law: Law
) -> ClockRun:
    stands = tuple(_stands(clock, begins, steps))
    return ClockRun(
        clock=clock.id,
        number=number,
        instrument=clock.instrument,
        owed_by=_owing(clock, edge),
        due=clock.due,
        then=clock.then,
        started_at=begins,
        due_at=_due_at(clock, begins, stands, law=law),
        ended_at=_ended(clock, start, steps),
        working=clock.days is not None,
        every=clock.hours * law.hour if clock.hours is not None and clock.repeats else None,
        stands=stands,
    )


def _due_at(clock: _Clock, begins: datetime, stands: Sequence[Stand], *, law: Law) -> datetime | None:
    if clock.hours is not None:
        return _ran(begins, clock.hours * law.hour, stands)
    if clock.days is not None:
        return _book(law.policy).calendars.end_of(clock.days, clock.jurisdiction, begins, stands=tuple(stands))
    return None


def _ended(clock: _Clock, start: Step, steps: Sequence[Step]) -> datetime | None:
    """Return the time when the duty was done or all ended.

    It may precede the start, because messages can cross.
    """
    for step in steps:
        done = step.did is Effect.DOES and step.code == clock.due and (step.at, step.of) >= (start.at, start.of)
        if done or (step.did is Effect.ENDS and not clock.preserves):
            return max(step.at, start.at)
    return None


def _stands(clock: _Clock, started_at: datetime, steps: Sequence[Step]) -> Iterator[Stand]:
    """Yield the stops of a clock, in order and without overlap.

    A clock stops while any cause that it lists applies.
    """
    spans: list[tuple[datetime, datetime]] = []
    for cause in sorted({(step.code, step.of) for step in steps if step.code in clock.stopped_by}):
        since: datetime | None = None
        turns = [(step.at, step.did is Effect.RESUMES) for step in steps if (step.code, step.of) == cause]
        for at, resumes in sorted(turns):
            if not resumes:
                since = since or at
            elif since is not None:
                spans.append((max(since, started_at), at))
                since = None
        if since is not None:
            spans.append((max(since, started_at), _NEVER))
    begin = end = started_at
    for since, until in sorted(spans):
        if since > end:
            if begin < end:
                yield begin, end
            begin = since
        end = max(end, until)
    if begin < end:
        yield begin, None if end == _NEVER else end


def _ran(started_at: datetime, term: timedelta, stands: Iterable[Stand]) -> datetime | None:
    """Return the time at which a clock has run for `term`.

    Return None if it is stopped before that without an end.
    """
    at, left = started_at, term
    for begin, end in stands:
        if at + left <= begin:
            break
        if end is None:
            return None
        left -= begin - at
        at = end
    return at + left


def _ranked(found: Iterable[ClockRun]) -> Iterator[ClockRun]:
    """Yield runs by due time. Runs that escalate get their escalation level within their instrument."""
    rungs: dict[tuple[str, datetime], int] = {}
    for run in sorted(found, key=lambda run: (run.due_at is None, run.due_at or run.started_at, run.clock, run.number)):
        if run.then != ClockConsequence.ESCALATE:
            yield run
            continue
        ladder = run.instrument, run.started_at
        rungs[ladder] = rungs.get(ladder, 0) + 1
        yield replace(run, rung=rungs[ladder])


@lru_cache(64)
def _book(policy: PolicyIndex) -> _ClockTable:
    document = policy.document
    instrument_of = {rule["id"]: rule["basis"]["instrument"] for rule in document["rules"]}
    return _ClockTable(
        tuple(_clock(each) for each in document.get("clocks") or () if policy.confirms(each["basis"]["instrument"])),
        instrument_of,
        frozenset(instrument_of.values()),
        Calendars(document.get("calendars") or ()),
    )


def _clock(entry: JsonView) -> _Clock:
    valid_to = entry.get("valid_to")
    return _Clock(
        id=entry["id"],
        instrument=entry["basis"]["instrument"],
        jurisdiction=entry["basis"]["jurisdiction"],
        starts=entry["starts"],
        hours=entry.get("duration_h"),
        days=entry.get("working_days"),
        stopped_by=_causes(entry),
        due=entry["due"],
        then=entry["then"],
        repeats=entry.get("repeats") or False,
        valid_from=date.fromisoformat(entry["valid_from"]),
        valid_to=date.fromisoformat(valid_to) if valid_to else date.max,
        known_from=date.fromisoformat(entry["known_from"]),
    )


def _causes(entry: JsonView) -> frozenset[str]:
    """Return the causes that stop a clock: only those that the law lists."""
    return frozenset(map(str, map(StopCause, entry.get("stopped_by") or ())))
