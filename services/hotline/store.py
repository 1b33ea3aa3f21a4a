"""The hotline's own table: offers made to it. Content is kept only under a data key per referral and party.

Trust: whoever can write this table can hide an offer from the hotline; origin and audit still show that it was
sent and receipted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from services.hotline.domain import OfferState
from services.hotline.ports import Offer, OfferKey
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Draft, Received
from shared.kernel.clock import rfc3339
from shared.kernel.errors import not_found
from shared.party.recipient.store import change_states, item_columns
from shared.runtime.database.content import open_content
from shared.runtime.http.paging import next_cursor, read_cursor
from shared.runtime.post import outbox

_FIND = "SELECT referral_id, party, origin, exercise, state FROM offer WHERE referral_id = ANY($1::uuid[])"
#: Also locks them. Only whoever may change them sees them so: the instance itself, applying messages.
_LOCK = f"{_FIND} ORDER BY referral_id, party FOR UPDATE"
_ADD = """
INSERT INTO offer (referral_id, party, origin, exercise, purpose, state, edge, content, wrapped_key)
SELECT i, p, o, e, u, 'offered', d::jsonb, c, k
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bool[], $5::text[], $6::text[], $7::bytea[], $8::bytea[])
     AS a(i, p, o, e, u, d, c, k)
"""
_CHANGE = """
UPDATE offer AS o SET state = a.following
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS a(referral_id, party, present, following)
WHERE o.referral_id = a.referral_id AND o.party = a.party AND o.state = a.present
RETURNING o.referral_id
"""
_PAGE = """
SELECT referral_id, origin, purpose, exercise, state, edge, received_at FROM offer
WHERE ($1::text IS NULL OR state = $1) AND ($2::uuid IS NULL OR referral_id < $2)
ORDER BY referral_id DESC LIMIT $3
"""
_ONE = """
SELECT referral_id, party, origin, purpose, exercise, state, edge, received_at, content, wrapped_key
FROM offer WHERE referral_id = $1
"""


class PostgresOffers:
    """`Offers` within one transaction."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        self._driver = driver
        self._kek = kek

    async def find(self, referral_ids: Sequence[UUID]) -> dict[OfferKey, Offer]:
        return await self._offers(_FIND, referral_ids)

    async def lock(self, referral_ids: Sequence[UUID]) -> dict[OfferKey, Offer]:
        return await self._offers(_LOCK, referral_ids)

    async def _offers(self, statement: str, referral_ids: Sequence[UUID]) -> dict[OfferKey, Offer]:
        rows = await self._driver.fetch(statement, list(referral_ids)) if referral_ids else []
        return {
            (row["referral_id"], row["party"]): Offer(
                row["referral_id"], row["party"], row["origin"], row["exercise"], OfferState(row["state"])
            )
            for row in rows
        }

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            await self._driver.execute(_ADD, *item_columns(messages, self._kek))

    async def change(self, changes: Mapping[OfferKey, tuple[OfferState, OfferState]]) -> None:
        await change_states(self._driver, _CHANGE, changes)

    async def send(self, drafts: Sequence[Draft]) -> None:
        await outbox.enqueue(self._driver, drafts)

    async def page(self, *, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
        rows = await self._driver.fetch(_PAGE, state, read_cursor(cursor), limit + 1)
        return {"items": [_offer(row) for row in rows[:limit]], "next": next_cursor(rows, limit, "referral_id")}

    async def show(self, referral_id: UUID) -> dict[str, Any]:
        row = await self._driver.fetchrow(_ONE, referral_id)
        if row is None:
            raise not_found()
        return _offer(row) | {
            "record": open_content(row["content"], row["wrapped_key"], self._kek, subject=referral_id)
        }


def _offer(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "referral_id": str(row["referral_id"]),
        "origin": row["origin"],
        "purpose": row["purpose"],
        "state": row["state"],
        "exercise": row["exercise"],
        "received_at": rfc3339(row["received_at"]),
        "edge": row["edge"],
    }
