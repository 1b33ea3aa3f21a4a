"""Deciding again: an edge whose decision went stale before it was applied is decided, sealed and sent anew.

Two callers, one function: the relay before stamping (the broker was away), and the consumer when the other
side refused a message because its decision or its documents had lapsed.

Total: what cannot be decided or sealed any more is dropped, told to audit and put on the origin's work list. One
referral never holds up the others, nor the relay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import asyncpg

from shared.contracts.referral import ReferralRecord
from shared.contracts.registry import REFERRAL_DECIDED
from shared.envelope.datakeys import KeyEncryptionKey, reveal, unwrap
from shared.exchange.compose import compose_fact
from shared.exchange.prepare import Again, Documents, prepare_again
from shared.kernel.clock import Clock
from shared.party.origin.store.filing import carry_answers, insert_edges
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.post import outbox
from shared.runtime.post.ports import OutboxRow
from shared.runtime.watch.logs import log
from shared.vocabulary.routing import WorkReason

_STALE = """
SELECT e.message_id, e.recipient, e.purpose, r.referral_id, r.party, r.exercise, r.state, r.disposition, r.facts,
       r.decision, r.content, r.traceparent, k.wrapped
FROM edge AS e JOIN referral AS r USING (referral_id) LEFT JOIN data_key AS k ON k.subject = r.referral_id
WHERE e.message_id = ANY($1::uuid[]) AND e.state = 'emitted'
ORDER BY r.referral_id FOR UPDATE OF e, r
"""
_RETIRE = "UPDATE edge SET state = $2 WHERE message_id = ANY($1::uuid[])"
_UNSEND = "DELETE FROM outbox WHERE message_id = ANY($1::uuid[])"
_TO_WORK_LIST = """
UPDATE referral AS r SET work_reason = w.reason FROM unnest($1::uuid[], $2::text[]) AS w(referral_id, reason)
WHERE r.referral_id = w.referral_id
"""


class DecideAgain:
    """Replaces stale messages in one transaction: old edges retire, new ones are enqueued, audit is told."""

    def __init__(
        self,
        database: Database,
        *,
        documents: Callable[[], Documents],
        instance: str,
        kek: KeyEncryptionKey,
        clock: Clock,
    ) -> None:
        self._database = database
        self._documents = documents
        self._instance = instance
        self._kek = kek
        self._clock = clock

    async def rows(self, rows: Sequence[OutboxRow]) -> None:
        """For the relay: none of `rows` has been stamped, so nobody has seen them."""
        # Bound to who filed them: one that has left the directory meanwhile is no longer among those we serve.
        scope = RowScope(sorted({row.draft.sender for row in rows}), "service", "apply")
        async with self._database.transaction(scope) as session:
            await self.messages(session.driver, [row.draft.message_id for row in rows])

    async def messages(self, driver: asyncpg.Connection, message_ids: Sequence[UUID]) -> None:
        """Replace messages within the caller's transaction, or drop them: then nothing of them stays in the outbox."""
        stale = await driver.fetch(_STALE, list(message_ids))
        by_referral: dict[UUID, list[asyncpg.Record]] = {}
        for row in stale:
            by_referral.setdefault(row["referral_id"], []).append(row)
        again = [self._again(rows) for rows in by_referral.values() if rows[0]["state"] != "withdrawn"]
        dropped = [message_id for each in again for message_id in each.dropped]
        dropped += [row["message_id"] for row in stale if row["state"] == "withdrawn"]
        replaced = [row["message_id"] for row in stale if row["message_id"] not in set(dropped)]
        # Also those whose edge is gone: nobody would take them.
        await driver.execute(_UNSEND, list(message_ids))
        await driver.execute(_RETIRE, replaced, "superseded")
        await driver.execute(_RETIRE, dropped, "dropped")
        await insert_edges(driver, again)
        await carry_answers(driver, replaced)
        await outbox.enqueue(driver, [draft for each in again for draft in each.drafts])
        waiting = {each.referral_id: each.work_reason.value for each in again if each.work_reason is not None}
        await driver.execute(_TO_WORK_LIST, list(waiting), list(waiting.values()))
        log("decided_again", count=len(stale))
        if gone := len(message_ids) - len(replaced):
            log("edges_dropped", count=gone)

    def _again(self, rows: Sequence[asyncpg.Record]) -> Again:
        first, documents = rows[0], self._documents()
        origin = documents.directory.party(first["party"])
        if origin is None or first["wrapped"] is None:
            return self._given_up(rows, documents.directory)
        key = unwrap(first["wrapped"], self._kek, first["referral_id"].bytes)
        content = ReferralRecord.model_validate_json(reveal(first["content"], key, first["referral_id"].bytes))
        return prepare_again(
            content,
            referral_id=first["referral_id"],
            origin=origin,
            exercise=first["exercise"],
            documents=documents,
            at=self._clock.now(),
            only={(row["recipient"], row["purpose"]): row["message_id"] for row in rows},
            traceparent=first["traceparent"],
        )

    def _given_up(self, rows: Sequence[asyncpg.Record], directory: DirectoryIndex) -> Again:
        """Nothing is decided: the origin has left, or the content is erased. The kept decision is stated once more."""
        first, dropped = rows[0], tuple(sorted(row["message_id"] for row in rows))
        clear = {
            "referral_id": str(first["referral_id"]),
            "revision": 1,
            "origin": first["party"],
            "exercise": first["exercise"],
            "disposition": first["disposition"],
            "work_reason": WorkReason.UNDELIVERABLE.value,
            "decision": {name: value for name, value in first["decision"].items() if name != "salt"},
            "salt": first["decision"]["salt"],
            "facts": first["facts"],
            "emitted": [],
            "not_sent": [],
            "superseded": [str(message_id) for message_id in dropped],
        }
        fact = compose_fact(
            REFERRAL_DECIDED,
            clear,
            subject=first["referral_id"],
            instance=self._instance,
            directory=directory,
            exercise=first["exercise"],
            at=self._clock.now(),
            traceparent=first["traceparent"],
        )
        return Again(first["referral_id"], first["party"], (), (fact,), dropped, WorkReason.UNDELIVERABLE)
