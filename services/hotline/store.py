"""The hotline's own table: offers made to it. Content is kept only under a data key per referral and party.

Trust: whoever can write this table can hide an offer from the hotline; origin and audit still show that it was
sent and receipted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUuid

from services.hotline.domain import OfferState
from services.hotline.ports import Offer, OfferKey
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Draft, Received
from shared.kernel.authority import state_forbids
from shared.kernel.clock import rfc3339
from shared.kernel.errors import not_found
from shared.runtime import outbox
from shared.runtime.content import open_content, seal_contents
from shared.runtime.origin.views import next_cursor, read_cursor

metadata = sa.MetaData()

offer = sa.Table(
    "offer",
    metadata,
    sa.Column("referral_id", PgUuid(as_uuid=True), primary_key=True),
    sa.Column("party", sa.Text, primary_key=True),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("exercise", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("edge", JSONB, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("wrapped_key", sa.LargeBinary),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.CheckConstraint("state IN ('offered', 'withdrawn', 'withdrawal_acknowledged')", name="offer_state"),
    sa.CheckConstraint("octet_length(content) <= 33000", name="offer_content_bound"),
)

_FIND = "SELECT referral_id, party, origin, exercise, state FROM offer WHERE referral_id = ANY($1::uuid[])"
_ADD = """
INSERT INTO offer (referral_id, party, origin, purpose, exercise, state, edge, content, wrapped_key)
SELECT i, p, o, u, e, 'offered', d::jsonb, c, k
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::text[], $7::bytea[], $8::bytea[])
     AS a(i, p, o, u, e, d, c, k)
ON CONFLICT DO NOTHING
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
        rows = await self._driver.fetch(_FIND, list(referral_ids)) if referral_ids else []
        return {
            (row["referral_id"], row["party"]): Offer(
                row["referral_id"], row["party"], row["origin"], row["exercise"], OfferState(row["state"])
            )
            for row in rows
        }

    async def add(self, messages: Sequence[Received]) -> None:
        if messages:
            contents = seal_contents(messages, self._kek)
            edges = [message.clear.edge for message in messages]  # type: ignore[attr-defined]
            await self._driver.execute(
                _ADD,
                [UUID(message.subject) for message in messages],
                [message.recipient for message in messages],
                [message.sender for message in messages],
                [edge.purpose.value for edge in edges],
                [message.exercise for message in messages],
                [edge.model_dump_json(exclude_none=True) for edge in edges],
                [content for content, _ in contents],
                [wrapped for _, wrapped in contents],
            )

    async def change(self, changes: Mapping[OfferKey, tuple[OfferState, OfferState]]) -> None:
        if changes:
            changed = await self._driver.fetch(
                _CHANGE,
                [referral_id for referral_id, _ in changes],
                [party for _, party in changes],
                [present.value for present, _ in changes.values()],
                [following.value for _, following in changes.values()],
            )
            if len(changed) != len(changes):
                raise state_forbids()

    async def send(self, drafts: Sequence[Draft]) -> None:
        await outbox.enqueue(self._driver, drafts)


async def page(driver: asyncpg.Connection, *, state: str | None, cursor: str | None, limit: int) -> dict[str, Any]:
    """The party's offers, newest first."""
    rows = await driver.fetch(_PAGE, state, read_cursor(cursor), limit + 1)
    return {"items": [_offer(row) for row in rows[:limit]], "next": next_cursor(rows, limit, "referral_id")}


async def show(driver: asyncpg.Connection, referral_id: UUID, kek: KeyEncryptionKey) -> dict[str, Any]:
    """One offer with its opened record. Raises `Refused("not_found")` for absent and foreign ids alike."""
    row = await driver.fetchrow(_ONE, referral_id)
    if row is None:
        raise not_found()
    return _offer(row) | {"record": open_content(row["content"], row["wrapped_key"], kek, subject=referral_id)}


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
