"""Looking for flows: by who filed or was sent them and when they were decided, or by an id."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from services.audit.ports import FoundFlow, FoundFlows, Sought
from shared.runtime.database.pages import place_cursor, read_place
from shared.runtime.database.transactions import Session

# `$3` are the parties in scope, nothing for all: a flow is found, and a party found in it, by a pair with one of them.
_SHOWN: Final = """
SELECT d.referral_id, d.decided_at, nullif(d.origin, '') AS origin,
       (SELECT array_agg(p.party ORDER BY p.party) FROM flow_party AS p
        WHERE p.referral_id = d.referral_id AND p.origin = d.origin AND p.party <> p.origin
          AND ($3::text[] IS NULL OR p.party = ANY($3) OR d.origin = ANY($3))) AS recipients
FROM ({found}) AS d
ORDER BY d.decided_at DESC, d.referral_id DESC LIMIT $2
"""
# A page of what one party filed or was sent, in the order of its index. Its origin is who was first to state that it
# decided it, whatever others state later: in such words that the planner expects it of nearly all rows. Of a party out
# of scope those flows are found that have a pair in scope.
_OF_A_PARTY: Final = """
SELECT f.referral_id, f.decided_at, f.origin FROM flow_party AS f
WHERE {whose} AND f.exercise = $1 AND f.decided_at >= $4 AND (f.decided_at, f.referral_id) < ($5, $6::uuid)
  AND (f.origin = coalesce((
      SELECT e.detail->>'origin' FROM entry AS e
      WHERE e.subject = f.referral_id::text AND e.kind = 'decision' AND e.exercise = $1
        AND e.detail->>'origin' IS NOT NULL
      ORDER BY e.broker_time, e.topic, e.topic_id, e.partition, e."offset" LIMIT 1), ''))::int <> 0
  AND ($3::text[] IS NULL OR f.party = ANY($3) OR f.origin = ANY($3) OR (f.party = f.origin AND EXISTS (
      SELECT FROM link AS l
      WHERE l.referral_id = f.referral_id AND l.origin = f.origin AND l.recipient = ANY($3))))
ORDER BY f.decided_at DESC, f.referral_id DESC LIMIT $2
"""
_OF_ANYBODY: Final = _SHOWN.format(found=_OF_A_PARTY.format(whose="f.party = f.origin"))
# Of several parties a page of each, so that nothing more is read; what two of them have is one flow.
_OF_EACH: Final = """
SELECT DISTINCT mine.referral_id, mine.decided_at, mine.origin
FROM unnest($7::text[]) AS one (party) CROSS JOIN LATERAL ({page}) AS mine"""
_OF_PARTIES: Final = _SHOWN.format(found=_OF_EACH.format(page=_OF_A_PARTY.format(whose="f.party = one.party")))
_BY_ID: Final = _SHOWN.format(
    found="""
SELECT f.referral_id, f.decided_at, f.origin FROM (
    SELECT e.subject::uuid AS referral_id, min(e.broker_time) AS decided_at, (array_agg(e.detail->>'origin'
        ORDER BY e.broker_time, e.topic, e.topic_id, e.partition, e."offset")
        FILTER (WHERE e.detail->>'origin' IS NOT NULL))[1] AS origin
    FROM entry AS e
    WHERE e.kind = 'decision' AND e.exercise = $1 AND e.subject IN (
        SELECT ($4::uuid)::text
        UNION SELECT l.referral_id::text FROM entry AS m JOIN link AS l ON l.edge_id = m.edge_id
              WHERE (m.subject = ($4::uuid)::text OR m.message_id = $4)
                AND ($3::text[] IS NULL OR m.sender = ANY($3) OR m.recipient = ANY($3)))
    GROUP BY e.subject
) AS f
WHERE $3::text[] IS NULL OR f.origin = ANY($3) OR EXISTS (
    SELECT FROM link AS l
    WHERE l.referral_id = f.referral_id AND l.origin = f.origin AND l.recipient = ANY($3))"""
)


async def find(
    session: Session, sought: Sought, *, exercise: bool, parties: list[str] | None, limit: int, cursor: str | None
) -> FoundFlows:
    """The newest first; a page reads no more where a party, or the time before it, has more."""
    statement, further = _asked(sought, parties, cursor)
    rows = await session.driver.fetch(statement, exercise, limit + 1, parties, *further)
    items = [FoundFlow.model_validate(dict(row) | {"recipients": row["recipients"] or ()}) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    following = None if last is None else place_cursor((0, last["decided_at"], UUID(int=last["referral_id"].int)))
    return FoundFlows(items=tuple(items), next=following)


def _asked(sought: Sought, parties: list[str] | None, cursor: str | None) -> tuple[str, tuple[object, ...]]:
    """The statement, and what it takes beside `$1` to `$3`. Raises `Refused("cursor_invalid")`."""
    if sought.reference is not None:
        return _BY_ID, (sought.reference,)
    # Before the end means below every id of that moment.
    _, before, below = (0, sought.until, UUID(int=0)) if cursor is None else read_place(cursor)
    if before > sought.until:
        before, below = sought.until, UUID(int=0)
    period = sought.since, before, below
    whose = [sought.party] if sought.party is not None else parties
    return (_OF_ANYBODY, period) if whose is None else (_OF_PARTIES, (*period, whose))
