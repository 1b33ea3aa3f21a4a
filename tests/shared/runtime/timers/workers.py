"""Workers that look at timers while their clocks step and they are killed, and what they told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import asyncpg

from deploy.site.endpoints import DatabaseEndpoint
from shared.exchange.clocks import Clocked
from shared.exchange.timers import begun_by
from shared.kernel.authority import Role
from shared.kernel.ids import uuid4
from shared.routing.clocks import Law
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.timers.steps import begin
from shared.runtime.timers.timers import Timers
from tests.shared.routing.test_clocks import AT, DIRECTORY, NOTICE_RULE, SAMPLE_LAW

WORKERS = 8
PARTY = "provider-nl.example"
SCOPE = RowScope((PARTY,), Role.SERVICE, "apply")
HOUR = timedelta(hours=1)
#: One row a telling: edge, clock, run, when that fell due.
Told = tuple[UUID, str, int, datetime]


class SteppingClock:
    """The true time, and how far this clock is off."""

    def __init__(self, start: datetime) -> None:
        self.true = start
        self.off = timedelta()

    def now(self) -> datetime:
        return self.true + self.off

    async def witness(self, _: asyncpg.Connection) -> datetime:
        return self.true


def law_at(_: datetime) -> Law:
    return Law(DIRECTORY, SAMPLE_LAW)


def timers_of(database: Database, clock: SteppingClock, *, believed: bool = False) -> Timers:
    """`believed`: whatever the clock says is taken for true, as a control."""

    async def itself(_: asyncpg.Connection) -> datetime:
        return clock.now()

    witness = itself if believed else clock.witness
    return Timers(database, law_at, clock, scope=lambda: SCOPE, witness=witness)


def notices(count: int, *, seed: int = 0) -> list[Clocked]:
    """Notices that were issued within two days."""
    random = Random(seed)
    return [
        Clocked(
            edge_id=uuid4(),
            party=PARTY,
            subject=uuid4(),
            told_by=uuid4(),
            origin="hotline-nl.example",
            recipient=PARTY,
            purpose="takedown",
            rules=(NOTICE_RULE,),
            acknowledge_h=24,
            act_h=None,
            begun_at=AT + timedelta(seconds=10 * random.randrange(17_280)),
        )
        for _ in range(count)
    ]


async def begun(database: Database, count: int) -> list[Clocked]:
    """Of every second the timers are made as it begins, of the others at the next look."""
    edges = notices(count)
    async with database.transaction(SCOPE) as session:
        await begin(session.driver, [begun_by(edge, law_at if n % 2 else None) for n, edge in enumerate(edges)])
    return edges


async def told(database: Database) -> list[Told]:
    async with database.transaction(SCOPE) as session:
        rows = await session.driver.fetch(
            """SELECT edge_id, code, "of", at FROM clock_step WHERE did = 'told' ORDER BY at, edge_id, code"""
        )
        events = await session.driver.fetchval("SELECT count(*) FROM event_unnumbered WHERE type LIKE 'clock.%'")
    assert events == len(rows), "an event for each, and none without"
    return [tuple(row) for row in rows]


async def rows_of(database: Database) -> list[tuple[object, ...]]:
    async with database.transaction(SCOPE) as session:
        rows = await session.driver.fetch("SELECT * FROM timer ORDER BY edge_id, party, clock, run")
    return [tuple(row.values()) for row in rows]


async def hours(
    endpoint: DatabaseEndpoint,
    clocks: Sequence[SteppingClock],
    steps: Sequence[int],
    *,
    random: Random,
    believed: bool = False,
) -> None:
    """Let the true time go on by so many hours at a time, while workers look, step and are killed, then finish."""
    databases = [Database(endpoint.service_url, pool_size=1) for _ in clocks]
    try:
        for step in steps:
            for clock in clocks:
                clock.true += step * HOUR
                clock.off = random.choice([-HOUR, timedelta(), HOUR])
            working = [
                asyncio.create_task(_worked(timers_of(database, clock, believed=believed)))
                for database, clock in zip(databases, clocks, strict=True)
            ]
            await asyncio.sleep(random.uniform(0, 0.1))
            for each in random.sample(working, len(working) // 2):
                each.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*working, return_exceptions=True)
        for clock in clocks:
            clock.off = timedelta()
        await asyncio.gather(
            *(_worked(timers_of(database, clock)) for database, clock in zip(databases, clocks, strict=True))
        )
    finally:
        for database in databases:
            await database.close()


async def _worked(timers: Timers) -> None:
    while await timers.look(50):
        pass
