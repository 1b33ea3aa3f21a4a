"""What needs a person of an origin, in PostgreSQL: edges, referrals, alarms. Each look is one walk along an index."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

import asyncpg

from shared.exchange.act import Subject
from shared.exchange.origin import UNFINISHED
from shared.party.waiting import ANSWERED_NO, CAME_BACK, P0_OPEN, UNCLAIMED, Place, Waits, mend_of, waits_of
from shared.runtime.database.transactions import Database
from shared.vocabulary.routing import WorkReason

_REFERRALS: Final = """
SELECT referral_id AS id, rank, accepted_at AS since, referral_id AS subject, external_ref,
       facts ->> 'priority' AS priority, work_reason
FROM referral
WHERE party = $1 AND work_reason IS NOT NULL AND state <> 'withdrawn'
  AND work_reason || '' NOT IN ('deferred', 'waiting', 'parked', 'recipient_cannot_read')
  AND (rank, accepted_at, referral_id) > ($2::smallint, $3, $4) AND rank <= $5
ORDER BY rank, accepted_at, referral_id LIMIT $6
"""
#: An edge that moved is issued anew, and one that was refused as stale is decided again: as the column `attention`.
_STUCK: Final = "e.receipt <> 'moved' AND coalesce(e.receipt_code, '') NOT IN ('decision_time_off', 'document_lapsed')"
_EDGES: Final = f"""
SELECT e.edge_id AS id, e.rank, e.attention AS since, e.referral_id AS subject, r.external_ref,
       e.recipient AS party, e.notice_id, r.facts ->> 'priority' AS priority, e.state, e.unread, e.answer,
       CASE WHEN {_STUCK} THEN e.receipt END AS receipt,
       coalesce(CASE WHEN {_STUCK} THEN e.receipt_code END,
                CASE e.answer WHEN 'declined' THEN e.answer_detail ->> 'reason' END) AS code,
       jsonb_path_exists(e.answer_detail, '$.disowned[*].suggested') AS suggested
FROM edge AS e JOIN referral AS r USING (referral_id)
WHERE e.party = $1 AND e.attention IS NOT NULL
  AND (e.rank, e.attention, e.edge_id) > ($2::smallint, $3, $4) AND e.rank <= $5
ORDER BY e.rank, e.attention, e.edge_id LIMIT $6
"""
#: What an agency had passed on and has again, until it answers once more. As the index `edge_came_back` names it.
_CAME_BACK: Final = """
SELECT DISTINCT ON (r.rank, e.answered_at, e.referral_id, e.recipient)
       e.referral_id AS id, r.rank, e.answered_at AS since, e.referral_id AS subject, r.external_ref,
       e.recipient AS party, r.facts ->> 'priority' AS priority, e.answer_detail ->> 'code' AS code
FROM edge AS e JOIN referral AS r USING (referral_id)
WHERE e.party = $1 AND e.answer_detail ? 'stands' AND e.state = 'emitted' AND NOT e.taken_back
  AND (r.rank, e.answered_at, e.referral_id) > ($2::smallint, $3, $4) AND r.rank <= $5
ORDER BY r.rank, e.answered_at, e.referral_id, e.recipient LIMIT $6
"""

#: Of a transfer that nobody has claimed the referral stands there, once.
_UNCLAIMED: Final = """
SELECT r.referral_id AS id, r.rank, t.since, r.referral_id AS subject, r.external_ref,
       r.facts ->> 'priority' AS priority
FROM (
    SELECT referral_id, min(offered_at) AS since FROM transfer WHERE party = $1 AND claimed_at IS NULL
    GROUP BY referral_id
) AS t JOIN referral AS r USING (referral_id)
WHERE r.state IN ('routed', 'orphaned')
  AND (r.rank, t.since, r.referral_id) > ($2::smallint, $3, $4) AND r.rank <= $5
ORDER BY r.rank, t.since, r.referral_id LIMIT $6
"""


async def unclaimed_waits(
    driver: asyncpg.Connection, party: str, above: Place, *, rank_max: int, limit: int
) -> list[Waits]:
    """What the party lets others claim, and nobody has claimed: the first `limit` behind `above`."""
    rows = await driver.fetch(_UNCLAIMED, party, *above, rank_max, limit)
    return [waits_of(row, UNCLAIMED, kind=Subject.REFERRAL) for row in rows]


async def origin_waits(
    driver: asyncpg.Connection, party: str, above: Place, *, rank_max: int, limit: int
) -> list[Waits]:
    """The first `limit` that stand behind `above`. Outcomes of single messages count for their edges."""
    asked = party, *above, rank_max, limit
    whole = [waits_of(row, row["work_reason"], kind=Subject.REFERRAL) for row in await driver.fetch(_REFERRALS, *asked)]
    edges = [_edge(row) for row in await driver.fetch(_EDGES, *asked)]
    back = [waits_of(row, CAME_BACK, kind=Subject.REFERRAL) for row in await driver.fetch(_CAME_BACK, *asked)]
    return sorted([*whole, *edges, *back], key=lambda waits: waits.place)[:limit]


def _edge(row: asyncpg.Record) -> Waits:
    reasons = _reasons(row)
    return waits_of(row, *reasons, kind=Subject.REFERRAL, mend=mend_of(reasons, suggested=bool(row["suggested"])))


def _reasons(row: asyncpg.Record) -> tuple[str, ...]:
    """Why an edge needs a person: as the column `attention` has it."""
    answered = row["answer"] if row["answer"] in ANSWERED_NO else None
    waits = row["state"] == "waiting" or row["unread"]
    first = WorkReason.RECIPIENT_CANNOT_READ if waits else row["receipt"] or answered
    p0 = row["rank"] == 0 and row["answer"] in UNFINISHED
    return tuple(reason for reason in (first, P0_OPEN if p0 else None) if reason is not None)


_KEEP: Final = """
INSERT INTO alarm (party, kind, day, name) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING party
"""


class Raised(NamedTuple):
    """One alarm; `name` is opaque, the same for all of the party's at this instance."""

    party: str
    kind: StrEnum
    day: date
    name: str


async def keep_alarm(database: Database, raised: Raised) -> bool:
    """Keep an alarm; whether it is the first of its party, kind and day."""
    return bool(await database.fetch(_KEEP, raised.party, raised.kind.value, raised.day, raised.name))
