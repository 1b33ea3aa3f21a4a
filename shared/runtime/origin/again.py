"""Deciding again: an edge whose decision went stale before it was applied is decided, sealed and sent anew.

Two callers, one function: the relay before stamping (the broker was away), and the consumer when the other
side refused a message because its decision or its documents had lapsed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import asyncpg

from shared.contracts.referral import ReferralRecord
from shared.envelope.datakeys import KeyEncryptionKey, reveal, unwrap
from shared.exchange.prepare import Again, Documents, prepare_again
from shared.kernel.clock import Clock
from shared.kernel.errors import Defect
from shared.runtime import outbox
from shared.runtime.database import Database, Scope
from shared.runtime.logs import log
from shared.runtime.origin.store import insert_edges
from shared.runtime.ports import OutboxRow

_STALE = """
SELECT e.message_id, e.recipient, e.purpose, r.referral_id, r.party, r.exercise, r.state, r.content, k.wrapped
FROM edge AS e JOIN referral AS r USING (referral_id) LEFT JOIN data_key AS k ON k.subject = r.referral_id
WHERE e.message_id = ANY($1::uuid[]) AND e.state = 'emitted'
ORDER BY r.referral_id FOR UPDATE OF e, r
"""
_RETIRE = "UPDATE edge SET state = $2 WHERE message_id = ANY($1::uuid[])"
_UNSEND = "DELETE FROM outbox WHERE message_id = ANY($1::uuid[])"


class DecideAgain:
    """Replaces stale messages in one transaction: old edges retire, new ones are enqueued, audit is told."""

    def __init__(
        self,
        database: Database,
        *,
        documents: Callable[[], Documents],
        parties: Callable[[], Sequence[str]],
        kek: KeyEncryptionKey,
        clock: Clock,
    ) -> None:
        self._database = database
        self._documents = documents
        self._parties = parties
        self._kek = kek
        self._clock = clock

    async def rows(self, rows: Sequence[OutboxRow]) -> None:
        """For the relay: none of `rows` has been stamped, so nobody has seen them."""
        scope = Scope(self._parties(), "service", "apply")
        async with self._database.transaction(scope) as session:
            await self.messages(session.driver, [row.draft.message_id for row in rows])

    async def messages(self, driver: asyncpg.Connection, message_ids: Sequence[UUID]) -> None:
        """Replace messages within the caller's transaction. Edges of withdrawn referrals are dropped."""
        stale = await driver.fetch(_STALE, list(message_ids))
        by_referral: dict[UUID, list[asyncpg.Record]] = {}
        for row in stale:
            by_referral.setdefault(row["referral_id"], []).append(row)
        again = [self._again(rows) for rows in by_referral.values() if rows[0]["state"] != "withdrawn"]
        dropped = [message_id for each in again for message_id in each.dropped]
        dropped += [row["message_id"] for row in stale if row["state"] == "withdrawn"]
        replaced = [row["message_id"] for row in stale if row["message_id"] not in set(dropped)]
        await driver.execute(_UNSEND, [row["message_id"] for row in stale])
        await driver.execute(_RETIRE, replaced, "superseded")
        await driver.execute(_RETIRE, dropped, "dropped")
        await insert_edges(driver, again)
        await outbox.enqueue(driver, [draft for each in again for draft in each.drafts])
        log("decided_again", count=len(stale))

    def _again(self, rows: Sequence[asyncpg.Record]) -> Again:
        first = rows[0]
        if first["wrapped"] is None:
            raise Defect("erased_referral_emitted")
        key = unwrap(first["wrapped"], self._kek, first["referral_id"].bytes)
        content = ReferralRecord.model_validate_json(reveal(first["content"], key, first["referral_id"].bytes))
        documents = self._documents()
        origin = documents.directory.party(first["party"])
        if origin is None:
            raise Defect("origin_left_directory")
        return prepare_again(
            content,
            referral_id=first["referral_id"],
            origin=origin,
            exercise=first["exercise"],
            documents=documents,
            at=self._clock.now(),
            only={(row["recipient"], row["purpose"]): row["message_id"] for row in rows},
        )
