"""The origin's rows in PostgreSQL: bulk in, pages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.envelope.datakeys import DataKey, KeyEncryptionKey, protect, wrap
from shared.exchange.acts import AnswerState
from shared.exchange.origin import Answered
from shared.exchange.prepare import Again, Prepared

_EDGES = """
INSERT INTO edge (message_id, referral_id, notice_id, party, recipient, purpose, reason, rules)
SELECT m, r, n, p, c, u, w, string_to_array(l, ',')
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
     AS e(m, r, n, p, c, u, w, l)
"""
# One statement, since each costs a round trip: what is not filed, because its reference is taken, gets no key, no
# edge, and is counted as refused.
_FILE = """
WITH filed AS (
    INSERT INTO referral (referral_id, party, external_ref, revision, exercise, disposition, state, work_reason, facts,
                          decision, content, traceparent, accepted_at)
    SELECT i, p, x, 1, e, s, s, w, f::jsonb, d::jsonb, c, t, a
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bool[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::bytea[], $10::text[], $11::timestamptz[]) AS r(i, p, x, e, s, w, f, d, c, t, a)
    ON CONFLICT (party, external_ref) DO NOTHING
    RETURNING referral_id, party
), keyed AS (
    INSERT INTO data_key (subject, wrapped)
    SELECT k.i, k.w FROM unnest($1::uuid[], $12::bytea[]) AS k(i, w) JOIN filed ON filed.referral_id = k.i
), edged AS (
    INSERT INTO edge (message_id, referral_id, notice_id, party, recipient, purpose, reason, rules)
    SELECT m, r, n, p, c, u, w, string_to_array(l, ',')
    FROM unnest($13::uuid[], $14::uuid[], $15::uuid[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[])
         AS e(m, r, n, p, c, u, w, l) JOIN filed ON filed.referral_id = e.r
), counted AS (
    INSERT INTO intake_count AS c (party, fate, count)
    SELECT s.party, f.fate, f.count
    FROM unnest($21::text[], $22::bigint[]) AS s(party, submitted)
    CROSS JOIN LATERAL (SELECT count(*) AS accepted FROM filed WHERE filed.party = s.party) AS a
    CROSS JOIN LATERAL (
        VALUES ('submitted', submitted), ('accepted', accepted), ('refused', submitted - accepted)
    ) AS f(fate, count)
    WHERE f.count > 0 ORDER BY s.party, f.fate
    ON CONFLICT (party, fate) DO UPDATE SET count = c.count + excluded.count
)
SELECT referral_id FROM filed
"""
_EXISTING = """
SELECT party, external_ref, referral_id FROM referral
JOIN unnest($1::text[], $2::text[]) AS k(party, external_ref) USING (party, external_ref)
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


async def file_referrals(
    driver: asyncpg.Connection, prepared: Sequence[Prepared], submitted: Mapping[str, int], *, kek: KeyEncryptionKey
) -> dict[UUID, UUID]:
    """Insert referrals with edges and data keys, and count what each party has `submitted`, refusals included.

    Return, for each referral not inserted, the id of the one that has its reference. Content is stored only under a
    new data key per referral: deleting the key erases it.
    """
    keys = [DataKey.generate() for _ in prepared]
    filed = await driver.fetch(
        _FILE,
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
        [wrap(key, kek, each.referral_id.bytes) for each, key in zip(prepared, keys, strict=True)],
        *_edge_columns(prepared),
        list(submitted),
        list(submitted.values()),
    )
    if len(filed) == len(prepared):
        return {}
    new = {row["referral_id"] for row in filed}
    return await _conflicts(driver, [each for each in prepared if each.referral_id not in new])


async def insert_edges(driver: asyncpg.Connection, decided: Sequence[Again]) -> None:
    """Insert the edges of referrals that were decided again."""
    if any(each.emitted for each in decided):
        await driver.execute(_EDGES, *_edge_columns(decided))


def _edge_columns(decided: Sequence[Prepared | Again]) -> list[list[Any]]:
    rows = [(each, emitted) for each in decided for emitted in each.emitted]
    return [
        [emitted.message_id for _, emitted in rows],
        [each.referral_id for each, _ in rows],
        [emitted.notice_id for _, emitted in rows],
        [each.origin for each, _ in rows],
        [emitted.recipient for _, emitted in rows],
        [emitted.purpose for _, emitted in rows],
        [emitted.reason for _, emitted in rows],
        [",".join(emitted.rules) for _, emitted in rows],
    ]


async def carry_answers(driver: asyncpg.Connection, replaced: Sequence[UUID]) -> None:
    """Give the edges that replace these what their recipient has answered: it answers for the referral, not an edge.

    A notice that replaces another is new to its provider.
    """
    if replaced:
        await driver.execute(_CARRY, list(replaced))


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
    rows = await driver.fetch(_EXISTING, [each.origin for each in others], [each.external_ref for each in others])
    existing: dict[tuple[str, str], Any] = {(row["party"], row["external_ref"]): row["referral_id"] for row in rows}
    return {each.referral_id: existing[each.origin, each.external_ref] for each in others}
