"""A deadline row: an edge of one party, its clock steps, and the timers that follow from steps and law. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from shared.exchange.clocks import Clocked, Happened
from shared.exchange.timers import Timer, timers_of
from shared.kernel.clock import EPOCH
from shared.kernel.errors import CausewayError
from shared.routing.clocks import Did, LawAt, Step

#: The value that the driver sends as `-infinity`: the scheduler looks at the row at once.
AT_ONCE: Final = datetime.min  # noqa: DTZ901 - with a time zone it would be the year 1
_MICROSECOND: Final = timedelta(microseconds=1)

#: A step as the column holds it: time in microseconds since 1970, act, code, number.
StepEntry = tuple[int, str, str, int]
#: A timer as the column holds it: due time in microseconds, clock, run, debtor, due act, consequence, rung.
TimerEntry = tuple[int, str, int, str, str, str, int]


@dataclass(frozen=True, slots=True)
class Deadline:
    """The steps of an edge, and the four values that follow from them.

    `timers` is None until the law has counted them once. `due_at` is the time of the scheduler's next look; None if no
    notification is left. `overdue_at` is the due time of the first open timer. `aside` is the code of a failed count.
    """

    edge: Clocked
    steps: tuple[StepEntry, ...] = ()
    timers: tuple[TimerEntry, ...] | None = None
    due_at: datetime | None = AT_ONCE
    overdue_at: datetime | None = None
    aside: str | None = None


class DueAfter(NamedTuple):
    """A place in the list of due times."""

    due_at: datetime
    row_id: UUID


@dataclass(frozen=True, slots=True)
class OpenTimer:
    """An open timer as its party sees it. `place` is its position in the list that it was read for."""

    edge_id: UUID
    party: str
    subject: UUID
    counterpart: str
    purpose: str
    clock: str
    run: int
    owed_by: str
    due: str
    consequence: str
    rung: int
    due_at: datetime
    place: DueAfter


def step_entry(step: Step | Happened) -> StepEntry:
    """Return a step as the column holds it."""
    return to_microseconds(step.at), str(step.did), step.code, step.of


def parse_steps(entries: Iterable[Sequence[Any]]) -> list[Step]:
    """Return the steps of a row. Raises ValueError for a step that this release does not know."""
    return [Step(to_time(at), Did(did), code, of) for at, did, code, of in entries]


def add_steps(deadline: Deadline, entries: Iterable[StepEntry], law_at: LawAt | None) -> Deadline:
    """Add steps, each once, and count the timers again. Returns the same row if it has all steps already.

    Where the law is not at hand or cannot count, the scheduler gets the row at once, with the timers that it had.
    """
    steps = tuple(sorted({*deadline.steps, *entries}))
    if steps == deadline.steps:
        return deadline
    return count_at_act(replace(deadline, steps=steps, due_at=AT_ONCE), law_at)


def count_at_act(deadline: Deadline, law_at: LawAt | None) -> Deadline:
    """Count the timers of a row where the law is at hand. The scheduler counts all others and reports failures."""
    if law_at is None:
        return deadline
    try:
        return count_timers(deadline, law_at)
    except (CausewayError, ArithmeticError, ValueError):
        return deadline


def count_timers(deadline: Deadline, law_at: LawAt) -> Deadline:
    """Count the timers of a row from its steps and the law."""
    return to_deadline(deadline, timers_of(deadline.edge, parse_steps(deadline.steps), law_at))


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


def list_timers(row: Mapping[str, Any]) -> list[OpenTimer]:
    """List the timers of a stored row, soonest first, each with a place of its own."""
    return [_open_timer(row, entry) for entry in row["timers"] or ()]


def first_timer(row: Mapping[str, Any], entry: Sequence[Any]) -> OpenTimer:
    """Return one timer of a stored row, at the place of its row."""
    return _open_timer(row, entry, DueAfter(row["overdue_at"], row["edge_id"]))


def to_microseconds(at: datetime) -> int:
    """Return a time in microseconds since 1970."""
    return (at - EPOCH) // _MICROSECOND


def to_time(microseconds: int) -> datetime:
    """Return the time that is so many microseconds after 1970."""
    return EPOCH + microseconds * _MICROSECOND


def _timer_entry(timer: Timer) -> TimerEntry:
    run = timer.run
    return to_microseconds(timer.due_at), run.clock, run.number, run.owed_by, str(run.due), str(run.then), run.rung


def _open_timer(row: Mapping[str, Any], entry: Sequence[Any], place: DueAfter | None = None) -> OpenTimer:
    at, clock, run, owed_by, due, consequence, rung = entry
    due_at, edge_id, party = to_time(at), row["edge_id"], row["party"]
    return OpenTimer(
        edge_id=edge_id,
        party=party,
        subject=row["subject"],
        counterpart=row["recipient"] if party == row["origin"] else row["origin"],
        purpose=row["purpose"],
        clock=clock,
        run=run,
        owed_by=owed_by,
        due=due,
        consequence=consequence,
        rung=rung,
        due_at=due_at,
        place=place or DueAfter(due_at, uuid5(edge_id, f"{party} {clock} {run}")),
    )
