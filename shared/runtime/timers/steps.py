"""What clocks look at, as the acts of a party's edges leave it: written in the transactions of these acts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.exchange.clocks import Clocked, Happened
from shared.runtime.database.columns import Columns, Statement, insert

CLOCKED: Final = Columns.of(Clocked)
_BEGIN: Final = insert("clocked", CLOCKED, end="ON CONFLICT DO NOTHING")
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


async def begin(driver: asyncpg.Connection, edges: Sequence[Clocked]) -> None:
    """Have clocks run for these edges; one that comes again runs on."""
    if edges:
        await driver.execute(*_BEGIN.bind(rows=CLOCKED.rows(edges)))


async def note_steps(driver: asyncpg.Connection, steps: Sequence[Happened]) -> None:
    """Keep what has happened. Each step once, however often it is told."""
    if steps:
        await driver.execute(*_STEP.bind(steps=_HAPPENED.rows(steps)))


async def end(driver: asyncpg.Connection, edge_ids: Collection[UUID]) -> None:
    """Have nothing be owed of these edges from the beginning."""
    if edge_ids:
        await driver.execute(_END, list(edge_ids))
