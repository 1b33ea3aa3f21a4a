"""The origin's rows in PostgreSQL: bulk in, pages out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.envelope.datakeys import DataKey, KeyEncryptionKey, protect, wrap
from shared.exchange.origin import Answered, AnswerState
from shared.exchange.prepare import Again, Prepared

_REFERRALS = """
INSERT INTO referral (referral_id, party, external_ref, revision, exercise, disposition, state, work_reason, facts,
                      decision, content, traceparent, accepted_at)
SELECT i, p, x, 1, e, s, s, w, f::jsonb, d::jsonb, c, t, a
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bool[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::bytea[], $10::text[], $11::timestamptz[]) AS r(i, p, x, e, s, w, f, d, c, t, a)
ON CONFLICT (party, external_ref) DO NOTHING
RETURNING referral_id
"""
_EXISTING = """
SELECT party, external_ref, referral_id FROM referral
JOIN unnest($1::text[], $2::text[]) AS k(party, external_ref) USING (party, external_ref)
"""
_EDGES = """
INSERT INTO edge (message_id, referral_id, notice_id, party, recipient, purpose, reason, rules)
SELECT m, r, n, p, c, u, w, string_to_array(l, ',')
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
     AS e(m, r, n, p, c, u, w, l)
"""
_KEYS = "INSERT INTO data_key (subject, wrapped) SELECT * FROM unnest($1::uuid[], $2::bytea[])"
_COUNT = """
INSERT INTO intake_count AS c (party, fate, count) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (party, fate) DO UPDATE SET count = c.count + excluded.count
"""
_ANSWERABLE = """
SELECT e.message_id, e.referral_id, e.notice_id, e.party, e.recipient, e.answer, r.state = 'withdrawn' AS withdrawn
FROM edge AS e JOIN referral AS r USING (referral_id)
WHERE e.state = 'emitted'
  AND ((e.notice_id IS NULL AND e.referral_id = ANY($1::uuid[])) OR e.notice_id = ANY($1::uuid[]))
FOR UPDATE OF e
"""
_CARRY = """
UPDATE edge AS e SET answer = old.answer, answer_detail = old.answer_detail, answered_at = old.answered_at
FROM edge AS old WHERE old.message_id = ANY($1::uuid[]) AND e.state = 'emitted' AND e.notice_id IS NULL
  AND e.referral_id = old.referral_id AND e.recipient = old.recipient AND e.purpose = old.purpose
"""
_ANSWER = """
UPDATE edge AS e SET answer = a.answer, answer_detail = a.detail::jsonb, answered_at = $4
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS a(message_id, answer, detail) WHERE e.message_id = a.message_id
"""


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """An edge as answers find it: by (referral or notice id, recipient)."""

    message_id: UUID
    party: str
    recipient: str
    subject: UUID
    answer: AnswerState
    withdrawn: bool


async def insert_referrals(
    driver: asyncpg.Connection, prepared: Sequence[Prepared], kek: KeyEncryptionKey
) -> dict[UUID, UUID]:
    """Insert referrals with edges and data keys; return, for each not inserted, the id of the one that has its ref.

    Content is stored only under a new data key per referral: deleting the key erases it.
    """
    if not prepared:
        return {}
    keys = [DataKey.generate() for _ in prepared]
    inserted = await driver.fetch(
        _REFERRALS,
        [each.referral_id for each in prepared],
        [each.origin for each in prepared],
        [each.external_ref for each in prepared],
        [each.exercise for each in prepared],
        [each.disposition for each in prepared],
        [each.work_reason for each in prepared],
        [to_json(each.facts).decode() for each in prepared],
        [to_json(each.decision).decode() for each in prepared],
        [protect(each.content, key, each.referral_id.bytes) for each, key in zip(prepared, keys, strict=True)],
        [each.traceparent for each in prepared],
        [each.accepted_at for each in prepared],
    )
    new = {row["referral_id"] for row in inserted}
    kept = [(each, key) for each, key in zip(prepared, keys, strict=True) if each.referral_id in new]
    await driver.execute(
        _KEYS,
        [each.referral_id for each, _ in kept],
        [wrap(key, kek, each.referral_id.bytes) for each, key in kept],
    )
    await insert_edges(driver, [each for each, _ in kept])
    return await _conflicts(driver, [each for each in prepared if each.referral_id not in new])


async def insert_edges(driver: asyncpg.Connection, prepared: Sequence[Prepared | Again]) -> None:
    rows = [(each, emitted) for each in prepared for emitted in each.emitted]
    if rows:
        await driver.execute(
            _EDGES,
            [emitted.message_id for _, emitted in rows],
            [each.referral_id for each, _ in rows],
            [emitted.notice_id for _, emitted in rows],
            [each.origin for each, _ in rows],
            [emitted.recipient for _, emitted in rows],
            [emitted.purpose for _, emitted in rows],
            [emitted.reason for _, emitted in rows],
            [",".join(emitted.rules) for _, emitted in rows],
        )


async def carry_answers(driver: asyncpg.Connection, replaced: Sequence[UUID]) -> None:
    """Give the edges that replace these what their recipient has answered: it answers for the referral, not an edge.

    A notice that replaces another is new to its provider.
    """
    if replaced:
        await driver.execute(_CARRY, list(replaced))


async def count_intake(driver: asyncpg.Connection, fates: Sequence[tuple[str, str]]) -> None:
    """Add (party, fate) pairs to the counters; sorted, so that two transactions lock in the same order."""
    if fates:
        counts = sorted(Counter(fates).items())
        await driver.execute(
            _COUNT, [party for (party, _), _ in counts], [fate for (_, fate), _ in counts], [n for _, n in counts]
        )


async def answerable_edges(
    driver: asyncpg.Connection, subjects: Sequence[UUID]
) -> dict[tuple[UUID, str], list[EdgeRow]]:
    """The open edges of referral or notice ids, locked, by (subject, recipient): one for each purpose."""
    rows = await driver.fetch(_ANSWERABLE, list(subjects))
    edges = [
        EdgeRow(
            row["message_id"],
            row["party"],
            row["recipient"],
            row["notice_id"] or row["referral_id"],
            AnswerState(row["answer"]),
            row["withdrawn"],
        )
        for row in rows
    ]
    found: dict[tuple[UUID, str], list[EdgeRow]] = {}
    for edge in edges:
        found.setdefault((edge.subject, edge.recipient), []).append(edge)
    return found


async def write_answers(driver: asyncpg.Connection, answered: dict[UUID, Answered], at: datetime) -> None:
    """Store the new answer of each edge, keyed by its message id."""
    if answered:
        await driver.execute(
            _ANSWER,
            list(answered),
            [each.state.value for each in answered.values()],
            [to_json(each.detail).decode() for each in answered.values()],
            at,
        )


async def _conflicts(driver: asyncpg.Connection, others: Sequence[Prepared]) -> dict[UUID, UUID]:
    if not others:
        return {}
    rows = await driver.fetch(_EXISTING, [each.origin for each in others], [each.external_ref for each in others])
    existing: dict[tuple[str, str], Any] = {(row["party"], row["external_ref"]): row["referral_id"] for row in rows}
    return {each.referral_id: existing[each.origin, each.external_ref] for each in others}
