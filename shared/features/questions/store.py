"""Attention items of open questions and disputes, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from shared.core.acts.act import Subject
from shared.core.protocol.origin import UNFINISHED
from shared.features.attention.rules import RANK_MAX, AttentionRow, ListPlace, next_act, waits_of

# A conceded item stays listed until the origin has withdrawn it or the recipient has finished its work.
_ASKED: Final = """
SELECT q.question_id AS id, q.priority_rank AS rank, q.since, q.subject, q.counterpart AS party, q.kind, q.state,
       nullif(q.message_subject, q.subject) AS notice_id, r.external_ref, r.priority
FROM question AS q JOIN referral AS r ON r.referral_id = q.subject
WHERE q.party = $1 AND NOT q.is_own
  AND (q.state = 'open' OR (q.state = 'answered' AND q.details @@ '$.decided[*].verdict == "conceded"'))
  AND (q.priority_rank, q.since, q.question_id) > ($2::smallint, $3, $4) AND q.priority_rank <= $5
  AND EXISTS (SELECT FROM edge AS e WHERE e.referral_id = q.subject AND e.recipient = q.counterpart
              AND coalesce(e.notice_id, e.referral_id) = q.message_subject AND e.state IN ('emitted', 'referred')
              AND NOT e.is_retracted AND e.answer = ANY($7::text[])
              AND (q.state = 'open' OR EXISTS (
                  SELECT FROM jsonb_path_query(q.details, '$.decided[*] ? (@.verdict == "conceded").n') AS c (n)
                  WHERE NOT c.n::text::smallint = ANY (coalesce(e.dropped_items, '{}')))))
ORDER BY q.priority_rank, q.since, q.question_id LIMIT $6
"""
#: The party's own open disputes, and its questions and disputes that were answered or have lapsed since its last act.
_OWN: Final = """
SELECT q.question_id AS id, q.since, q.subject, q.counterpart AS party, q.kind, q.state, q.details ->> 'code' AS code,
       t.state AS shown, t.priority
FROM question AS q JOIN received AS t ON t.subject = q.subject AND t.party = q.party
WHERE q.party = $1 AND q.is_own AND NOT q.is_read AND (q.state <> 'open' OR q.kind = 'dispute')
  AND t.state = ANY($5::text[]) AND (q.since, q.question_id) > ($2, $3)
ORDER BY q.since, q.question_id LIMIT $4
"""


async def asked_waits(
    driver: asyncpg.Connection, party: str, above: ListPlace, /, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return open questions and disputes about the party's referrals, and the disputes that it has conceded."""
    rows = await driver.fetch(_ASKED, party, *above, rank_max, limit, sorted(UNFINISHED))
    return [waits_of(row, _REASON_ASKED[row["kind"], row["state"]], kind=Subject.REFERRAL) for row in rows]


async def raised_waits(
    driver: asyncpg.Connection,
    party: str,
    above: ListPlace,
    /,
    *,
    subject: Subject,
    open_in: Sequence[str],
    rank_max: int,
    limit: int,
) -> list[AttentionRow]:
    """Return the party's own open disputes, and those of its questions that ended since its last act.

    `open_in` are the item states in which the party can still act on the item.
    """
    if rank_max < RANK_MAX:
        return []
    rows = await driver.fetch(_OWN, party, *above.of_last_rank(), limit, list(open_in))
    return [waits_of(row, _reason(row), kind=subject, mend=next_act(subject, row["shown"])) for row in rows]


def _reason(row: asyncpg.Record) -> str:
    return "disputed" if row["state"] == "open" else f"{row['kind']}_{row['state']}"


_REASON_ASKED: Final = {
    ("question", "open"): "needs_info",
    ("dispute", "open"): "disputed",
    ("dispute", "answered"): "conceded",
}
