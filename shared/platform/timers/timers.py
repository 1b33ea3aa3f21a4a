"""The scheduler: it notifies parties of due times, and counts deadlines that an act could not count.

Acts gather clock steps; the last step of their transaction writes them to deadlines. If the documents are available
(`Database.law_at`), an act costs one update of a row and needs no pass of the scheduler.

Each pass is one transaction. It locks due rows and skips locked ones, counts their timers, notes an act for each
notification that is due, adds a step for it, and writes each row once. The steps of a row are read under its lock. The
next pass sees the notification, so no process sends one twice, even if another process dies. While another clock
contradicts the local one, timers are counted and no notification is sent. Row-level security limits a pass to the
parties of the instance.

A row that cannot be counted delays no other row. It gets a failure code, keeps its timers, and is retried each hour and
at its next step.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count, groupby
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.acts.states import Event
from shared.core.clock import Clock
from shared.core.errors import CausewayError, Unavailable
from shared.core.protocol.clocks import EdgeClock, EdgeStep
from shared.core.protocol.timers import (
    Deadline,
    StepEntry,
    Timer,
    TimerFiring,
    add_steps,
    count_at_act,
    parse_steps,
    step_entry,
    timers_of,
    to_deadline,
)
from shared.core.routing.clocks import Effect, LawAt, Step
from shared.platform.database.feed import note_acts
from shared.platform.database.transactions import Database, LateRow, RowScope, bind, gather_late
from shared.platform.observability.health import Check
from shared.platform.observability.logs import log
from shared.platform.observability.metrics import CLOCKS_ASIDE
from shared.platform.timers import store

#: The id in messages, the party and its counterpart: the name by which a step finds its edges.
_Name = tuple[UUID, str, str]
_Steps = dict[_Name, set[StepEntry]]


class _StepCalls(NamedTuple):
    """The calls of a transaction under one scope."""

    scope: RowScope | None
    begun: Sequence[EdgeClock] = ()
    steps: Sequence[EdgeStep] = ()
    ended: Collection[UUID] = ()


async def clock(driver: asyncpg.Connection, begun: Sequence[EdgeClock], steps: Sequence[EdgeStep]) -> None:
    """Begin deadlines for new edges, then add steps to these and to older edges. Repeated steps change nothing."""
    if begun or steps:
        _gather(driver, _StepCalls(driver.scope, begun, steps))


async def count_steps(driver: asyncpg.Connection, steps: Sequence[EdgeStep]) -> list[Deadline]:
    """Lock the rows that these steps name, and return those that they change. The caller writes them."""
    named = _by_name(steps)
    rows = await store.lock_named(driver, named) if named else []
    counted = [(row, add_steps(row, _of(row, named), find_law(driver))) for row in rows]
    return [new for old, new in counted if new is not old]


async def begin_like(
    driver: asyncpg.Connection, edge_id: UUID, new_edge_id: UUID, *, recipient: str, at: datetime
) -> None:
    """Begin deadlines for an edge to another recipient, with the terms of an edge that has deadlines."""
    gathered = (edge for noted in driver.late.get(LateRow.STEPS, ()) for edge in noted.begun if edge.edge_id == edge_id)
    edge = next(gathered, None) or await store.read_edge(driver, edge_id)
    if edge is not None:
        await clock(driver, [replace(edge, edge_id=new_edge_id, recipient=recipient, started_at=at)], ())


async def end(driver: asyncpg.Connection, edge_ids: Collection[UUID]) -> None:
    """End the clocks of these edges from their beginning: another edge replaces each."""
    if edge_ids:
        _gather(driver, _StepCalls(driver.scope, ended=edge_ids))


def new_rows(edges: Sequence[EdgeClock], law_at: LawAt | None) -> list[Deadline]:
    """Return the rows of edges that begin, with their timers if the documents are available."""
    return [count_at_act(Deadline(edge), law_at) for edge in edges]


def take_begun(driver: asyncpg.Connection, keys: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], Deadline]:
    """Take the deadlines that the transaction begins for these edges and parties. The caller inserts them.

    They include their steps. No earlier edge has one of their names, so these steps belong to no other row.
    """
    noted: list[_StepCalls] = driver.late.get(LateRow.STEPS, [])
    named, taken = _by_name(step for note in noted for step in note.steps), dict[tuple[UUID, str], Deadline]()
    law_at = find_law(driver)
    for at, note in enumerate(noted):
        rest = []
        for edge in note.begun:
            key = (edge.edge_id, edge.party)
            if key not in keys or key in taken:
                rest.append(edge)
                continue
            row = new_rows([edge], law_at)[0]
            taken[key] = add_steps(row, _of(row, named), law_at) if named else row
        noted[at] = note._replace(begun=rest)
    if not any(note.begun for note in noted):
        names = {name for row in taken.values() for name in _names(row)}
        noted[:] = [note._replace(steps=[step for step in note.steps if _name(step) not in names]) for note in noted]
    return taken


def find_law(driver: asyncpg.Connection) -> LawAt | None:
    """Return the law by which the transactions of this connection count; None while there is none."""
    law_at: LawAt | None = driver.database.law_at
    return law_at


def _gather(driver: asyncpg.Connection, noted: _StepCalls) -> None:
    gather_late(driver, LateRow.STEPS, [noted], write=_write_late)


async def _write_late(driver: asyncpg.Connection, entries: Sequence[_StepCalls]) -> None:
    """Write each scope's calls under that scope: under another one, row-level security hides the rows."""
    last = driver.scope
    is_one = all(each.scope == last for each in entries)
    for scope, noted in groupby(entries, key=lambda each: each.scope):
        if scope is not None and scope != driver.scope:
            await bind(driver, scope)
        await _write(driver, list(noted), is_last=is_one)
    if last is not None and last != driver.scope:
        await bind(driver, last)


async def _write(driver: asyncpg.Connection, noted: Sequence[_StepCalls], *, is_last: bool) -> None:
    """End edges, begin edges, add steps. Each row is locked, counted and written once.

    `is_last`: no later step of the transaction looks for new edges.
    """
    law_at = find_law(driver)
    named = _by_name(step for each in noted for step in each.steps)
    locked, added = dict[tuple[UUID, str], Deadline](), defaultdict[tuple[UUID, str], set[StepEntry]](set)
    if ended := {edge_id for each in noted for edge_id in each.ended}:
        for row in await store.lock_edges(driver, ended):
            locked[_key(row)] = row
            added[_key(row)].add(_end_of(row.edge))
    if begun := new_rows([edge for each in noted for edge in each.begun], law_at):
        over = _ended_after_begin(noted)
        first = [_of(row, named) | ({_end_of(row.edge)} if row.edge.edge_id in over else set()) for row in begun]
        store.gather_rows(driver, [add_steps(row, steps, law_at) for row, steps in zip(begun, first, strict=True)])
    if named or not is_last:
        for row in await store.lock_named(driver, named):
            locked[_key(row)] = row
            added[_key(row)] |= _of(row, named)
    after = [(row, add_steps(row, added[key], law_at)) for key, row in sorted(locked.items())]
    await store.write(driver, [new for old, new in after if new is not old])


def _ended_after_begin(noted: Sequence[_StepCalls]) -> set[UUID]:
    """Return the edges that the transaction has begun and then ended."""
    begun, over = set[UUID](), set[UUID]()
    for each in noted:
        over |= begun.intersection(each.ended)
        begun |= {edge.edge_id for edge in each.begun}
    return over


def _end_of(edge: EdgeClock) -> StepEntry:
    return step_entry(Step(edge.started_at, Effect.ENDS))


def _by_name(steps: Iterable[EdgeStep]) -> _Steps:
    named: _Steps = defaultdict(set)
    for each in steps:
        named[_name(each)].add(step_entry(each))
    return named


def _key(row: Deadline) -> tuple[UUID, str]:
    return row.edge.edge_id, row.edge.party


def _name(step: EdgeStep) -> _Name:
    return step.told_by, step.party, step.counterpart


def _names(row: Deadline) -> set[_Name]:
    edge = row.edge
    return {(edge.told_by, edge.party, edge.origin), (edge.told_by, edge.party, edge.recipient)}


def _of(row: Deadline, named: _Steps) -> set[StepEntry]:
    return {step for name in _names(row) for step in named.get(name, ())}


#: The maximum number of rows a pass.
BATCH: Final = 100
#: The time limit of a pass, because it has locked its rows and acts wait for them.
COUNTING_S_MAX: Final = 1.0
#: Seconds between passes while little is due (`Changes.pause`).
LOOK_EVERY_S: Final = 1.0
#: Failed rows are counted after every pass with a row, and after this number of passes.
COUNTED_EVERY: Final = 30
#: The time until a failed row is retried.
AGAIN_AFTER: Final = timedelta(hours=1)
#: The largest difference between the local clock and the clock that confirms it.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
_DEFECT: Final = "clock_defect"
#: The rows of a pass, and the failure code that each had before.
_Taken = dict[tuple[UUID, str], str | None]


@dataclass(frozen=True, slots=True)
class _CheckedRow:
    """A row after the pass, and the acts that notify its party."""

    row: Deadline
    acts: Sequence[Event] = ()


#: Reads the time of another clock, which confirms or contradicts the local one.
Witness = Callable[[asyncpg.Connection], Awaitable[datetime]]


async def database_time(driver: asyncpg.Connection) -> datetime:
    """Return the time at the database."""
    at: datetime = await driver.fetchval("SELECT clock_timestamp()")
    return at


@dataclass(eq=False, repr=False)
class Timers:
    """The scheduler of one database. `scope` returns the parties that a pass serves."""

    database: Database
    law_at: LawAt
    clock: Clock
    _: KW_ONLY
    scope: Callable[[], RowScope]
    witness: Witness = database_time
    _aside: int = field(default=0, init=False)
    _looks: Iterator[int] = field(default_factory=count, init=False)

    async def run(self) -> None:
        """Do passes for ever. Raises `Unavailable` without a database, and before any law is published."""
        while True:
            if await self.look() < BATCH:
                await self.database.changes.pause(LOOK_EVERY_S)

    def check(self) -> Check:
        """Return the readiness check. Failed rows are its `reason`; all other parties are notified."""
        return Check("timers", True, "clocks_aside" if self._aside else "")

    async def look(self, limit: int = BATCH) -> int:
        """Do one pass over at most `limit` due rows, and return their number.

        Raises `Unavailable` before any law is published. An error before the first row is locked is raised as it is.
        """
        self.law_at(self.clock.now())
        taken: _Taken = {}
        try:
            await self._look(limit, taken)
        except Unavailable:
            raise
        except Exception:
            if not taken:
                raise
            # At least one row could not be written: each gets a pass of its own.
            for _ in range(len(taken)):
                await self._look_alone()
        return len(taken)

    async def rebuild(self) -> int:
        """Count every row again, and return their number. Parties of rows that are due meanwhile are notified once.

        A row keeps its timers until its own pass replaces them: an interruption loses none.
        """
        async with self.database.transaction(self.scope()) as session:
            await store.count_all_again(session.driver)
        total = 0
        while looked := await self.look():
            total += looked
        return total

    async def _look(self, limit: int, taken: _Taken) -> None:
        """Do one transaction. `taken` gets its rows, also when it fails."""
        async with self.database.transaction(self.scope(), keeps_plans=True) as session:
            now = await self._now(session.driver)
            rows = await store.take_due(session.driver, now, limit)
            taken.update({(row.edge.edge_id, row.edge.party): row.failure_code for row in rows})
            for row in await self._renew(session.driver, rows, now):
                del taken[row.edge.edge_id, row.edge.party]
            if next(self._looks) % COUNTED_EVERY == 0 or rows:
                await self._count_aside(session.driver, now)

    async def _count_aside(self, driver: asyncpg.Connection, now: datetime | None) -> None:
        longest = None if now is None else now + AGAIN_AFTER + 2 * CLOCK_TOLERANCE
        self._aside = await store.count_aside(driver, longest)
        CLOCKS_ASIDE.set(self._aside)

    async def _look_alone(self) -> None:
        taken: _Taken = {}
        try:
            await self._look(1, taken)
        except Unavailable:
            raise
        except Exception:
            if not taken:
                raise
            for (edge_id, party), before in taken.items():
                if before is None:  # once, not at each retry
                    log("clock_set_aside", code=_DEFECT, edge=str(edge_id))
                async with self.database.transaction(self.scope()) as session:
                    again_at = self.clock.now() + AGAIN_AFTER
                    await store.set_aside(session.driver, edge_id, party, again_at=again_at, code=_DEFECT)
            self._looks = count()  # the next pass counts them

    async def _now(self, driver: asyncpg.Connection) -> datetime | None:
        """Return the local time; None while another clock contradicts it."""
        now, theirs = self.clock.now(), await self.witness(driver)
        return now if abs(now - theirs) <= CLOCK_TOLERANCE else None

    async def _renew(
        self, driver: asyncpg.Connection, rows: Sequence[Deadline], now: datetime | None
    ) -> Sequence[Deadline]:
        """Count rows in a thread, one by one, and write them. Return the rows that a long pass leaves to the next."""
        looked, until = list[_CheckedRow](), time.monotonic() + COUNTING_S_MAX
        for row in rows:
            looked.append(await asyncio.to_thread(self._looked, row, now))
            if time.monotonic() > until:
                break
        await store.write(driver, [each.row for each in looked])
        note_acts(driver, [act for each in looked for act in each.acts])
        return rows[len(looked) :]

    def _looked(self, row: Deadline, now: datetime | None) -> _CheckedRow:
        try:
            return self._counted(row, now)
        except CausewayError as error:
            code = error.code
        except Exception:  # a defect in one row stops no other
            code = _DEFECT
        if row.failure_code is None:  # once, not at each retry
            log("clock_set_aside", code=code, edge=str(row.edge.edge_id))
        return _CheckedRow(replace(row, due_at=self.clock.now() + AGAIN_AFTER, failure_code=code))

    def _counted(self, row: Deadline, now: datetime | None) -> _CheckedRow:
        known, acts = parse_steps(row.steps), list[Event]()
        found = timers_of(row.edge, known, self.law_at)
        for timer in found:
            if now is not None and (fires := timer.fires_by(now)) is not None:
                known.append(timer.told(fires))
                acts.append(_act(row.edge, timer, fires))
        if acts:  # a notification is a step: it may end a run, or begin one
            found = timers_of(row.edge, known, self.law_at)
            row = replace(row, steps=tuple(sorted(map(step_entry, known))))
        return _CheckedRow(to_deadline(row, found), acts)


def _act(edge: EdgeClock, timer: Timer, fires: TimerFiring) -> Event:
    """Return the act that notifies the party: the due act, and its debtor if that is another party."""
    owing = timer.run.owed_by
    return Event(
        edge.party, fires.telling.value, edge.subject, state=timer.run.due, by=owing if owing != edge.party else None
    )
