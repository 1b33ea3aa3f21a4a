"""The counters of pairs in PostgreSQL, and their lives.

A number must never be given out twice, and a database that was restored has forgotten the last ones. So a counter has
an epoch. It ends when the database is another one than gave out the last number: another cluster, or another timeline
of it, which every restore to a point in time begins. It also ends when a recipient says that a number was given out
before: that catches what PostgreSQL cannot tell, such as a dump that was loaded again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from shared.kernel.ids import coarse_uuid7
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.post.ports import SIGNED_AGAIN_MAX, Settlement
from shared.runtime.post.stamping import Counter, Pair

#: The timeline in which this database writes now: the control file would name that of the last checkpoint.
_HERE = """
(SELECT system_identifier AS system_id,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline
 FROM pg_control_system()) AS here
"""
_WANTED = """
unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[])
AS wanted (sender, recipient, recipient_instance, count, epoch)
"""
# A pair whose epoch has ended is locked here and not returned.
_COUNT = f"""
INSERT INTO pair_sequence AS p (sender, recipient, recipient_instance, epoch, last, system_id, timeline)
SELECT wanted.sender, wanted.recipient, wanted.recipient_instance, wanted.epoch, wanted.count, here.system_id,
       here.timeline
FROM {_WANTED}, {_HERE}
ON CONFLICT (sender, recipient, recipient_instance) DO UPDATE SET last = p.last + excluded.last
WHERE NOT p.ended AND (p.system_id, p.timeline) = (excluded.system_id, excluded.timeline)
RETURNING sender, recipient, recipient_instance, epoch, last, prev_epoch, prev_last
"""
# What the ended epoch's last number really was, a database that was restored cannot know: `prev_last` stays open.
_OPEN = f"""
WITH closed AS (
    INSERT INTO closed_epoch (sender, recipient, epoch, last)
    SELECT p.sender, p.recipient, p.epoch, p.last
    FROM pair_sequence AS p JOIN {_WANTED} USING (sender, recipient, recipient_instance)
)
UPDATE pair_sequence AS p
SET epoch = wanted.epoch, last = wanted.count, ended = false, system_id = here.system_id, timeline = here.timeline,
    prev_epoch = p.epoch, prev_last = NULL
FROM {_WANTED}, {_HERE}
WHERE p.sender = wanted.sender AND p.recipient = wanted.recipient AND p.recipient_instance = wanted.recipient_instance
RETURNING p.sender, p.recipient, p.recipient_instance, p.epoch, p.last, p.prev_epoch, p.prev_last
"""
_SETTLEMENT = Columns.of(Settlement)
_SIGN_AGAIN = Statement(
    """
WITH reused AS MATERIALIZED (
    SELECT o.id, o.message_id, o.digest, o.recipient_instance, o.sender, o.recipient, o.epoch
    FROM outbox AS o JOIN {receipts}
      ON o.message_id = receipts.message_id AND o.digest = receipts.digest AND o.recipient_instance = receipts.by
    WHERE (SELECT count(*) FROM signed_again AS s WHERE s.message_id = o.message_id) < {at_most}
), pairs AS MATERIALIZED (
    SELECT p.epoch FROM pair_sequence AS p
    WHERE (p.sender, p.recipient, p.epoch) IN (SELECT sender, recipient, epoch FROM reused)
    ORDER BY p.sender, p.recipient, p.recipient_instance FOR UPDATE
), ended AS (
    UPDATE pair_sequence AS p SET ended = true FROM pairs WHERE p.epoch = pairs.epoch
), kept AS (
    INSERT INTO signed_again (message_id, digest, recipient_instance)
    SELECT message_id, digest, recipient_instance FROM reused ON CONFLICT DO NOTHING
)
UPDATE outbox AS o
SET epoch = NULL, sequence = NULL, prev_epoch = NULL, prev_last = NULL, key_id = NULL, batch_root = NULL,
    batch_signature = NULL, batch_index = NULL, batch_size = NULL, batch_path = NULL, digest = NULL, sent_at = NULL
FROM reused WHERE o.id = reused.id
RETURNING reused.message_id, reused.digest, reused.recipient_instance
""",
    receipts=_SETTLEMENT,
    at_most="bigint",
)


async def count_on(driver: asyncpg.Connection, counts: Mapping[Pair, int], *, at: datetime) -> dict[Pair, Counter]:
    """Move the counter of each pair on by its count, in the caller's transaction; `at` is a new epoch's time."""
    counted = await _counted(driver, _COUNT, counts, at=at)
    ended = {pair: count for pair, count in counts.items() if pair not in counted}
    return counted | (await _counted(driver, _OPEN, ended, at=at) if ended else {})


async def sign_again(driver: asyncpg.Connection, refused: Sequence[Settlement]) -> set[tuple[UUID, str, str]]:
    """Take the number back from the messages that `refused` names, and end the epochs that gave it out.

    Returns (message id, digest, instance) of each. They are stamped anew, in their old place: nothing overtakes them.
    One that was signed again `SIGNED_AGAIN_MAX` times is not among them: its refusal is an answer like any other.
    """
    if not refused:
        return set()
    rows = await driver.fetch(*_SIGN_AGAIN.bind(receipts=_SETTLEMENT.rows(refused), at_most=SIGNED_AGAIN_MAX))
    return {tuple(row) for row in rows}


async def _counted(
    driver: asyncpg.Connection, statement: str, counts: Mapping[Pair, int], *, at: datetime
) -> dict[Pair, Counter]:
    pairs = [list(each) for each in zip(*counts, strict=True)] or [[], [], []]
    fresh = [coarse_uuid7(at) for _ in counts]
    rows = await driver.fetch(statement, *pairs, list(counts.values()), fresh)
    return {(row["sender"], row["recipient"], row["recipient_instance"]): Counter(*list(row)[3:]) for row in rows}
