"""Timers in PostgreSQL: made from steps and law, and told to the feeds of their parties.

    look    take edges that are due to be looked at, locked, others skipped · read their steps · derive
            tell what is due: an event, and a step that says so · write their timers · commit

Any number of workers look at once. An edge is locked while one does, and its steps are read after that: who comes next
sees that it was told, so nothing is told twice, whoever dies in between. Nothing is told by a clock that another
contradicts; then timers are made and wait. Row-level security binds all of it to the parties of the instance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from shared.exchange.clocks import Clocked
from shared.exchange.events import Event
from shared.exchange.timers import Fires, Timer, timers_of
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.routing.clocks import Did, LawAt, Step
from shared.runtime.database.columns import Columns, insert
from shared.runtime.database.feed import note_events
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.timers.rows import ROW, DueAfter, TimerRow, next_look, timer_row

#: So many edges are looked at in one transaction.
BATCH: Final = 100
#: How often one looks, while there is little to do.
LOOK_EVERY_S: Final = 1.0
#: How far our clock may be from the one that bears it out.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
_TAKE: Final = """
SELECT edge_id, party, subject, told_by, origin, recipient, purpose, rules, acknowledge_h, act_h, begun_at, instrument,
       begins
FROM clocked
WHERE look_at <= coalesce($1, '-infinity'::timestamptz) ORDER BY look_at LIMIT $2 FOR UPDATE SKIP LOCKED
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
UPDATE clocked AS c SET look_at = k.look_at FROM unnest($1::uuid[], $2::text[], $3::timestamptz[])
AS k (edge_id, party, look_at) WHERE c.edge_id = ANY($1::uuid[]) AND c.edge_id = k.edge_id AND c.party = k.party
"""
_DUE: Final = """
SELECT * FROM timer WHERE party = $1
AND ($2::timestamptz IS NULL OR (due_at, timer_id) > ($2, $3::uuid)) ORDER BY due_at, timer_id LIMIT $4
"""
_DUE_OF: Final = _DUE.replace("party = $1", "party = $1 AND subject = $5")
_ALL_AGAIN: Final = "UPDATE clocked SET look_at = '-infinity'"
_NONE_LEFT: Final = "DELETE FROM timer"


@dataclass(frozen=True, slots=True)
class _Told:
    edge_id: UUID
    party: str
    at: datetime
    did: str
    code: str
    of: int


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

    async def run(self) -> None:
        """Look for ever. Raises `Unavailable` when the database is."""
        while True:
            try:
                looked = await self.look()
            except Unavailable as error:
                if error.code != "document_unknown":
                    raise
                looked = 0
            if looked < BATCH:
                await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, limit: int = BATCH) -> int:
        """Look once at what is due, at most `limit` edges; how many that were.

        Raises `Unavailable` before there is any law.
        """
        async with self._database.transaction(self._scope(), keeps_plans=True) as session:
            now = await self._now(session.driver)
            rows = await session.driver.fetch(_TAKE, now, limit)
            told = await self._renew(session.driver, [_edge(row) for row in rows], now) if rows else 0
        if told:
            self._wake()
        return len(rows)

    async def rebuild(self) -> int:
        """Drop every timer and make all again; how many edges were looked at. What is due meanwhile is told by it."""
        async with self._database.transaction(self._scope()) as session:
            await session.driver.execute(_ALL_AGAIN)
            await session.driver.execute(_NONE_LEFT)
        total = 0
        while looked := await self.look():
            total += looked
        return total

    async def _now(self, driver: asyncpg.Connection) -> datetime | None:
        """Our time; None while another clock contradicts it."""
        now, theirs = self._clock.now(), await self._witness(driver)
        return now if abs(now - theirs) <= CLOCK_TOLERANCE else None

    async def _renew(self, driver: asyncpg.Connection, edges: Sequence[Clocked], now: datetime | None) -> int:
        keys = [edge.edge_id for edge in edges], [edge.party for edge in edges]
        steps: dict[tuple[UUID, str], list[Step]] = {}
        for each in await driver.fetch(_STEPS, *keys):
            step = Step(each["at"], Did(each["did"]), each["code"], each["of"])
            steps.setdefault((each["edge_id"], each["party"]), []).append(step)
        made: list[TimerRow] = []
        said: list[_Told] = []
        events: list[Event] = []
        looks: list[datetime | None] = []
        for edge in edges:
            known = steps.get((edge.edge_id, edge.party), [])
            found, before = timers_of(edge, known, self._law_at), len(events)
            for timer in found:
                if now is not None and (fires := timer.fires_by(now)) is not None:
                    told = timer.told(fires)
                    known.append(told)
                    said.append(_Told(edge.edge_id, edge.party, told.at, told.did.value, told.code, told.of))
                    events.append(_event(edge, timer, fires))
            if len(events) > before:  # What was told is a step: it may end a run, or begin one.
                found = timers_of(edge, known, self._law_at)
            made += [timer_row(edge, timer) for timer in found]
            looks.append(next_look(found))
        await driver.execute(_EMPTY, *keys)
        await driver.execute(*_ADD.bind(rows=ROW.rows(made)))
        if said:
            await driver.execute(*_TELL.bind(rows=_TOLD.rows(said)))
        await driver.execute(_LOOKED, *keys, looks)
        await note_events(driver, events)
        return len(events)


def _edge(row: asyncpg.Record) -> Clocked:
    return Clocked(**(dict(row) | {"rules": tuple(row["rules"])}))


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
