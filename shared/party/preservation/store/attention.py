"""What agencies want kept and a provider has not answered, and what was refused. Each is one walk along an index."""

from __future__ import annotations

from typing import Final

import asyncpg

from shared.exchange.act import Subject
from shared.party.waiting import PRESERVATION_REFUSED, PRESERVATION_UNANSWERED, Mend, Place, Waiting, Waits

_UNANSWERED: Final = """
SELECT preservation_id, counterpart, asked_at FROM preservation
WHERE party = $1 AND state = 'requested' AND ($2::timestamptz IS NULL OR (asked_at, preservation_id) > ($2, $3))
ORDER BY asked_at, preservation_id LIMIT $4
"""
#: Once it is over nobody waits for it. What a provider has answered may be corrected still, so for it that is not over.
_REFUSED: Final = """
SELECT preservation_id, counterpart, code, refused_at FROM preservation
WHERE party = $1 AND refused_at IS NOT NULL AND ($2::timestamptz IS NULL OR (refused_at, preservation_id) > ($2, $3))
  AND state NOT IN ('ended', 'withdrawn', 'withdrawal_acknowledged')
  AND NOT (asks AND state IN ('refused', 'not_possible', 'too_late'))
ORDER BY refused_at, preservation_id LIMIT $4
"""
#: No request says that a child is at risk: they stand among the rest.
_RANK: Final = 1


async def unanswered_waits(
    driver: asyncpg.Connection, party: str, above: Place, /, *, rank_max: int, limit: int
) -> list[Waits]:
    """The requests without an answer, the oldest first: the first `limit` behind `above`."""
    if rank_max < _RANK:
        return []
    behind = (above.since, above.id) if above.rank == _RANK else (None, None)
    return [_waits(row) for row in await driver.fetch(_UNANSWERED, party, *behind, limit)]


async def refused_waits(
    driver: asyncpg.Connection, party: str, above: Place, /, *, rank_max: int, limit: int
) -> list[Waits]:
    """What the other side's instance has refused of the party's own acts, and is not over: the oldest first."""
    if rank_max < _RANK:
        return []
    behind = (above.since, above.id) if above.rank == _RANK else (None, None)
    return [_refused(row) for row in await driver.fetch(_REFUSED, party, *behind, limit)]


def _refused(row: asyncpg.Record) -> Waits:
    waiting = Waiting(
        kind=Subject.PRESERVATION,
        subject=row["preservation_id"],
        party=row["counterpart"],
        priority=None,
        reasons=(PRESERVATION_REFUSED,),
        code=row["code"],
        since=row["refused_at"],
        mend=Mend.REFILE,
    )
    return Waits(Place(_RANK, row["refused_at"], row["preservation_id"]), waiting)


def _waits(row: asyncpg.Record) -> Waits:
    waiting = Waiting(
        kind=Subject.PRESERVATION,
        subject=row["preservation_id"],
        party=row["counterpart"],
        priority=None,
        reasons=(PRESERVATION_UNANSWERED,),
        since=row["asked_at"],
        mend=Mend.ANSWER,
    )
    return Waits(Place(_RANK, row["asked_at"], row["preservation_id"]), waiting)
