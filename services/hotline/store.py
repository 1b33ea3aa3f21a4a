"""The hotline's own table: offers made to it. Content is kept only under a data key per referral and party.

Trust: whoever can write this table can hide an offer from the hotline; origin and audit still show that it was
sent and taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from services.hotline.ports import Offer, OfferPage, OpenedOffer
from shared.exchange.act import OfferState, Subject
from shared.exchange.message import Received
from shared.party.recipient.domain import item_numbers
from shared.party.recipient.store.arriving import NewItem, new_items
from shared.party.recipient.store.items import ItemTable, PostgresOneEdgeItems, Views
from shared.party.waiting import CLAIMABLE, HANDED_OVER, Place, Waiting, Waits, mend_of
from shared.runtime.database.columns import Columns, Statement
from shared.vocabulary.referral import PriorityLevel, RelationKind

_TABLE: Final = ItemTable(
    name="offer",
    subject="referral_id",
    sender="origin",
    shown="referral_id, origin, purpose, exercise, state, edge, numbers, received_at, priority, revision, said",
    numbers="numbers",
)
_NEW: Final = Columns.of(NewItem, numbers="smallint[]")
_ADD: Final = Statement(
    """
INSERT INTO offer (referral_id, party, origin, exercise, purpose, edge, content, evidence, wrapped_key, state,
                   priority, numbers, revision)
SELECT subject_id, party, sender, exercise, purpose, edge::jsonb, content, evidence, wrapped_key, 'offered', priority,
       string_to_array(numbers, chr(31))::smallint[], revision
FROM {new}
""",
    new=_NEW,
)


_OF_TRANSFERS: Final = """
SELECT * FROM (
    SELECT referral_id, origin, priority, state, changed_at AS since,
           CASE WHEN priority = $6 THEN 0 ELSE 1 END AS rank
    FROM offer AS o
    WHERE party = $1 AND state IN ('claimable', 'transferred') AND (state = 'claimable' OR NOT EXISTS (
        SELECT FROM relation AS r WHERE r.party = o.party AND r.other = o.referral_id AND r.kind = $7
    ))
) AS waits
WHERE (rank, since, referral_id) > ($2::smallint, $3, $4) AND rank <= $5
  AND NOT (state = 'claimable' AND rank = 0)
ORDER BY rank, since, referral_id LIMIT $8
"""


async def transfers_waiting(
    driver: asyncpg.Connection, party: str, above: Place, *, rank_max: int, limit: int
) -> list[Waits]:
    """What may be claimed, and what was handed over and nothing was filed for: the first `limit` behind `above`.

    What may be claimed and has a child at risk stands among all open ones with a child at risk.
    """
    asked = party, *above, rank_max, PriorityLevel.P0_CHILD_AT_RISK.value, RelationKind.DERIVED_FROM.value, limit
    return [_waits(row) for row in await driver.fetch(_OF_TRANSFERS, *asked)]


def _waits(row: asyncpg.Record) -> Waits:
    reasons = (CLAIMABLE if row["state"] == OfferState.CLAIMABLE else HANDED_OVER,)
    waiting = Waiting(
        kind=Subject.OFFER,
        subject=row["referral_id"],
        party=row["origin"],
        priority=row["priority"] and PriorityLevel(row["priority"]),
        reasons=reasons,
        since=row["since"],
        mend=mend_of(reasons),
    )
    return Waits(Place(row["rank"], row["since"], row["referral_id"]), waiting)


class PostgresOffers(PostgresOneEdgeItems):
    """The offers made to hotlines, within one transaction."""

    table = _TABLE
    views = Views(Offer, OfferPage, OpenedOffer)

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            new = new_items(messages, self._kek, table=self.table.contents)
            rows = _NEW.rows(new, numbers=[item_numbers(each) for each in messages])
            await self._driver.execute(*_ADD.bind(new=rows))
