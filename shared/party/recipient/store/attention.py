"""What needs a person of a recipient, in PostgreSQL: what is open and has a child at risk. One walk along an index."""

from __future__ import annotations

import asyncpg

from shared.exchange.act import Subject
from shared.party.recipient.store.items import ItemTable
from shared.party.waiting import P0_OPEN, Place, Waiting, Waits, next_act
from shared.vocabulary.referral import PriorityLevel


async def items_waiting(
    driver: asyncpg.Connection,
    party: str,
    above: Place,
    /,
    *,
    table: ItemTable,
    subject: Subject,
    rank_max: int,
    limit: int,
) -> list[Waits]:
    """What is open and has a child at risk, the oldest first: the first `limit` behind `above`."""
    if above.rank > 0:
        return []
    rows = await driver.fetch(table.attention, party, above.since, above.id, limit)
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
