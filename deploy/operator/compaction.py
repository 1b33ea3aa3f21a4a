"""Compaction: rows of delivery that nobody can ask for any more become spans of numbers, one row a pair and epoch.

A row of the inbox goes when it was applied, is past the period, and its sender has said that it holds no number up to
its own: by then audit has it, too. A refusal stays, to be said again, and so does a withdrawal, for what comes after
it. Of `settled` a whole month goes; what was refused or moved stays. From then on a message that comes again is
answered by its number (`shared.runtime.post.admitted`), and the accounts compare digests that were added up.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.kernel.ids import first_uuid7
from shared.runtime.database.partitions import LOCK_WAIT

#: So many rows of the inbox go in one transaction. Consumers wait for it: the table is locked against new rows, so that
#: none comes in between the look that finds no row and the look that finds no number.
_ROWS: Final = 5_000
_FOLD: Final = """
INSERT INTO compacted AS c (book, sender, recipient, epoch, numbers, digests, newest)
SELECT '{book}', sender, recipient, epoch, range_agg(int8range(sequence, sequence, '[]')),
       sum(('x' || left(digest, 15))::bit(60)::bigint), max(message_id::text)::uuid
FROM {rows} GROUP BY sender, recipient, epoch
ON CONFLICT (book, sender, recipient, epoch) DO UPDATE SET numbers = c.numbers + excluded.numbers,
    digests = c.digests + excluded.digests, newest = greatest(c.newest, excluded.newest)
"""
#: In the order of their ids, which is that of time: a page of ids, and of these the rows that may go.
_INBOX: Final = f"""
WITH page AS MATERIALIZED (
    SELECT message_id FROM inbox WHERE message_id > $1 AND message_id < $2 ORDER BY message_id LIMIT $4
), ended AS (
    DELETE FROM inbox AS i USING page, pair_taken AS p
    WHERE i.message_id = page.message_id AND i.received_at < $3 AND i.outcome = 'applied' AND i.code IS NULL
      AND i.type NOT IN ('causeway.referral_withdrawn.v1', 'causeway.notice_withdrawn.v1')
      AND (p.sender, p.recipient, p.epoch, p.instance) = (i.sender, i.recipient, i.epoch, i.sender_instance)
      AND i.sequence <= p.released
    RETURNING i.sender, i.recipient, i.epoch, i.sequence, i.message_id, i.digest
), kept AS ({_FOLD.format(book="inbox", rows="ended")})
SELECT max(message_id::text)::uuid AS last, (SELECT count(*) FROM ended) AS count FROM page
"""
#: Whether what became of a settled message is what its number alone says.
_PLAIN: Final = "(outcome IS NULL OR outcome = 'applied')"


async def compact_inbox(owner: asyncpg.Connection, before: datetime) -> int:
    """Compact what came, and was signed, before that time; how many rows went."""
    total, after, below = 0, UUID(int=0), first_uuid7(before)
    while True:
        async with owner.transaction():
            await owner.execute(LOCK_WAIT)
            await owner.execute("LOCK TABLE inbox IN SHARE ROW EXCLUSIVE MODE")
            [page] = await owner.fetch(_INBOX, after, below, before, _ROWS)
        total += int(page["count"])
        if page["last"] is None:
            return total
        after = page["last"]


async def fold_settled(owner: asyncpg.Connection, month: str) -> None:
    """Within the caller's transaction: what goes with this partition of `settled`; the others are in `staying`."""
    await owner.execute(f'CREATE TEMP TABLE staying ON COMMIT DROP AS SELECT * FROM "{month}" WHERE NOT {_PLAIN}')
    await owner.execute(_FOLD.format(book="settled", rows=f'"{month}" WHERE {_PLAIN}'))


async def fold_rest(owner: asyncpg.Connection, before: datetime) -> None:
    """Compact what of `settled` no month was there for."""
    ended = f"DELETE FROM settled_default WHERE settled_at < $1 AND {_PLAIN} RETURNING *"
    await owner.execute(f"WITH ended AS ({ended}) {_FOLD.format(book='settled', rows='ended')}", before)
