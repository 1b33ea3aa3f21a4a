"""Tables by month: partitions are created in advance, and expired rows are removed quickly with their partition.

Months are UTC months, independent of the time zone of the server and the client.

A partitioned table has a default partition, `rest`, for rows whose month has no partition yet. So no row is lost if the
operator creates no months, and the rows move when the months are created. The owner role owns the partitions. The
service uses them only through their table, so the table's grants and row-level security apply to all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import asyncpg

#: The number of months that exist in advance of the present one.
MONTHS_AHEAD: Final = 3
#: The time that a lock on a table waits for transactions that use the table.
LOCK_WAIT: Final = "SET LOCAL lock_timeout = '5s'"
_TABLES = """
SELECT c.relname AS name, a.attname AS column, nullif(p.partdefid, 0)::regclass::text AS rest
FROM pg_partitioned_table AS p JOIN pg_class AS c ON c.oid = p.partrelid
     JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
WHERE c.relnamespace = 'public'::regnamespace AND p.partstrat = 'r' ORDER BY c.relname
"""
_MONTHS = """
SELECT part.relname AS name FROM pg_inherits AS i JOIN pg_class AS part ON part.oid = i.inhrelid
WHERE i.inhparent = $1::text::regclass
  AND part.oid <> (SELECT partdefid FROM pg_partitioned_table WHERE partrelid = i.inhparent)
ORDER BY part.relname
"""


@dataclass(frozen=True, slots=True)
class PartitionedTable:
    """A table, the column by whose month it is partitioned, and the partition for rows without a month."""

    name: str
    column: str
    rest: str | None


async def partitioned_tables(owner: asyncpg.Connection) -> list[PartitionedTable]:
    """Return the tables of a database that are partitioned by time."""
    return [PartitionedTable(row["name"], row["column"], row["rest"]) for row in await owner.fetch(_TABLES)]


async def make_months(owner: asyncpg.Connection, now: datetime) -> list[str]:
    """Create the partitions of this month and the next ones, and return the names of the new ones. It is idempotent."""
    made = []
    for table in await partitioned_tables(owner):
        existing = set(await _partitions(owner, table.name))
        for month in _months(now.date(), MONTHS_AHEAD + 1):
            if (name := _name(table.name, month)) not in existing:
                await _make(owner, table, month)
                made.append(name)
    return made


async def months_before(owner: asyncpg.Connection, table: str, before: date) -> list[str]:
    """Return the partitions of months before that of `before`, oldest first."""
    ended = _name(table, before.replace(day=1))
    return [name for name in await _partitions(owner, table) if name < ended]


async def drop_month(owner: asyncpg.Connection, partition: str) -> None:
    """Remove a partition with all its rows, within the caller's transaction."""
    await owner.execute(LOCK_WAIT)
    await owner.execute(f'DROP TABLE "{partition}"')


async def _partitions(owner: asyncpg.Connection, table: str) -> Sequence[str]:
    """Return the partitions of months by name, which sorts them by time."""
    return [row["name"] for row in await owner.fetch(_MONTHS, table)]


async def _make(owner: asyncpg.Connection, table: PartitionedTable, month: date) -> None:
    """Create a partition, and move its rows there from `rest`. The table is locked meanwhile."""
    name, begins, ends = _name(table.name, month), _midnight(month), _midnight(_following(month))
    within = f"{table.column} >= {begins} AND {table.column} < {ends}"
    async with owner.transaction():
        await owner.execute(LOCK_WAIT)
        await owner.execute(f'CREATE TABLE "{name}" (LIKE "{table.name}" INCLUDING ALL EXCLUDING IDENTITY)')
        if table.rest is not None:
            moved = f"DELETE FROM {table.rest} WHERE {within} RETURNING *"
            await owner.execute(f'WITH moved AS ({moved}) INSERT INTO "{name}" SELECT * FROM moved')
        bounds = f"FOR VALUES FROM ({begins}) TO ({ends})"
        await owner.execute(f'ALTER TABLE "{table.name}" ATTACH PARTITION "{name}" {bounds}')


def _months(first: date, count: int) -> Iterator[date]:
    month = first.replace(day=1)
    for _ in range(count):
        yield month
        month = _following(month)


def _following(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _midnight(day: date) -> str:
    """Return the beginning of a day as a literal with a zone. Without one, the session's zone would apply."""
    return f"'{day} 00:00:00+00'"


def _name(table: str, month: date) -> str:
    return f"{table}_{month:%Y_%m}"
