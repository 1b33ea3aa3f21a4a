"""Timers in PostgreSQL: made from steps and law, and told to the feeds of their parties.

    look    take edges that are due to be looked at, locked, others skipped · read their steps · derive
            tell what is due: an event, and a step that says so · write their timers · commit

Any number of workers look at once. An edge is locked while one does, and its steps are read after that: who comes next
sees that it was told, so nothing is told twice, whoever dies in between. Nothing is told by a clock that another
contradicts; then timers are made and wait. Row-level security binds all of it to the parties of the instance.

An edge that cannot be reckoned stops no other: it is set aside with a code, keeps the timers that it had, and is looked
at again every hour, and whenever a step of it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Final
from uuid import UUID

import asyncpg

from shared.exchange.clocks import Clocked
from shared.exchange.events import Event
from shared.exchange.timers import Fires, Timer, timers_of
from shared.kernel.clock import Clock
from shared.kernel.errors import CausewayError, Unavailable
from shared.routing.clocks import Did, LawAt, Step
from shared.runtime.database.columns import Columns, insert
from shared.runtime.database.feed import note_events
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.timers.rows import ROW, DueAfter, TimerRow, next_look, timer_row
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import log
from shared.runtime.watch.metrics import CLOCKS_ASIDE

#: So many edges are looked at in one transaction.
BATCH: Final = 100
#: How often one looks, while there is little to do.
LOOK_EVERY_S: Final = 1.0
#: Every so many looks, and after each that found something, those that are set aside are counted.
COUNTED_EVERY: Final = 30
#: After how long an edge that could not be reckoned is looked at again.
AGAIN_AFTER: Final = timedelta(hours=1)
#: How far our clock may be from the one that bears it out.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
# What isolates rows lets an index find them by CASE, and by COALESCE it would read the clocks of all that is open.
_TAKE: Final = """
SELECT edge_id, party, subject, told_by, origin, recipient, purpose, rules, acknowledge_h, act_h, begun_at, instrument,
       begins, aside
FROM clocked
WHERE look_at <= CASE WHEN $1::timestamptz IS NULL THEN '-infinity'::timestamptz ELSE $1 END
ORDER BY look_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
#: Edges are named by their ids, besides: a join alone may be done by reading all that there is.
_STEPS: Final = """
SELECT s.edge_id, s.party, s.at, s.did, s.code, s."of" FROM clock_step AS s
JOIN unnest($1::uuid[], $2::text[]) AS k (edge_id, party) ON s.edge_id = k.edge_id AND s.party = k.party
WHERE s.edge_id = ANY($1::uuid[])
"""
_EMPTY: Final = """
DELETE FROM timer AS t USING unnest($1::uuid[], $2::text[]) AS k (edge_id, party)
WHERE t.edge_id = ANY($1::uuid[]) AND t.edge_id = k.edge_id AND t.party = k.party
"""
_LOOKED: Final = """
UPDATE clocked AS c SET look_at = k.look_at, aside = k.aside
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[]) AS k (edge_id, party, look_at, aside)
WHERE c.edge_id = ANY($1::uuid[]) AND c.edge_id = k.edge_id AND c.party = k.party
"""
_DUE: Final = """
SELECT * FROM timer WHERE party = $1
AND ($2::timestamptz IS NULL OR (due_at, timer_id) > ($2, $3::uuid)) ORDER BY due_at, timer_id LIMIT $4
"""
_DUE_OF: Final = _DUE.replace("party = $1", "party = $1 AND subject = $5")
_ALL_AGAIN: Final = "UPDATE clocked SET look_at = '-infinity'"
_OF_NOTHING: Final = """
DELETE FROM timer AS t
WHERE NOT EXISTS (SELECT FROM clocked AS c WHERE c.edge_id = t.edge_id AND c.party = t.party)
"""
_ASIDE: Final = """
SELECT count(*) AS count, count(*) FILTER (WHERE look_at > $1) AS ahead FROM clocked WHERE aside IS NOT NULL
"""
#: Whatever is set aside for longer than can be was noted by a clock that was ahead.
_AHEAD: Final = """
WITH ahead AS (SELECT edge_id, party FROM clocked WHERE aside IS NOT NULL AND look_at > $1 FOR UPDATE SKIP LOCKED)
UPDATE clocked AS c SET look_at = '-infinity' FROM ahead WHERE c.edge_id = ahead.edge_id AND c.party = ahead.party
"""

_DEFECT: Final = "clock_defect"
#: An edge and the party that it is looked at for.
_Key = tuple[UUID, str]
#: What a transaction looks at, and why each could not be reckoned before.
_Taken = dict[_Key, str | None]


@dataclass(frozen=True, slots=True)
class _Told:
    edge_id: UUID
    party: str
    at: datetime
    did: str
    code: str
    of: int


@dataclass(frozen=True, slots=True)
class _Looked:
    """What became of one edge that was looked at. `aside` is the code why it could not be reckoned: then the rest is
    as it was. `look_at` is None while nothing is to be told.
    """

    made: Sequence[TimerRow] = ()
    said: Sequence[_Told] = ()
    events: Sequence[Event] = ()
    look_at: datetime | None = None
    aside: str | None = None


_ADD: Final = insert("timer", ROW)
_TOLD: Final = Columns.of(_Told)
_TELL: Final = insert("clock_step", _TOLD)
#: The time of another clock, which bears ours out or not.
Witness = Callable[[asyncpg.Connection], Awaitable[datetime]]


async def database_time(driver: asyncpg.Connection) -> datetime:
    """The time at the database."""
    at: datetime = await driver.fetchval("SELECT clock_timestamp()")
    return at


async def read_due(
    driver: asyncpg.Connection, party: str, *, after: DueAfter | None, limit: int, subject: UUID | None = None
) -> Sequence[TimerRow]:
    """The party's timers behind a place, of one subject or of all, at most `limit`, soonest first."""
    asked = party, *(after or (None, None)), limit
    rows = await (driver.fetch(_DUE, *asked) if subject is None else driver.fetch(_DUE_OF, *asked, subject))
    return [TimerRow(**dict(row)) for row in rows]


class Timers:
    """The timers of one database, of the parties that `scope` has when it is asked."""

    def __init__(
        self,
        database: Database,
        law_at: LawAt,
        clock: Clock,
        *,
        scope: Callable[[], RowScope],
        wake: Callable[[], None] = lambda: None,
        witness: Witness = database_time,
    ) -> None:
        self._database = database
        self._law_at = law_at
        self._clock = clock
        self._scope = scope
        self._wake = wake
        self._witness = witness
        self._aside = 0
        self._looks = count()

    async def run(self) -> None:
        """Look for ever. Raises `Unavailable` when the database is, and before there is any law."""
        while True:
            if await self.look() < BATCH:
                await asyncio.sleep(LOOK_EVERY_S)

    def check(self) -> Check:
        """Ready also where edges are set aside, which `reason` names: all others are told."""
        return Check("timers", True, "clocks_aside" if self._aside else "")

    async def look(self, limit: int = BATCH) -> int:
        """Look once at what is due, at most `limit` edges; how many that were.

        Raises `Unavailable` before there is any law, and what fails before an edge was taken: that is nobody's.
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
            # What was reckoned could not be kept, of one of them at least: each is looked at alone.
            for _ in range(len(taken)):
                await self._look_alone()
        return len(taken)

    async def rebuild(self) -> int:
        """Make every timer again; how many edges were looked at. What is due meanwhile is told by it.

        No timer goes before those that take its place are there, in one transaction: whatever ends this, none is lost.
        """
        async with self._database.transaction(self._scope()) as session:
            await session.driver.execute(_OF_NOTHING)
            await session.driver.execute(_ALL_AGAIN)
        total = 0
        while looked := await self.look():
            total += looked
        return total

    async def _look(self, limit: int, taken: _Taken) -> None:
        """One transaction; `taken` are those that it looks at, whatever becomes of it."""
        async with self._database.transaction(self._scope(), keeps_plans=True) as session:
            now = await self._now(session.driver)
            rows = await session.driver.fetch(_TAKE, now, limit)
            taken.update({(row["edge_id"], row["party"]): row["aside"] for row in rows})
            told = await self._renew(session.driver, rows, now) if rows else 0
            if next(self._looks) % COUNTED_EVERY == 0 or rows:
                await self._count_aside(session.driver, now)
        if told:
            self._wake()

    async def _count_aside(self, driver: asyncpg.Connection, now: datetime | None) -> None:
        longest = None if now is None else now + AGAIN_AFTER + 2 * CLOCK_TOLERANCE
        self._aside, ahead = await driver.fetchrow(_ASIDE, longest)
        CLOCKS_ASIDE.set(self._aside)
        if ahead:
            await driver.execute(_AHEAD, longest)

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
                if before is None:  # once, not at each look
                    log("clock_set_aside", code=_DEFECT, edge=str(edge_id))
                await self._set_aside(edge_id, party)
            self._looks = count()  # the next look counts them

    async def _set_aside(self, edge_id: UUID, party: str) -> None:
        async with self._database.transaction(self._scope()) as session:
            again = self._clock.now() + AGAIN_AFTER
            await session.driver.execute(_LOOKED, [edge_id], [party], [again], [_DEFECT])

    async def _now(self, driver: asyncpg.Connection) -> datetime | None:
        """Our time; None while another clock contradicts it."""
        now, theirs = self._clock.now(), await self._witness(driver)
        return now if abs(now - theirs) <= CLOCK_TOLERANCE else None

    async def _renew(self, driver: asyncpg.Connection, rows: Sequence[asyncpg.Record], now: datetime | None) -> int:
        keys = [row["edge_id"] for row in rows], [row["party"] for row in rows]
        steps: dict[_Key, list[asyncpg.Record]] = {}
        for each in await driver.fetch(_STEPS, *keys):
            steps.setdefault((each["edge_id"], each["party"]), []).append(each)
        looked = [self._looked(row, steps.get((row["edge_id"], row["party"]), []), now) for row in rows]
        reckoned = [row for row, each in zip(rows, looked, strict=True) if each.aside is None]
        await driver.execute(_EMPTY, [row["edge_id"] for row in reckoned], [row["party"] for row in reckoned])
        await driver.execute(*_ADD.bind(rows=ROW.rows([made for each in looked for made in each.made])))
        if told := [said for each in looked for said in each.said]:
            await driver.execute(*_TELL.bind(rows=_TOLD.rows(told)))
        await driver.execute(_LOOKED, *keys, [each.look_at for each in looked], [each.aside for each in looked])
        events = [event for each in looked for event in each.events]
        await note_events(driver, events)
        return len(events)

    def _looked(self, row: asyncpg.Record, steps: Sequence[asyncpg.Record], now: datetime | None) -> _Looked:
        try:
            known = [Step(each["at"], Did(each["did"]), each["code"], each["of"]) for each in steps]
            return self._reckoned(_edge(row), known, now)
        except CausewayError as error:
            code = error.code
        except Exception:  # whatever was told of this edge, it is no reason to tell nothing of the others
            code = _DEFECT
        if row["aside"] is None:  # once, not at each look
            log("clock_set_aside", code=code, edge=str(row["edge_id"]))
        return _Looked(look_at=self._clock.now() + AGAIN_AFTER, aside=code)

    def _reckoned(self, edge: Clocked, before: Sequence[Step], now: datetime | None) -> _Looked:
        known, said, events = [*before], list[_Told](), list[Event]()
        found = timers_of(edge, known, self._law_at)
        for timer in found:
            if now is not None and (fires := timer.fires_by(now)) is not None:
                told = timer.told(fires)
                known.append(told)
                said.append(_Told(edge.edge_id, edge.party, told.at, told.did.value, told.code, told.of))
                events.append(_event(edge, timer, fires))
        if events:  # What was told is a step: it may end a run, or begin one.
            found = timers_of(edge, known, self._law_at)
        return _Looked([timer_row(edge, timer) for timer in found], said, events, next_look(found))


def _edge(row: asyncpg.Record) -> Clocked:
    told = {name: value for name, value in row.items() if name != "aside"}
    return Clocked(**(told | {"rules": tuple(row["rules"])}))


def _event(edge: Clocked, timer: Timer, fires: Fires) -> Event:
    """What the feed says: what is due, and who owes it where that is another."""
    owing = timer.run.owed_by
    return Event(
        edge.party,
        fires.telling.value,
        edge.subject,
        state=timer.run.due,
        by=owing if owing != edge.party else None,
    )
