"""Open rows with a child at risk, which need a person of the recipient, in PostgreSQL. One walk along an index."""

from __future__ import annotations

from typing import Final

import asyncpg

from shared.exchange.act import Subject
from shared.party.recipient.store.listing import AT_RISK
from shared.party.waiting import P0_OPEN, Place, Waiting, Waits, next_act
from shared.vocabulary.referral import PriorityLevel

#: At risk, the place is `AT_RISK` and the microseconds of `received_at`. One bound, at which the walk begins.
_WAITING: Final = f"""
SELECT subject, sender, state, priority, received_at AS since FROM received
WHERE party = $1 AND (place, subject) > (
    {AT_RISK} + greatest((extract(epoch FROM $2::timestamptz) * 1000000)::bigint, 0), $3)
ORDER BY place, subject LIMIT $4
"""


async def items_waiting(
    driver: asyncpg.Connection, party: str, above: Place, /, *, subject: Subject, rank_max: int, limit: int
) -> list[Waits]:
    """Return open rows with a child at risk, the oldest first: the first `limit` behind `above`."""
    if above.rank > 0:
        return []
    rows = await driver.fetch(_WAITING, party, above.since, above.id, limit)
    return [_waits(subject, row) for row in rows]


def _waits(subject: Subject, row: asyncpg.Record) -> Waits:
    waiting = Waiting(
        kind=subject,
        subject=row["subject"],
        party=row["sender"],
        priority=PriorityLevel(row["priority"]),
        reasons=(P0_OPEN,),
        since=row["since"],
        mend=next_act(subject, row["state"]),
    )
    return Waits(Place(0, row["since"], row["subject"]), waiting)
