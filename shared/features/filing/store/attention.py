"""Referrals and edges that wait for a person, in PostgreSQL: attention items, alarms, and second reviews.

Each query of attention items walks along one index. A second review finds, releases or erases a referral.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.acts.act import Subject
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.origin import UNFINISHED
from shared.core.protocol.prepare import Redecision
from shared.core.vocabulary.routing import WorkReason
from shared.features.attention.rules import (
    ANSWERED_NO,
    CAME_BACK,
    P0_OPEN,
    UNCLAIMED,
    AttentionRow,
    ListPlace,
    mend_of,
    waits_of,
)
from shared.features.filing.ports import PendingReview
from shared.features.filing.store.edges import PostgresEdges
from shared.features.filing.store.intake import opened, read_trace
from shared.features.record_access.store import RecordStore
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.database.journal import ErasedRecord, KeptRecord
from shared.platform.database.transactions import Database, gather

_FIND_REVIEW: Final = """
SELECT referral_id, party, exercise, state, filed_by, body_sha256, traceparent, content, wrapped_key
FROM referral WHERE referral_id = $1
"""
_RELEASE: Final = """
UPDATE referral SET state = $2, reviewed_by = $3, unrouted_reason = NULL
WHERE referral_id = $1 AND state = 'unreleased' RETURNING referral_id
"""
#: Location tokens end with the record. `{}` is the statement that erases it.
_ERASE: Final = """
WITH erased AS ({}), places AS (DELETE FROM location_token AS l USING erased WHERE l.referral_id = erased.referral_id)
SELECT * FROM erased
"""
_DROP: Final = _ERASE.format("""
UPDATE referral SET state = 'dropped', reviewed_by = $2, unrouted_reason = NULL, content = '', wrapped_key = NULL
WHERE referral_id = $1 AND state = 'unreleased' RETURNING party, referral_id
""")
# Rows that another transaction has locked are skipped and read again later.
_EXPIRE: Final = _ERASE.format("""
WITH late AS (
    SELECT referral_id FROM referral WHERE state = 'unreleased' AND accepted_at < $1 AND referral_id <> ALL($3::uuid[])
    ORDER BY accepted_at LIMIT $2 FOR UPDATE SKIP LOCKED
) UPDATE referral SET state = 'dropped', unrouted_reason = NULL, content = '', wrapped_key = NULL
WHERE referral_id IN (SELECT referral_id FROM late)
RETURNING referral_id, party, exercise, state, filed_by, body_sha256, traceparent
""")
#: The name of an origin's record in the journal of erasures.
ERASED: Final = "referral"
#: Erases referrals of these ids and parties again after a restore. The key also opens the earlier revisions.
ERASE_AGAIN: Final = _ERASE.format("""
UPDATE referral AS r SET wrapped_key = NULL, content = '' FROM unnest($1::uuid[], $2::text[]) AS e (subject, party)
WHERE r.referral_id = e.subject AND r.party = e.party AND r.wrapped_key IS NOT NULL RETURNING r.referral_id
""")


class PostgresReviews(RecordStore):
    """The referrals that wait for a second person. Absent and foreign ones are not found."""

    async def find(self, referral_id: UUID) -> PendingReview | None:
        """Return one referral of the acting party in any state."""
        row = await self._driver.fetchrow(_FIND_REVIEW, referral_id)
        return None if row is None else _unreleased(row, self._kek if row["wrapped_key"] is not None else None)

    async def release(self, by: str, again: Redecision) -> bool:
        """Release a referral as decided again. Return False if another person has released or dropped it meanwhile."""
        if await self._driver.fetchval(_RELEASE, again.referral_id, again.disposition, by) is None:
            return False
        await PostgresEdges(self._driver, self._kek).replace((), (), [again])
        gather(self._driver, [KeptRecord(ERASED, again.referral_id, again.origin)])
        return True

    async def drop(self, referral_id: UUID, by: str) -> bool:
        """Erase a referral; False as for `release`."""
        party = await self._driver.fetchval(_DROP, referral_id, by)
        if party is None:
            return False
        gather(self._driver, [ErasedRecord(ERASED, referral_id, party)])
        return True

    async def expire(self, before: datetime, taking: ClaimedBatch) -> list[PendingReview]:
        """Erase referrals of the bound parties that have waited since before `before`, oldest first."""
        rows = taking.take(await self._driver.fetch(_EXPIRE, before, taking.limit, taking.passed_over))
        gather(self._driver, [ErasedRecord(ERASED, row["referral_id"], row["party"]) for row in rows])
        return [_unreleased(row, None) for row in rows]


def _unreleased(row: asyncpg.Record, kek: KeyEncryptionKey | None) -> PendingReview:
    of = {name: row[name] for name in ("referral_id", "party", "exercise", "state", "filed_by")}
    digest, trace = row["body_sha256"].hex(), read_trace(row["traceparent"])
    return PendingReview(**of, body_sha256=digest, traceparent=trace, content=None if kek is None else opened(row, kek))


_REFERRALS: Final = """
SELECT referral_id AS id, priority_rank AS rank, accepted_at AS since, referral_id AS subject, external_ref,
       priority, unrouted_reason FROM referral WHERE party = $1 AND unrouted_reason IS NOT NULL AND state <> 'withdrawn'
  AND unrouted_reason || '' NOT IN ('deferred', 'waiting', 'parked', 'recipient_cannot_read')
  AND (priority_rank, accepted_at, referral_id) > ($2::smallint, $3, $4) AND priority_rank <= $5
ORDER BY priority_rank, accepted_at, referral_id LIMIT $6
"""
#: Edges that moved are sent again, and stale ones are decided again, so neither needs a person. As in
#: `attention_since`.
_STUCK: Final = (
    "e.receipt_outcome <> 'moved' AND coalesce(e.receipt_code, '') NOT IN ('decision_time_off', 'document_lapsed')"
)
_EDGES: Final = f"""
SELECT e.edge_id AS id, e.priority_rank AS rank, e.attention_since AS since, e.referral_id AS subject, r.external_ref,
       e.recipient AS party, e.notice_id, r.priority, e.state, e.is_unreadable, e.answer,
       CASE WHEN {_STUCK} THEN e.receipt_outcome END AS receipt,
       coalesce(CASE WHEN {_STUCK} THEN e.receipt_code END,
                CASE e.answer WHEN 'declined' THEN e.answer_detail ->> 'reason' END) AS code,
       jsonb_path_exists(e.answer_detail, '$.disowned[*].suggested') AS suggested
FROM edge AS e JOIN referral AS r USING (referral_id) WHERE e.party = $1 AND e.attention_since IS NOT NULL
  AND (e.priority_rank, e.attention_since, e.edge_id) > ($2::smallint, $3, $4) AND e.priority_rank <= $5
ORDER BY e.priority_rank, e.attention_since, e.edge_id LIMIT $6
"""
#: Cases that were returned to an agency after a referral, until it answers again. The index `edge_came_back` matches.
_CAME_BACK: Final = """
SELECT DISTINCT ON (r.priority_rank, e.answered_at, e.referral_id, e.recipient)
       e.referral_id AS id, r.priority_rank AS rank, e.answered_at AS since, e.referral_id AS subject, r.external_ref,
       e.recipient AS party, r.priority, e.answer_detail ->> 'code' AS code
FROM edge AS e JOIN referral AS r USING (referral_id)
WHERE e.party = $1 AND e.answer_detail ? 'stands' AND e.state = 'emitted' AND NOT e.is_retracted
  AND (r.priority_rank, e.answered_at, e.referral_id) > ($2::smallint, $3, $4) AND r.priority_rank <= $5
ORDER BY r.priority_rank, e.answered_at, e.referral_id, e.recipient LIMIT $6
"""

#: An unclaimed transfer makes one item for its referral.
_UNCLAIMED: Final = """
SELECT r.referral_id AS id, r.priority_rank AS rank, t.since, r.referral_id AS subject, r.external_ref,
       r.priority
FROM (
    SELECT referral_id, min(offered_at) AS since FROM transfer WHERE party = $1 AND claimed_at IS NULL
    GROUP BY referral_id
) AS t JOIN referral AS r USING (referral_id)
WHERE r.state IN ('routed', 'orphaned')
  AND (r.priority_rank, t.since, r.referral_id) > ($2::smallint, $3, $4) AND r.priority_rank <= $5
ORDER BY r.priority_rank, t.since, r.referral_id LIMIT $6
"""


async def unclaimed_waits(
    driver: asyncpg.Connection, party: str, above: ListPlace, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return the first `limit` transferred referrals after `above` that no hotline has claimed."""
    rows = await driver.fetch(_UNCLAIMED, party, *above, rank_max, limit)
    return [waits_of(row, UNCLAIMED, kind=Subject.REFERRAL) for row in rows]


async def origin_waits(
    driver: asyncpg.Connection, party: str, above: ListPlace, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return the first `limit` attention items after `above`. Outcomes of single messages count for their edges."""
    arguments = party, *above, rank_max, limit
    rows = await driver.fetch(_REFERRALS, *arguments)
    whole = [waits_of(row, row["unrouted_reason"], kind=Subject.REFERRAL) for row in rows]
    edges = [_edge(row) for row in await driver.fetch(_EDGES, *arguments)]
    back = [waits_of(row, CAME_BACK, kind=Subject.REFERRAL) for row in await driver.fetch(_CAME_BACK, *arguments)]
    return sorted([*whole, *edges, *back], key=lambda waits: waits.place)[:limit]


def _edge(row: asyncpg.Record) -> AttentionRow:
    reasons = _reasons(row)
    return waits_of(row, *reasons, kind=Subject.REFERRAL, mend=mend_of(reasons, suggested=bool(row["suggested"])))


def _reasons(row: asyncpg.Record) -> tuple[str, ...]:
    """Return the reasons why an edge needs a person, as in the column `attention_since`."""
    answered = row["answer"] if row["answer"] in ANSWERED_NO else None
    waits = row["state"] == "waiting" or row["is_unreadable"]
    first = WorkReason.RECIPIENT_CANNOT_READ if waits else row["receipt"] or answered
    p0 = row["rank"] == 0 and row["answer"] in UNFINISHED
    return tuple(reason for reason in (first, P0_OPEN if p0 else None) if reason is not None)


_KEEP: Final = """
INSERT INTO alarm (party, kind, day, name) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING party
"""


class RaisedAlarm(NamedTuple):
    """One alarm; `name` is opaque, the same for all alarms of the party at this instance."""

    party: str
    kind: StrEnum
    day: date
    name: str


async def keep_alarm(database: Database, raised: RaisedAlarm) -> bool:
    """Store an alarm. Return whether it is the first of its party, kind and day."""
    return bool(await database.fetch(_KEEP, raised.party, raised.kind.value, raised.day, raised.name))
