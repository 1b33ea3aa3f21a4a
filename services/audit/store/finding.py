"""Looking for flows: by who filed or was sent them and when they were decided, or by an id."""

from __future__ import annotations

from typing import Final

from services.audit.ports import FoundFlow, Sought
from shared.runtime.database.transactions import Session

# `$3` are the parties in scope, nothing for all: a flow is found, and a party found in it, by a pair with one of them.
_SHOWN: Final = """
SELECT d.subject AS referral_id, d.decided_at, d.origin,
       (SELECT array_agg(DISTINCT l.recipient ORDER BY l.recipient) FROM link AS l
        WHERE l.referral_id = d.subject::uuid AND l.origin = d.origin
          AND ($3::text[] IS NULL OR l.recipient = ANY($3) OR d.origin = ANY($3))) AS recipients
FROM (
    -- Its origin is who was first to state that it decided it, whatever others state later.
    SELECT e.subject, min(e.broker_time) AS decided_at, (array_agg(e.detail->>'origin'
        ORDER BY e.broker_time, e.topic, e.generation, e.partition, e."offset")
        FILTER (WHERE e.detail->>'origin' IS NOT NULL))[1] AS origin
    FROM entry AS e WHERE e.kind = 'decision' AND e.exercise = $1 AND {where}
    GROUP BY e.subject
) AS d
WHERE $3::text[] IS NULL OR d.origin = ANY($3) OR EXISTS (
    SELECT 1 FROM link AS l
    WHERE l.referral_id = d.subject::uuid AND l.origin = d.origin AND l.recipient = ANY($3))
ORDER BY d.decided_at DESC, d.subject DESC LIMIT $2
"""
_BY_PERIOD: Final = _SHOWN.format(
    where="""e.broker_time >= $4 AND e.broker_time < $5 AND ($6::text IS NULL OR e.detail->>'origin' = $6 OR EXISTS (
        SELECT 1 FROM link AS l WHERE l.referral_id = e.subject::uuid AND l.recipient = $6
          AND ($3::text[] IS NULL OR $6 = ANY($3) OR e.detail->>'origin' = ANY($3))))"""
)
_BY_ID: Final = _SHOWN.format(
    where="""e.subject IN (
        SELECT ($4::uuid)::text
        UNION SELECT l.referral_id::text FROM entry AS m JOIN link AS l ON l.edge_id = m.edge_id
              WHERE (m.subject = ($4::uuid)::text OR m.message_id = $4)
                AND ($3::text[] IS NULL OR m.sender = ANY($3) OR m.recipient = ANY($3)))"""
)


async def find(
    session: Session, sought: Sought, *, exercise: bool, parties: list[str] | None, limit: int
) -> list[FoundFlow]:
    """The newest first."""
    if sought.reference is not None:
        rows = await session.driver.fetch(_BY_ID, exercise, limit, parties, sought.reference)
    else:
        when = sought.since, sought.until
        rows = await session.driver.fetch(_BY_PERIOD, exercise, limit, parties, *when, sought.party)
    return [FoundFlow.model_validate(dict(row) | {"recipients": row["recipients"] or ()}) for row in rows]
