"""The scheduler: it notifies parties of due times, and counts deadlines that an act could not count.

Each pass is one transaction. It locks due rows and skips locked ones, counts their timers, notes an act for each
notification that is due, adds a step for it, and writes each row once. The steps of a row are read under its lock. The
next pass sees the notification, so no process sends one twice, even if another process dies. While another clock
contradicts ours, timers are counted and nothing is sent. Row-level security limits a pass to the parties of the
instance.

A row that cannot be counted delays no other row. It gets a failure code, keeps its timers, and is retried each hour and
at its next step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Final
from uuid import UUID

import asyncpg

from shared.exchange.clocks import Clocked
from shared.exchange.states import Event
from shared.exchange.timers import Deadline, Fires, Timer, parse_steps, step_entry, timers_of, to_deadline
from shared.kernel.clock import Clock
from shared.kernel.errors import CausewayError, Unavailable
from shared.routing.clocks import LawAt
from shared.runtime.database.feed import note_acts
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.timers import store
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import log
from shared.runtime.watch.metrics import CLOCKS_ASIDE

#: The maximum number of rows a pass.
BATCH: Final = 100
#: A pass counts for this long. It has locked its rows, and acts wait for them.
COUNTING_S_MAX: Final = 1.0
#: Seconds between passes while little is due.
LOOK_EVERY_S: Final = 1.0
#: Failed rows are counted after every pass with a row, and after this number of passes.
COUNTED_EVERY: Final = 30
#: The time until a failed row is retried.
AGAIN_AFTER: Final = timedelta(hours=1)
#: The largest difference from the clock that confirms ours.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
_DEFECT: Final = "clock_defect"
#: The rows of a pass, and the failure code that each had before.
_Taken = dict[tuple[UUID, str], str | None]


@dataclass(frozen=True, slots=True)
class _Looked:
    """A row after the pass, and the acts that notify its party."""

    row: Deadline
    acts: Sequence[Event] = ()


#: Reads the time of another clock, which confirms ours or contradicts it.
Witness = Callable[[asyncpg.Connection], Awaitable[datetime]]


async def database_time(driver: asyncpg.Connection) -> datetime:
    """Return the time at the database."""
    at: datetime = await driver.fetchval("SELECT clock_timestamp()")
    return at


class Timers:
    """The scheduler of one database. `scope` returns the parties that a pass serves."""

    def __init__(
        self,
        database: Database,
        law_at: LawAt,
        clock: Clock,
        *,
        scope: Callable[[], RowScope],
        witness: Witness = database_time,
    ) -> None:
        self._database = database
        self._law_at = law_at
        self._clock = clock
        self._scope = scope
        self._witness = witness
        self._aside = 0
        self._looks = count()

    async def run(self) -> None:
        """Do passes for ever. Raises `Unavailable` without a database, and before any law is published."""
        while True:
            if await self.look() < BATCH:
                await asyncio.sleep(LOOK_EVERY_S)

    def check(self) -> Check:
        """Return the readiness check. Failed rows are its `reason`; all other parties are notified."""
        return Check("timers", True, "clocks_aside" if self._aside else "")

    async def look(self, limit: int = BATCH) -> int:
        """Do one pass over at most `limit` due rows, and return their number.

        Raises `Unavailable` before any law is published. An error before the first row is locked is raised as it is.
        """
        self._law_at(self._clock.now())
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
        async with self._database.transaction(self._scope()) as session:
            await store.count_all_again(session.driver)
        total = 0
        while looked := await self.look():
            total += looked
        return total

    async def _look(self, limit: int, taken: _Taken) -> None:
        """Do one transaction. `taken` gets its rows, also when it fails."""
        async with self._database.transaction(self._scope(), keeps_plans=True) as session:
            now = await self._now(session.driver)
            rows = await store.take_due(session.driver, now, limit)
            taken.update({(row.edge.edge_id, row.edge.party): row.aside for row in rows})
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
                await self._set_aside(edge_id, party)
            self._looks = count()  # the next pass counts them

    async def _set_aside(self, edge_id: UUID, party: str) -> None:
        async with self._database.transaction(self._scope()) as session:
            again_at = self._clock.now() + AGAIN_AFTER
            await store.set_aside(session.driver, edge_id, party, again_at=again_at, code=_DEFECT)

    async def _now(self, driver: asyncpg.Connection) -> datetime | None:
        """Return our time; None while another clock contradicts it."""
        now, theirs = self._clock.now(), await self._witness(driver)
        return now if abs(now - theirs) <= CLOCK_TOLERANCE else None

    async def _renew(
        self, driver: asyncpg.Connection, rows: Sequence[Deadline], now: datetime | None
    ) -> Sequence[Deadline]:
        """Count rows in a thread, one by one, and write them. Return the rows that a long pass leaves to the next."""
        looked, until = list[_Looked](), time.monotonic() + COUNTING_S_MAX
        for row in rows:
            looked.append(await asyncio.to_thread(self._looked, row, now))
            if time.monotonic() > until:
                break
        await store.write(driver, [each.row for each in looked])
        note_acts(driver, [act for each in looked for act in each.acts])
        return rows[len(looked) :]

    def _looked(self, row: Deadline, now: datetime | None) -> _Looked:
        try:
            return self._counted(row, now)
        except CausewayError as error:
            code = error.code
        except Exception:  # a defect in one row stops no other
            code = _DEFECT
        if row.aside is None:  # once, not at each retry
            log("clock_set_aside", code=code, edge=str(row.edge.edge_id))
        return _Looked(replace(row, due_at=self._clock.now() + AGAIN_AFTER, aside=code))

    def _counted(self, row: Deadline, now: datetime | None) -> _Looked:
        known, acts = parse_steps(row.steps), list[Event]()
        found = timers_of(row.edge, known, self._law_at)
        for timer in found:
            if now is not None and (fires := timer.fires_by(now)) is not None:
                known.append(timer.told(fires))
                acts.append(_act(row.edge, timer, fires))
        if acts:  # a notification is a step: it may end a run, or begin one
            found = timers_of(row.edge, known, self._law_at)
            row = replace(row, steps=tuple(sorted(map(step_entry, known))))
        return _Looked(to_deadline(row, found), acts)


def _act(edge: Clocked, timer: Timer, fires: Fires) -> Event:
    """Return the act that notifies the party: the due act, and its debtor if that is another party."""
    owing = timer.run.owed_by
    return Event(
        edge.party,
        fires.telling.value,
        edge.subject,
        state=timer.run.due,
        by=owing if owing != edge.party else None,
    )
