"""The counters of pairs in PostgreSQL, and their lives.

A number must never be given out twice, and a database that was restored has forgotten the last ones. So a counter has
an epoch. It ends when the database is another one than gave out the last number: another cluster, another timeline of
it, which every restore to a point in time begins, or another file of a table that every instance has, which every dump
that is loaded makes.
It also ends when a recipient says that a number was given out before, or has seen higher ones: that catches what
PostgreSQL cannot tell, a copy of its disk that was put back. A recipient that is served by another instance than before
has another counter there: that one has seen none of the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.kernel.ids import coarse_uuid7
from shared.runtime.post.stamping import Counter, Pair

#: Which database this is. The timeline in which it writes now: the control file would name that of the last checkpoint.
HERE: Final = """
(SELECT system_identifier AS system_id,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline,
        pg_relation_filenode('erasure_place')::bigint AS file
 FROM pg_control_system()) AS here
"""
_WANTED = """unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[])
    AS wanted (sender, recipient, lane, count, epoch)"""
# Pairs are locked in their order. One whose epoch has ended is locked here and not returned.
_COUNT = f"""
INSERT INTO pair_sequence AS p (sender, recipient, lane, epoch, last, system_id, timeline, file)
SELECT wanted.sender, wanted.recipient, wanted.lane, wanted.epoch, wanted.count,
       here.system_id, here.timeline, here.file
FROM {_WANTED}, {HERE} ORDER BY wanted.sender, wanted.recipient, wanted.lane
ON CONFLICT (sender, recipient, lane) DO UPDATE SET last = p.last + excluded.last
WHERE p.epoch <> ALL ($6::uuid[])
  AND (p.system_id, p.timeline, p.file) = (excluded.system_id, excluded.timeline, excluded.file)
RETURNING sender, recipient, lane, epoch, last, prev_epoch, prev_last
"""
# What the ended epoch's last number really was, a database that was restored cannot know: `prev_last` stays open.
_OPEN = f"""
WITH closed AS (
    INSERT INTO closed_epoch (sender, recipient, lane, epoch, last, told)
    SELECT p.sender, p.recipient, p.lane, p.epoch, p.last, p.told
    FROM pair_sequence AS p JOIN {_WANTED} USING (sender, recipient, lane)
)
UPDATE pair_sequence AS p
SET epoch = wanted.epoch, last = wanted.count, told = 0,
    system_id = here.system_id, timeline = here.timeline, file = here.file,
    prev_epoch = p.epoch, prev_last = NULL
FROM {_WANTED}, {HERE}
WHERE (p.sender, p.recipient, p.lane) = (wanted.sender, wanted.recipient, wanted.lane)
RETURNING p.sender, p.recipient, p.lane, p.epoch, p.last, p.prev_epoch, p.prev_last
"""


async def count_on(
    driver: asyncpg.Connection, counts: Mapping[Pair, int], *, at: datetime, ended: Sequence[UUID] = ()
) -> dict[Pair, Counter]:
    """Move the counter of each pair on by its count, in the caller's transaction; `at` is a new epoch's time.

    Pairs are given in their order. Those in an epoch of `ended`, in which a number was given before, open another.
    """
    counted = await _counted(driver, _COUNT, counts, at=at, further=[list(ended)])
    others = {pair: count for pair, count in counts.items() if pair not in counted}
    return counted | (await _counted(driver, _OPEN, others, at=at) if others else {})


async def _counted(
    driver: asyncpg.Connection,
    statement: str,
    counts: Mapping[Pair, int],
    *,
    at: datetime,
    further: Sequence[object] = (),
) -> dict[Pair, Counter]:
    pairs = [list(each) for each in zip(*counts, strict=True)] or [[], [], []]
    fresh = [coarse_uuid7(at) for _ in counts]
    rows = await driver.fetch(statement, *pairs, list(counts.values()), fresh, *further)
    return {(row["sender"], row["recipient"], row["lane"]): Counter(*list(row)[3:]) for row in rows}
