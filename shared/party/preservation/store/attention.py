"""What agencies want kept and a provider has not answered, and what was refused. Each is one walk along an index."""

from __future__ import annotations

from typing import Final

import asyncpg

from shared.exchange.act import Subject
from shared.party.waiting import PRESERVATION_REFUSED, PRESERVATION_UNANSWERED, RANK_MAX, Mend, Place, Waits, waits_of

_UNANSWERED: Final = """
SELECT preservation_id AS id, preservation_id AS subject, counterpart AS party, asked_at AS since FROM preservation
WHERE party = $1 AND state = 'requested' AND (asked_at, preservation_id) > ($2::timestamptz, $3)
ORDER BY asked_at, preservation_id LIMIT $4
"""
#: Once it is over nobody waits for it. What a provider has answered may be corrected still, so for it that is not over.
_REFUSED: Final = """
SELECT preservation_id AS id, preservation_id AS subject, counterpart AS party, code, refused_at AS since
FROM preservation
WHERE party = $1 AND refused_at IS NOT NULL AND (refused_at, preservation_id) > ($2::timestamptz, $3)
  AND state NOT IN ('ended', 'withdrawn', 'withdrawal_acknowledged')
  AND NOT (asks AND state IN ('refused', 'not_possible', 'too_late'))
ORDER BY refused_at, preservation_id LIMIT $4
"""


async def unanswered_waits(
    driver: asyncpg.Connection, party: str, above: Place, /, *, rank_max: int, limit: int
) -> list[Waits]:
    """The requests without an answer, the oldest first: the first `limit` behind `above`."""
    # No request says that a child is at risk: they stand among the rest.
    rows = await driver.fetch(_UNANSWERED, party, *above.of_last_rank(), limit) if rank_max == RANK_MAX else []
    return [waits_of(row, PRESERVATION_UNANSWERED, kind=Subject.PRESERVATION, mend=Mend.ANSWER) for row in rows]


async def refused_waits(
    driver: asyncpg.Connection, party: str, above: Place, /, *, rank_max: int, limit: int
) -> list[Waits]:
    """What the other side's instance has refused of the party's own acts, and is not over: the oldest first."""
    rows = await driver.fetch(_REFUSED, party, *above.of_last_rank(), limit) if rank_max == RANK_MAX else []
    return [waits_of(row, PRESERVATION_REFUSED, kind=Subject.PRESERVATION, mend=Mend.REFILE) for row in rows]
