"""How far each topic was taken, and which process reads it: rows of the instance's own database, no consumer group.

A lease only spares work: whoever reads a topic without one is stopped by its cursor, which moves from where it stands
in the transaction of what was read, or the transaction is undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import ceil
from typing import Final
from uuid import UUID

import asyncpg

from shared.runtime.database.columns import Columns, Statement
from shared.runtime.database.transactions import Database
from shared.runtime.post.arrivals import Cursor, Step, Superseded

#: How long a lease outlives its last renewal, by the database's clock. Another process takes over after that.
LEASE_S: Final = 4.0

#: So is one that ends later than any can: it was noted before the database's clock went back. $2 is how long one lasts.
_OVER: Final = "(until < now() OR until > clock_timestamp() + 2 * $2::interval)"

_CURSOR = Columns.of(Cursor)
_STEP = Columns.of(Cursor, first="bigint")
_ADVANCE = Statement(
    """
UPDATE topic_cursor AS c SET following = steps.following, tail = steps.tail FROM {steps}
WHERE c.topic = steps.topic AND c.partition = steps.partition AND c.topic_id = steps.topic_id
  AND c.following = steps.first
""",
    steps=_STEP,
)
_CURSORS: Final = "SELECT topic, partition, topic_id, following, tail FROM topic_cursor WHERE topic = ANY($1::text[])"
_BEGIN: Final = "INSERT INTO topic_cursor VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING topic"
_SET_BACK: Final = """
UPDATE topic_cursor SET topic_id = $3, following = $4, tail = $5
WHERE topic = $1 AND partition = $2 AND topic_id = $6 AND following = $7 RETURNING topic
"""
#: Renews what a reader has, and tells what it must know to see that nothing else is to be done; nothing where a reader
#: or a lease has ended.
_KEEP: Final = f"""
WITH seen AS (
    UPDATE topic_reader SET until = now() + $2::interval WHERE holder = $1 AND until >= now() RETURNING holder
), renewed AS (
    UPDATE topic_lease SET until = now() + $2::interval WHERE holder = $1 AND until >= now() RETURNING topic
)
SELECT (SELECT array_agg(topic) FROM renewed) AS held, (SELECT count(*) FROM topic_reader) AS readers,
       (SELECT count(*) FROM topic_lease WHERE topic = ANY($3::text[])) AS leased
WHERE EXISTS (SELECT FROM seen) AND NOT EXISTS (
    SELECT FROM topic_reader WHERE {_OVER} UNION ALL SELECT FROM topic_lease WHERE {_OVER})
"""
_SEEN: Final = """
INSERT INTO topic_reader (holder, until) VALUES ($1, now() + $2)
ON CONFLICT (holder) DO UPDATE SET until = excluded.until
"""
_ENDED: Final = f"""
WITH ended AS (DELETE FROM topic_reader WHERE holder <> $1 AND {_OVER} RETURNING holder)
DELETE FROM topic_lease WHERE {_OVER} OR holder IN (SELECT holder FROM ended)
"""
_READERS: Final = "SELECT count(*) FROM topic_reader WHERE until >= now()"
_RENEW: Final = "UPDATE topic_lease SET until = now() + $2 WHERE holder = $1 RETURNING topic"
_GIVE_UP: Final = "DELETE FROM topic_lease WHERE holder = $1 AND topic = ANY($2::text[])"
_TAKE: Final = """
INSERT INTO topic_lease (topic, holder, until)
SELECT topic, $1, now() + $2 FROM unnest($3::text[]) AS topic
WHERE topic NOT IN (SELECT topic FROM topic_lease) ORDER BY topic LIMIT $4
ON CONFLICT DO NOTHING RETURNING topic
"""
_LEAVE: Final = """
WITH left_ AS (DELETE FROM topic_reader WHERE holder = $1) DELETE FROM topic_lease WHERE holder = $1
"""


async def advance(driver: asyncpg.Connection, steps: Sequence[Step]) -> None:
    """See `Unit.advance`."""
    if not steps:
        return
    ordered = sorted(steps, key=lambda step: (step.after.topic, step.after.partition))
    rows = _STEP.rows([step.after for step in ordered], first=[step.first for step in ordered])
    if await driver.execute(*_ADVANCE.bind(steps=rows)) != f"UPDATE {len(steps)}":
        raise Superseded


class PostgresCursors:
    """Cursors and leases of one instance."""

    def __init__(self, database: Database, *, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_s)

    async def lease(self, topics: Sequence[str], *, holder: UUID) -> frozenset[str]:
        """Each of n readers takes at most ⌈topics / n⌉, and gives up what it has above that."""
        if (kept := await self._kept(topics, holder)) is not None:
            return kept
        return await self._shared_out(topics, holder)

    async def _kept(self, topics: Sequence[str], holder: UUID) -> frozenset[str] | None:
        """What the holder has, renewed, where that is its share and nobody has come or gone: one statement."""
        for row in await self._database.fetch(_KEEP, holder, self._lease, list(topics)):
            held, share = frozenset(row["held"] or ()), ceil(len(topics) / row["readers"])
            nothing_free = row["leased"] == len(topics)
            if held <= frozenset(topics) and (len(held) == share or (len(held) < share and nothing_free)):
                return held
        return None

    async def _shared_out(self, topics: Sequence[str], holder: UUID) -> frozenset[str]:
        async with self._database.transaction() as session:
            driver = session.driver
            await driver.execute(_SEEN, holder, self._lease)
            await driver.execute(_ENDED, holder, self._lease)
            share = ceil(len(topics) / await driver.fetchval(_READERS))
            held = sorted(row["topic"] for row in await driver.fetch(_RENEW, holder, self._lease))
            kept = [topic for topic in held if topic in topics][:share]
            if len(kept) < len(held):
                await driver.execute(_GIVE_UP, holder, sorted(set(held) - set(kept)))
            if len(kept) < share:
                taken = await driver.fetch(_TAKE, holder, self._lease, list(topics), share - len(kept))
                kept += [row["topic"] for row in taken]
        return frozenset(kept)

    async def leave(self, holder: UUID) -> None:
        async with self._database.transaction() as session:
            await session.driver.execute(_LEAVE, holder)

    async def cursors(self, topics: Sequence[str]) -> list[Cursor]:
        async with self._database.transaction() as session:
            return [Cursor(**row) for row in await session.driver.fetch(_CURSORS, list(topics))]

    async def set_back(self, before: Cursor | None, after: Cursor) -> bool:
        place = (after.topic, after.partition, after.topic_id, after.following, after.tail)
        async with self._database.transaction() as session:
            if before is None:
                return await session.driver.fetchval(_BEGIN, *place) is not None
            return await session.driver.fetchval(_SET_BACK, *place, before.topic_id, before.following) is not None
