"""What clocks look at, as the acts of a party's edges leave it: written in the transactions of these acts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.exchange.clocks import Clocked, Happened
from shared.exchange.timers import Begun
from shared.runtime.database.columns import Bound, Columns, Statement
from shared.runtime.timers.rows import ROW, TimerRow, next_look, timer_row

CLOCKED: Final = Columns.of(Clocked, look_at="timestamptz")
#: What the driver takes for `-infinity`.
_AT_ONCE: Final = datetime.min  # noqa: DTZ901 - with a time zone it would be the year 1
_BEGIN: Final = Statement(
    """
WITH begun AS (
    INSERT INTO clocked ({edges.names}) SELECT {edges.values} FROM {edges} ON CONFLICT DO NOTHING
    RETURNING edge_id, party
)
INSERT INTO timer ({timers.names}) SELECT {timers.values} FROM {timers} JOIN begun USING (edge_id, party)
""",
    edges=CLOCKED,
    timers=ROW,
)
_HAPPENED: Final = Columns.of(Happened)
# One that is locked is looked at right now: it waits for that, and is looked at again.
_STEP: Final = Statement(
    """
WITH known AS MATERIALIZED (
    SELECT c.edge_id, c.party, steps.at, steps.did, steps.code, steps.of
    FROM {steps} JOIN clocked AS c ON c.told_by = steps.told_by AND c.party = steps.party
     AND steps.counterpart IN (c.origin, c.recipient)
), kept AS (
    INSERT INTO clock_step (edge_id, party, at, did, code, "of") SELECT * FROM known ON CONFLICT DO NOTHING
)
UPDATE clocked AS c SET look_at = '-infinity' FROM known AS k WHERE c.edge_id = k.edge_id AND c.party = k.party
""",
    steps=_HAPPENED,
)


# Edges that are sent no more: what took their place is an edge of its own.
_END: Final = """
WITH known AS (
    INSERT INTO clock_step (edge_id, party, at, did, code, "of")
    SELECT edge_id, party, begun_at, 'ends', '', 0 FROM clocked WHERE edge_id = ANY($1::uuid[]) ON CONFLICT DO NOTHING
)
UPDATE clocked SET look_at = '-infinity' WHERE edge_id = ANY($1::uuid[])
"""


async def clock(driver: asyncpg.Connection, begun: Sequence[Begun], steps: Sequence[Happened]) -> None:
    """Have clocks run for new edges, then keep what has happened to those that there are."""
    await begin(driver, begun)
    await note_steps(driver, steps)


async def begin(driver: asyncpg.Connection, edges: Sequence[Begun]) -> None:
    """Have clocks run for these edges; one that comes again runs on."""
    if edges:
        await driver.execute(*_BEGIN.bind(edges=clocked_rows(edges), timers=timer_rows(edges)))


def clocked_rows(edges: Sequence[Begun]) -> Bound[Clocked]:
    """The edges as they are stored: looked at when something is to be told, or at once to make their timers."""
    looks = [_AT_ONCE if each.timers is None else next_look(each.timers) for each in edges]
    return CLOCKED.rows([each.edge for each in edges], look_at=looks)


def timer_rows(edges: Sequence[Begun]) -> Bound[TimerRow]:
    """The timers that they begin with."""
    return ROW.rows([timer_row(each.edge, timer) for each in edges for timer in each.timers or ()])


async def note_steps(driver: asyncpg.Connection, steps: Sequence[Happened]) -> None:
    """Keep what has happened. Each step once, however often it is told."""
    if steps:
        await driver.execute(*_STEP.bind(steps=_HAPPENED.rows(steps)))


async def end(driver: asyncpg.Connection, edge_ids: Collection[UUID]) -> None:
    """Have nothing be owed of these edges from the beginning."""
    if edge_ids:
        await driver.execute(_END, list(edge_ids))
