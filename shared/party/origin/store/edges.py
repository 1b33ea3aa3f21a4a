"""An origin's edges in PostgreSQL, for the instance itself: answered by their recipients, and decided again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.contracts.referral import ReferralRecord
from shared.envelope.datakeys import KeyEncryptionKey, reveal, unwrap
from shared.exchange.acts import AnswerState
from shared.exchange.origin import Answered, ReferralState
from shared.exchange.prepare import Again, StaleEdge
from shared.party.origin.ports import OpenEdge, StaleReferral, Try
from shared.party.origin.store.filing import EDGE, edge_rows, places
from shared.runtime.database.columns import insert
from shared.runtime.post import outbox

_ADD = insert("edge", EDGE)
_ANSWERABLE = """
SELECT e.edge_id, e.referral_id, e.notice_id, e.party, e.recipient, e.answer, e.answer_detail,
       e.acts, e.items, r.state = 'withdrawn' AS withdrawn
FROM edge AS e JOIN referral AS r USING (referral_id)
WHERE e.state = 'emitted'
  AND ((e.notice_id IS NULL AND e.referral_id = ANY($1::uuid[])) OR e.notice_id = ANY($1::uuid[]))
FOR UPDATE OF e
"""
#: A notice that replaces another is new to its provider: nothing has been answered.
_CARRY = """
UPDATE edge AS e SET tried = old.tried,
       answer = CASE WHEN e.notice_id IS NULL THEN old.answer ELSE e.answer END,
       answer_detail = CASE WHEN e.notice_id IS NULL THEN old.answer_detail END,
       answered_at = CASE WHEN e.notice_id IS NULL THEN old.answered_at END,
       acts = CASE WHEN e.notice_id IS NULL THEN old.acts ELSE 0 END
FROM edge AS old WHERE old.edge_id = ANY($1::uuid[]) AND e.state = 'emitted'
  AND e.referral_id = old.referral_id AND e.recipient = old.recipient AND e.purpose = old.purpose
"""
_ANSWER = """
UPDATE edge AS e SET answer = a.answer, answer_detail = a.detail::jsonb, acts = a.acts, answered_at = $5
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[]) AS a(edge_id, answer, detail, acts)
WHERE e.edge_id = a.edge_id
"""
_TO_DECIDE = """
SELECT e.edge_id, e.message_id, e.recipient, e.purpose, e.law, e.decided_at, e.tried, r.referral_id,
       r.party, r.exercise, r.state, r.body_sha256,
       r.disposition, r.facts, r.decision, r.content, r.traceparent, k.wrapped
FROM edge AS e JOIN referral AS r USING (referral_id) LEFT JOIN data_key AS k ON k.subject = r.referral_id
"""
_STALE = f"""
{_TO_DECIDE} WHERE e.message_id = ANY($1::uuid[]) AND e.state = 'emitted'
ORDER BY r.referral_id FOR UPDATE OF e, r
"""
# Whoever else is at one of them, a withdrawal or a twin of ours, is let be: it is looked at again.
_WAITING = f"""
{_TO_DECIDE} WHERE e.state = 'waiting' AND e.edge_id > $1 ORDER BY e.edge_id LIMIT $2 FOR UPDATE OF e, r SKIP LOCKED
"""
_DUE = """
SELECT message_id FROM edge WHERE again_at <= $1 AND state = 'emitted' ORDER BY again_at LIMIT $2
FOR UPDATE SKIP LOCKED
"""
_LATER = """
UPDATE edge AS e SET tried = t.tried, again_at = t.again_at
FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) AS t (edge_id, tried, again_at) WHERE e.edge_id = t.edge_id
"""
_RETIRE = "UPDATE edge SET state = $2, again_at = NULL WHERE edge_id = ANY($1::uuid[])"
_TO_WORK_LIST = """
UPDATE referral AS r SET work_reason = w.reason FROM unnest($1::uuid[], $2::text[]) AS w(referral_id, reason)
WHERE r.referral_id = w.referral_id
"""
_OFF_WORK_LIST = """
UPDATE referral AS r SET work_reason = NULL
WHERE r.referral_id = ANY($1::uuid[]) AND r.work_reason = 'recipient_cannot_read'
  AND NOT EXISTS (SELECT 1 FROM edge AS e WHERE e.referral_id = r.referral_id AND e.state = 'waiting')
"""
# Of a message whose referral is on the list for another reason nothing is noted: that one needs a person anyway.
_UNFINISHED = """
UPDATE referral AS r SET work_reason = u.outcome
FROM unnest($1::uuid[], $2::text[]) AS u (message_id, outcome) JOIN edge AS e USING (message_id)
WHERE r.referral_id = e.referral_id AND e.state = 'emitted'
  AND (r.work_reason IS NULL OR r.work_reason IN ('deferred', 'waiting', 'parked'))
"""
# Hardly ever any: an index of these alone says so at once.
_FINISHED = """
UPDATE referral AS r SET work_reason = NULL
FROM edge AS e
WHERE r.work_reason IN ('deferred', 'waiting', 'parked') AND e.referral_id = r.referral_id
  AND e.message_id = ANY($1::uuid[])
  AND NOT EXISTS (
      SELECT 1 FROM edge AS other JOIN outbox AS o ON o.message_id = other.message_id
      WHERE other.referral_id = r.referral_id AND other.state = 'emitted'
        AND o.outcome IN ('deferred', 'waiting', 'parked'))
"""


class PostgresEdges:
    """`Edges` within one transaction."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        self._driver = driver
        self._kek = kek

    async def answerable(self, subjects: Sequence[UUID]) -> dict[tuple[UUID, str], list[OpenEdge]]:
        found: dict[tuple[UUID, str], list[OpenEdge]] = {}
        for row in await self._driver.fetch(_ANSWERABLE, list(subjects)):
            edge = OpenEdge(
                row["edge_id"],
                row["party"],
                row["recipient"],
                row["notice_id"] or row["referral_id"],
                Answered(AnswerState(row["answer"]), row["answer_detail"] or {}, row["acts"]),
                row["withdrawn"],
                tuple(row["items"]),
            )
            found.setdefault((edge.subject, edge.recipient), []).append(edge)
        return found

    async def answer(self, answered: Mapping[UUID, Answered], at: datetime) -> None:
        if answered:
            await self._driver.execute(
                _ANSWER,
                list(answered),
                [each.state.value for each in answered.values()],
                [to_json(each.detail).decode() for each in answered.values()],
                [each.acts for each in answered.values()],
                at,
            )

    async def stale(self, message_ids: Sequence[UUID]) -> list[StaleReferral]:
        rows = await self._driver.fetch(_STALE, list(message_ids))
        return [self._stale(list(each)) for _, each in groupby(rows, lambda row: row["referral_id"])]

    async def waiting(self, after: UUID, limit: int) -> list[StaleReferral]:
        rows = await self._driver.fetch(_WAITING, after, limit)
        rows.sort(key=lambda row: row["referral_id"])
        return [self._stale(list(each)) for _, each in groupby(rows, lambda row: row["referral_id"])]

    async def note_receipted(self, unfinished: Mapping[UUID, str], finished: Sequence[UUID]) -> None:
        if unfinished:
            await self._driver.execute(_UNFINISHED, list(unfinished), list(unfinished.values()))
        if finished:
            await self._driver.execute(_FINISHED, list(finished))

    async def due(self, at: datetime, limit: int) -> list[UUID]:
        return [row["message_id"] for row in await self._driver.fetch(_DUE, at, limit)]

    async def note_tries(self, tries: Sequence[Try]) -> None:
        ids, counts = [each.edge_id for each in tries], [each.tried for each in tries]
        await self._driver.execute(_LATER, ids, counts, [each.again_at for each in tries])

    async def replace(self, replaced: Collection[UUID], dropped: Collection[UUID], again: Sequence[Again]) -> None:
        await self._driver.execute(_RETIRE, list(replaced), "superseded")
        await self._driver.execute(_RETIRE, list(dropped), "dropped")
        if any(each.emitted or each.waiting for each in again):
            await self._driver.execute(*_ADD.bind(rows=EDGE.rows(edge_rows(again))))
        if replaced:
            await self._driver.execute(_CARRY, list(replaced))
        await outbox.enqueue(self._driver, [draft for each in again for draft in each.drafts])
        waiting = {each.referral_id: each.work_reason.value for each in again if each.work_reason is not None}
        await self._driver.execute(_TO_WORK_LIST, list(waiting), list(waiting.values()))
        await self._driver.execute(_OFF_WORK_LIST, [each.referral_id for each in again if each.work_reason is None])

    def _stale(self, rows: Sequence[asyncpg.Record]) -> StaleReferral:
        first = rows[0]
        withdrawn = first["state"] == ReferralState.WITHDRAWN
        return StaleReferral(
            first["referral_id"],
            first["party"],
            first["exercise"],
            withdrawn,
            body_sha256=first["body_sha256"],
            disposition=first["disposition"],
            facts=first["facts"],
            decision=first["decision"],
            content=None if withdrawn or first["wrapped"] is None else self._opened(first),
            traceparent=first["traceparent"],
            stale={(row["recipient"], row["purpose"]): StaleEdge(*map(row.get, StaleEdge._fields)) for row in rows},
        )

    def _opened(self, row: asyncpg.Record) -> ReferralRecord:
        wrapped, content = places(row["referral_id"], row["party"])
        key = unwrap(row["wrapped"], self._kek, wrapped)
        return ReferralRecord.model_validate_json(reveal(row["content"], key, content))
