"""Timers as they are stored, and what a look writes of an edge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from shared.exchange.clocks import Clocked
from shared.exchange.timers import Timer
from shared.runtime.database.columns import Columns


@dataclass(frozen=True, slots=True)
class TimerRow:
    """A timer as its party is shown it. `telling` is what it is told next, at `tells_at`.

    `timer_id` follows from edge, clock and run: made again it is the same.
    """

    timer_id: UUID
    edge_id: UUID
    party: str
    clock: str
    run: int
    subject: UUID
    counterpart: str
    purpose: str
    owed_by: str
    due: str
    consequence: str
    rung: int
    started_at: datetime
    due_at: datetime
    tells_at: datetime | None
    telling: str | None

    @property
    def place(self) -> DueAfter:
        return DueAfter(self.due_at, self.timer_id)


class DueAfter(NamedTuple):
    """A place in the list of what falls due."""

    due_at: datetime
    timer_id: UUID


ROW: Final = Columns.of(TimerRow)


def timer_row(edge: Clocked, timer: Timer) -> TimerRow:
    """A timer of an edge as it is stored."""
    run, fires = timer.run, timer.fires
    return TimerRow(
        timer_id=uuid5(edge.edge_id, f"{edge.party} {run.clock} {run.number}"),
        edge_id=edge.edge_id,
        party=edge.party,
        clock=run.clock,
        run=run.number,
        subject=edge.subject,
        counterpart=edge.recipient if edge.party == edge.origin else edge.origin,
        purpose=edge.purpose,
        owed_by=run.owed_by,
        due=run.due,
        consequence=run.then,
        rung=run.rung,
        started_at=run.started_at,
        due_at=timer.due_at,
        tells_at=None if fires is None else fires.at,
        telling=None if fires is None else fires.telling.value,
    )


def next_look(timers: Iterable[Timer]) -> datetime | None:
    """When their edge is to be looked at again; None: nothing is to be told."""
    return min((timer.fires.at for timer in timers if timer.fires), default=None)
