"""Offers made to hotlines, in PostgreSQL."""

from __future__ import annotations

from typing import Final

import asyncpg

from shared.core.acts.act import OfferState, Subject
from shared.core.vocabulary.referral import PriorityLevel, RelationKind
from shared.features.attention.rules import CLAIMABLE, HANDED_OVER, AttentionRow, ListPlace, waits_of
from shared.features.offers.ports import Offer, OfferPage, OpenedOffer
from shared.features.received.store.arriving import erase_statement
from shared.features.received.store.items import PostgresItems

_OF_TRANSFERS: Final = """
SELECT * FROM (
    SELECT subject AS id, subject, sender AS party, priority, state, changed_at AS since,
           CASE WHEN priority = $6 THEN 0 ELSE 1 END AS rank
    FROM received AS o
    WHERE party = $1 AND state IN ('claimable', 'transferred') AND (state = 'claimable' OR NOT EXISTS (
        SELECT FROM referral_relation AS r WHERE r.party = o.party AND r.other_referral_id = o.subject AND r.kind = $7
    ))
) AS waits
WHERE (rank, since, subject) > ($2::smallint, $3, $4) AND rank <= $5
  AND NOT (state = 'claimable' AND rank = 0)
ORDER BY rank, since, subject LIMIT $8
"""


async def transfers_waiting(
    driver: asyncpg.Connection, party: str, above: ListPlace, *, rank_max: int, limit: int
) -> list[AttentionRow]:
    """Return claimable offers, and transferred ones without a filed referral: the first `limit` after `above`.

    A claimable offer with a child at risk is among the open offers with a child at risk instead.
    """
    arguments = party, *above, rank_max, PriorityLevel.P0_CHILD_AT_RISK.value, RelationKind.DERIVED_FROM.value, limit
    rows = await driver.fetch(_OF_TRANSFERS, *arguments)
    return [
        waits_of(row, CLAIMABLE if row["state"] == OfferState.CLAIMABLE else HANDED_OVER, kind=Subject.OFFER)
        for row in rows
    ]


class PostgresOffers(PostgresItems):
    """The offers made to hotlines, within one transaction."""

    kind = Subject.OFFER
    listed, paged, opened = Offer, OfferPage, OpenedOffer
    erases = erase_statement()
