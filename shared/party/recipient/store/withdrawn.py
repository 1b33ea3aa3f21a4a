"""Withdrawn rows of `received` that the service looks for: unanswered withdrawals, and records past their day."""

from __future__ import annotations

from typing import Final

_OTHERS: Final = """NOT EXISTS (
    SELECT FROM unnest($3::uuid[], $4::text[]) AS b (subject, party)
    WHERE b.subject = t.subject AND b.party = t.party)"""
#: Withdrawn at least $1 seconds ago and unanswered, at most $2, except the subjects and parties of $3 and $4.
UNANSWERED: Final = f"""
SELECT subject, party, ARRAY(
    SELECT t.retention UNION
    SELECT c.retention FROM received_edge AS c WHERE c.subject = t.subject AND c.party = t.party) AS classes
FROM received AS t WHERE state = 'withdrawn' AND changed_at <= now() - make_interval(secs => $1) AND {_OTHERS}
ORDER BY changed_at LIMIT $2 FOR UPDATE OF t SKIP LOCKED
"""
#: Kept until a day before $1, likewise. With $5, only records that are not erased yet.
KEPT_UNTIL: Final = f"""
SELECT subject, party FROM received AS t WHERE state = 'withdrawal_acknowledged'
  AND said #>> '{{fate}}' = 'kept' AND said #>> '{{kept,until}}' < $1 AND {_OTHERS}
  AND NOT ($5 AND EXISTS (SELECT FROM erased_record AS r WHERE r.subject = t.subject AND r.party = t.party))
ORDER BY said #>> '{{kept,until}}' LIMIT $2 FOR UPDATE SKIP LOCKED
"""
