"""Looking for flows: by who filed or was sent them and when they were decided, or by an id."""

from __future__ import annotations

from typing import Final

from services.audit.ports import FoundFlow, Sought
from shared.runtime.database.transactions import Session

_SHOWN: Final = """
SELECT d.subject AS referral_id, d.decided_at, d.origin,
       (SELECT array_agg(DISTINCT l.recipient ORDER BY l.recipient) FROM link AS l
        WHERE l.referral_id = d.subject::uuid AND l.origin = d.origin) AS recipients
FROM (
    SELECT e.subject, min(e.broker_time) AS decided_at, min(e.detail->>'origin') AS origin
    FROM entry AS e WHERE e.kind = 'decision' AND e.exercise = $1 AND {where} GROUP BY e.subject
) AS d
ORDER BY d.decided_at DESC, d.subject DESC LIMIT $2
"""
_BY_PERIOD: Final = _SHOWN.format(
    where="""e.broker_time >= $3 AND e.broker_time < $4 AND ($5::text IS NULL OR e.detail->>'origin' = $5 OR EXISTS (
        SELECT 1 FROM link AS l WHERE l.referral_id = e.subject::uuid AND l.recipient = $5))"""
)
_BY_ID: Final = _SHOWN.format(
    where="""e.subject IN (
        SELECT ($3::uuid)::text
        UNION SELECT l.referral_id::text FROM entry AS m JOIN link AS l ON l.edge_id = m.edge_id
              WHERE m.subject = ($3::uuid)::text OR m.message_id = $3)"""
)


async def find(session: Session, sought: Sought, *, exercise: bool, limit: int) -> list[FoundFlow]:
    """The newest first."""
    if sought.reference is not None:
        rows = await session.driver.fetch(_BY_ID, exercise, limit, sought.reference)
    else:
        rows = await session.driver.fetch(_BY_PERIOD, exercise, limit, sought.since, sought.until, sought.party)
    return [FoundFlow.model_validate(dict(row) | {"recipients": row["recipients"] or ()}) for row in rows]
