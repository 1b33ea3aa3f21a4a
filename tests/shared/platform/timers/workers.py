"""Workers that run timers while their clocks step and they are killed, with a record of all firings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import asyncpg

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.act import Subject
from shared.core.authority import Role
from shared.core.ids import uuid4
from shared.core.protocol.clocks import EdgeClock, EdgeStep, answered
from shared.core.protocol.timers import Deadline, TimerEntry, to_time
from shared.core.routing.clocks import Law, LawAt
from shared.core.vocabulary.answers import AnswerState
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.timers.store import to_row
from shared.platform.timers.timers import Timers, clock
from tests.shared.core.routing.test_clocks import AT, DIRECTORY, NOTICE_RULE, SAMPLE_LAW

WORKERS = 8
PARTY = "provider-nl.example"
SCOPE = RowScope((PARTY,), Role.SERVICE, "apply")
READING = RowScope((PARTY,), Role.VIEWER, "read")
HOUR = timedelta(hours=1)
#: One row per firing: edge, clock, run, and the due time.
Told = tuple[UUID, str, int, datetime]


class SteppingClock:
    """The true time plus this clock's offset."""

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
    """Return timers. `believed`: the clock's time is trusted without a witness, as a control."""

    async def itself(_: asyncpg.Connection) -> datetime:
        return clock.now()

    witness = itself if believed else clock.witness
    return Timers(database, law_at, clock, scope=lambda: SCOPE, witness=witness)


async def look_through(timers: Timers) -> None:
    """Look until nothing is due."""
    while await timers.look():
        pass


@asynccontextmanager
async def acting(database: Database, law: LawAt | None = law_at) -> AsyncIterator[Session]:
    """Open a transaction of a party while the law is available, or while it is not."""
    database.law_at = law
    async with database.transaction(SCOPE) as session:
        yield session
    database.law_at = None


def notices(count: int, *, seed: int = 0) -> list[EdgeClock]:
    """Return notices that were issued within two days."""
    random = Random(seed)
    return [
        EdgeClock(
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
            started_at=AT + timedelta(seconds=10 * random.randrange(17_280)),
        )
        for _ in range(count)
    ]


def steps_of(edge: EdgeClock, state: AnswerState, at: datetime) -> list[EdgeStep]:
    """Return the steps of an answer."""
    return [EdgeStep.by(PARTY, edge.told_by, edge.origin, step=step) for step in answered(Subject.NOTICE, state, at)]


async def begun(database: Database, count: int) -> list[EdgeClock]:
    """Begin deadlines. The transaction counts every second one by the law; the scheduler counts the others."""
    edges = notices(count)
    await begin(database, *edges[::2])
    await begin(database, *edges[1::2], law=law_at)
    return edges


async def begin(database: Database, *edges: EdgeClock, law: LawAt | None = None) -> None:
    """Begin deadlines, by the law if one is given."""
    async with acting(database, law) as session:
        await clock(session.driver, edges, ())


async def told(database: Database) -> list[Told]:
    async with database.transaction(SCOPE) as session:
        rows = await session.driver.fetch(
            """
            SELECT edge_id, step->>2 AS code, (step->3)::int AS number, (step->0)::bigint AS at
            FROM deadline, jsonb_array_elements(steps) AS step WHERE step->>1 = 'told' ORDER BY at, edge_id, code
            """
        )
    async with database.transaction(READING) as session:
        acts = await session.driver.fetchval("SELECT count(*) FROM act WHERE type LIKE 'clock.%'")
    assert acts == len(rows), "an act for each, and none without"
    return [(row["edge_id"], row["code"], row["number"], to_time(row["at"])) for row in rows]


async def rows_of(database: Database) -> list[Deadline]:
    """Return the rows of the table, complete."""
    async with database.transaction(SCOPE) as session:
        rows = await session.driver.fetch("SELECT * FROM deadline ORDER BY edge_id, party")
    return [to_row(row) for row in rows]


async def timers_kept(database: Database) -> list[tuple[UUID, TimerEntry]]:
    """Return the timers of each edge."""
    return [(row.edge.edge_id, timer) for row in await rows_of(database) for timer in row.timers or ()]


async def hours(
    endpoint: DatabaseEndpoint,
    clocks: Sequence[SteppingClock],
    steps: Sequence[int],
    *,
    random: Random,
    believed: bool = False,
) -> None:
    """Advance the true time by each of these hours while workers run, step and are killed; then finish."""
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
