"""What is filed, in PostgreSQL: keys claimed, referrals, edges, data keys and counts, in bulk."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.envelope.datakeys import DataKey, KeyEncryptionKey, protect, wrap
from shared.exchange.message import Draft
from shared.exchange.prepare import Again, Prepared
from shared.kernel.authority import Role
from shared.kernel.errors import Refused
from shared.party.origin.domain import Reply, Request
from shared.party.origin.ports import Claimed, Twin
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.http.idempotency import Claim, ClaimKind, claim_many, store_many
from shared.runtime.post import outbox

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


class PostgresFiling:
    """`Filing` within one transaction. Content is kept under a data key per referral: deleting the key erases it."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        self._driver = driver
        self._kek = kek

    async def claim(self, requests: Sequence[Request], expected: Sequence[Reply]) -> list[Claimed]:
        wanted = [(*_key(request), request.body_hash) for request in requests]
        claims = await claim_many(self._driver, wanted, [(each.status, _stored(each)) for each in expected])
        return [_claimed(claim) for claim in claims]

    async def file(self, prepared: Sequence[Prepared], submitted: Mapping[str, int]) -> dict[UUID, UUID]:
        keys = [DataKey.generate() for _ in prepared]
        filed = await self._driver.fetch(
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
            [wrap(key, self._kek, each.referral_id.bytes) for each, key in zip(prepared, keys, strict=True)],
            *edge_columns(prepared),
            list(submitted),
            list(submitted.values()),
        )
        if len(filed) == len(prepared):
            return {}
        new = {row["referral_id"] for row in filed}
        return await self._taken([each for each in prepared if each.referral_id not in new])

    async def correct(self, answers: Sequence[tuple[Request, Reply]]) -> None:
        stored = [(*_key(request), reply.status, _stored(reply)) for request, reply in answers]
        await store_many(self._driver, stored)

    async def send(self, drafts: Sequence[Draft]) -> None:
        await outbox.enqueue(self._driver, drafts)

    async def _taken(self, others: Sequence[Prepared]) -> dict[UUID, UUID]:
        rows = await self._driver.fetch(
            _EXISTING, [each.origin for each in others], [each.external_ref for each in others]
        )
        existing: dict[tuple[str, str], UUID] = {
            (row["party"], row["external_ref"]): row["referral_id"] for row in rows
        }
        return {each.referral_id: existing[each.origin, each.external_ref] for each in others}


class PostgresFilings:
    """`Filings` over the database of an instance."""

    def __init__(self, database: Database, kek: KeyEncryptionKey) -> None:
        self._database = database
        self._kek = kek

    @asynccontextmanager
    async def open(self, parties: Sequence[str], role: Role) -> AsyncIterator[PostgresFiling]:
        async with self._database.transaction(RowScope(parties, role, "submit")) as session:
            yield PostgresFiling(session.driver, self._kek)


def edge_columns(decided: Sequence[Prepared | Again]) -> list[Sequence[object]]:
    """One array per column: message, referral, notice, party, recipient, purpose, reason, rules with commas."""
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


def _key(request: Request) -> tuple[str, bytes]:
    """Whose key it is, and its hash: the submissions of a request are one party's."""
    return request.submissions[0].party.id, request.key_hash


def _stored(answer: Reply) -> bytes:
    """An answer as it is kept with its key: the place it names, a line end, its body."""
    return to_json({"location": answer.location}) + b"\n" + answer.body


def _claimed(claim: Claim) -> Claimed:
    if claim.kind is ClaimKind.NEW:
        return None
    if claim.twin_of is not None:
        return Twin(claim.twin_of)
    if claim.kind is ClaimKind.REUSED or claim.answer is None or claim.status is None:
        return Refused("idempotency_key_reused", "the key was used with another body")
    head, _, body = claim.answer.partition(b"\n")
    return Reply(claim.status, body, json.loads(head)["location"])
