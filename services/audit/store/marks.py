"""Which numbers audit has seen, in a table: what it tells the instances that gave them, and whom it has told."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from services.audit.ports import Telling
from shared.contracts.delivery import HOLES_MAX, TakenMark
from shared.runtime.database.transactions import Database

#: News are told after so long at the earliest, holes as long as there are any.
NEWS_S: Final = 10
HOLES_S: Final = 60
_MARK: Final = """
SELECT p.sender, p.recipient, p.epoch, p.changed_at,
       coalesce((SELECT upper(r) - 1 FROM unnest(p.taken + p.gone) AS r WHERE lower(r) = 1), 0) AS through,
       p.known, ARRAY(SELECT ARRAY[lower(r), upper(r) - 1]
             FROM unnest(int8multirange(int8range(1, p.known + 1)) - (p.taken + p.gone)) AS r LIMIT $2) AS holes
FROM pair_taken AS p
"""
_ORDER: Final = " ORDER BY p.sender, p.recipient, p.epoch"
_ALL: Final = _MARK + "WHERE p.instance = $1" + _ORDER
_CHANGED: Final = _MARK + "WHERE p.instance = $1 AND (p.open OR p.changed_at > $3)" + _ORDER
#: One reader appends, one batch after the other: what changes later has a later time than all that is seen here.
#: Asked all the time: of each instance the newest change and one that is open, however many numberings there are. Who
#: was told later than now was told before the database's clock went back.
_DUE = """
WITH RECURSIVE seen AS (
    (SELECT instance FROM pair_taken ORDER BY instance LIMIT 1)
    UNION ALL
    SELECT following.instance FROM seen CROSS JOIN LATERAL (
        SELECT p.instance FROM pair_taken AS p WHERE p.instance > seen.instance ORDER BY p.instance LIMIT 1
    ) AS following
)
SELECT each_of.instance, each_of.asked, each_of.told_through
FROM (SELECT instance, t.asked, t.told_at, coalesce(t.told_through, '-infinity') AS told_through
      FROM seen FULL JOIN telling AS t USING (instance)) AS each_of
WHERE asked IS NOT NULL
   OR (coalesce(told_at, '-infinity') NOT BETWEEN now() - $1 * interval '1 s' AND now()
       AND (SELECT p.changed_at FROM pair_taken AS p WHERE p.instance = each_of.instance
            ORDER BY p.changed_at DESC LIMIT 1) > told_through)
   OR (told_at NOT BETWEEN now() - $2 * interval '1 s' AND now()
       AND (SELECT p.open FROM pair_taken AS p WHERE p.instance = each_of.instance AND p.open
            ORDER BY p.changed_at DESC LIMIT 1))
"""
_TOLD = """
INSERT INTO telling AS t (instance, told_through, told_at) VALUES ($1, $2, now())
ON CONFLICT (instance) DO UPDATE
SET told_through = greatest(t.told_through, excluded.told_through), told_at = now(),
    asked = CASE WHEN t.asked IS DISTINCT FROM $3 THEN t.asked END
"""


class PostgresMarks:
    """`Marks` over audit's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def marks_for(self, instance: str) -> list[TakenMark]:
        return [_mark(row) for row in await self._database.fetch(_ALL, instance, HOLES_MAX)]

    async def due(self) -> list[Telling]:
        async with self._database.transaction() as session:
            due = await session.driver.fetch(_DUE, NEWS_S, HOLES_S)
            return [await _telling(session.driver, row) for row in due]

    async def told(self, telling: Telling) -> None:
        async with self._database.transaction() as session:
            await session.driver.execute(_TOLD, telling.to, telling.through, telling.answers)


async def _telling(driver: asyncpg.Connection, due: asyncpg.Record) -> Telling:
    """What to tell one instance: everything where it asks."""
    to, asked, before = str(due["instance"]), due["asked"], due["told_through"]
    rows = await driver.fetch(_ALL, to, HOLES_MAX) if asked else await driver.fetch(_CHANGED, to, HOLES_MAX, before)
    through: datetime | None = max((row["changed_at"] for row in rows), default=None)
    return Telling(to, tuple(map(_mark, rows)), through, UUID(int=asked.int) if asked else None)


def _mark(row: asyncpg.Record) -> TakenMark:
    return TakenMark(
        sender=row["sender"],
        recipient=row["recipient"],
        epoch=UUID(int=row["epoch"].int),
        through=row["through"],
        holes=tuple((first, last) for first, last in row["holes"]),
        # Where not all holes fit, nothing is said of what lies behind the last of them.
        known=row["known"] if 0 < len(row["holes"]) < HOLES_MAX else None,
    )
