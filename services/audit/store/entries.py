"""Entries as they are kept and shown, how far was read, and who looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from services.audit.domain.entries import NOBODYS, Entry, Read
from services.audit.domain.partitions import Cursor, Life
from services.audit.domain.proof import KeptProof, Place
from services.audit.ports import FlowRead, FoundFlows, KeptEntry, NotedLook, NotedLooks, Partition, Sought
from services.audit.store import appending, finding
from shared.contracts.facts import JudgedCopy
from shared.runtime.database.pages import next_cursor, read_cursor
from shared.runtime.database.transactions import Database

# With a scope, `$4`: what a colleague has looked at is told where it names nobody, a party in scope, or a referral that
# has a pair in scope. A purpose is told with it alone.
_LOOKS = """
SELECT r.id AS arrival, r.actor, r.what, r.purpose, r.at
FROM reading AS r CROSS JOIN LATERAL (
    SELECT split_part(r.what, '/', 1) AS kind, split_part(r.what, '/', 2) AS named
) AS said
WHERE r.auditor = $1 AND ($2::bigint IS NULL OR r.id < $2)
  AND ($4::text[] IS NULL OR r.what IN ('looks', 'topics', 'accounts')
       OR (said.kind = 'find' AND (said.named = 'anybody' OR said.named = ANY($4)))
       OR (said.kind IN ('flow', 'find') AND EXISTS (
           SELECT FROM entry AS d
           WHERE d.subject = said.named AND d.kind = 'decision' AND d.exercise = $5
             AND (d.detail->>'origin' = ANY($4) OR EXISTS (
                 SELECT FROM link AS l
                 WHERE l.referral_id = d.subject::uuid AND l.origin = d.detail->>'origin' AND l.recipient = ANY($4))))))
ORDER BY r.id DESC LIMIT $3
"""
_HEADS = "SELECT topic, topic_id, partition, next_offset, digest FROM cursor"
# The referral's own messages in this world; then the receipts for them that their recipients' instances gave, and what
# was stated of those that were parked in the topic where they lie, by exactly this digest. Its origin is who was first
# to state that it decided it; notices are linked by that origin's word alone, and rules are those that a message's own
# sender stated.
# Of a message's receipts, those count that its recipient's instance gave for exactly this digest: the last one, but
# `parked` gives way to what became of the message later, as it does at the sender (`shared.runtime.post.outbox`).
_FLOW = """
WITH origin AS (
         SELECT detail->>'origin' AS party FROM entry
         WHERE subject = ($1::uuid)::text AND kind = 'decision' AND detail->>'origin' IS NOT NULL
         ORDER BY broker_time, topic, topic_id, partition, "offset" LIMIT 1
     ),
     mine AS (
         SELECT DISTINCT ON (e.message_id) e.message_id, e.subject, l.origin, l.rules,
                e.commitment = l.commitment AS committed
         FROM link AS l JOIN entry AS e ON e.edge_id = l.edge_id AND e.sender = l.origin AND e.recipient = l.recipient
         WHERE l.referral_id = $1 AND l.origin = (SELECT party FROM origin)
         ORDER BY e.message_id, e.commitment = l.commitment DESC
     ),
     subjects AS (SELECT $1::text AS subject UNION SELECT subject FROM mine),
     direct AS (SELECT e.* FROM entry AS e JOIN subjects USING (subject) WHERE e.exercise = $2),
     scoped AS (
         SELECT d.*, $3::text[] IS NULL OR coalesce(d.sender = ANY($3), false) OR coalesce(d.recipient = ANY($3), false)
             OR coalesce(d.detail->>'origin' = ANY($3), false) OR coalesce(d.detail->>'party' = ANY($3), false) AS seen
         FROM direct AS d
     ),
     places AS (
         SELECT message_id::text AS message_id, topic, digest, bool_or(seen) AS seen FROM scoped GROUP BY 1, 2, 3
     ),
     about AS (
         SELECT r.receipt_id AS message_id, bool_or(d.seen) AS seen
         FROM receipted AS r JOIN scoped AS d
             ON d.message_id = r.message_id AND d.digest = r.digest AND d.recipient_instance = r.by
         GROUP BY r.receipt_id
     ),
     found AS (
         SELECT * FROM scoped
         UNION SELECT e.*, about.seen FROM entry AS e JOIN about ON about.message_id = e.message_id
         UNION SELECT e.*, p.seen FROM entry AS e JOIN places AS p ON e.detail->>'message_id' = p.message_id
               WHERE e.kind = 'parked' AND e.detail->>'topic' = p.topic AND e.detail->>'digest' = p.digest
     )
SELECT f.*, m.rules, r.outcome, r.code, r.judged_life, r.judged_offset, r.judged_at, m.committed
FROM found AS f LEFT JOIN mine AS m ON m.message_id = f.message_id AND m.origin = f.sender LEFT JOIN LATERAL (
    SELECT said.outcome, said.code, said.topic_id AS judged_life, said."offset" AS judged_offset,
           said.broker_time AS judged_at
    FROM receipted AS said JOIN entry AS receipt ON receipt.message_id = said.receipt_id
    WHERE said.message_id = f.message_id AND said.digest = f.digest AND said.by = f.recipient_instance
    ORDER BY said.outcome = 'parked', receipt.broker_time DESC, receipt.topic, receipt.partition,
             receipt."offset" DESC, said.position DESC
    LIMIT 1
) AS r ON true
ORDER BY f.broker_time, f.topic, f.topic_id, f.partition, f."offset"
"""
_TOPIC_IDS = "SELECT topic_id FROM cursor WHERE topic = $1 GROUP BY topic_id ORDER BY min(begun_at), topic_id"
_PROOF = """
SELECT key_id, batch_root, batch_signature, batch_index, batch_size, batch_path FROM entry
WHERE topic = $1 AND topic_id = $2 AND partition = $3 AND "offset" = $4 AND digest = $5 AND batch_root IS NOT NULL
"""
# Receipts, what nobody can read, and what is lost belong to neither world and name no referral. The first of what is
# nobody's says how much of it came on its day for the same reason.
_PAGE = """
SELECT *, NULL AS rules, NULL AS outcome, NULL AS code, NULL AS committed, CASE WHEN kind = ANY($8) THEN (
    SELECT jsonb_build_object('count', f.count, 'last', f.last_offset, 'until',
                              to_char(f.last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    FROM folded_record AS f
    WHERE (f.topic, f.topic_id, f.partition) = (entry.topic, entry.topic_id, entry.partition)
      AND f.day = (entry.broker_time AT TIME ZONE 'UTC')::date AND f.reason = entry.problem
      AND f.first_offset = entry."offset"
) END AS counted
FROM entry
WHERE topic = $1 AND topic_id = $2 AND partition = $3 AND "offset" >= $4
  AND (exercise = $5 OR kind IN ('receipt', 'unreadable', 'loss', 'conflict'))
  AND ($7::text[] IS NULL OR sender = ANY($7) OR recipient = ANY($7)
       OR detail->>'origin' = ANY($7) OR detail->>'party' = ANY($7))
ORDER BY "offset", kept_at LIMIT $6
"""


class PostgresEntries:
    """`Entries` over audit's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cursors(self) -> Mapping[Life, Cursor]:
        rows = await self._database.fetch(_HEADS)
        return {
            Life(row["topic"], row["topic_id"], row["partition"]): Cursor(row["next_offset"], row["digest"])
            for row in rows
        }

    async def append(self, read: Read, cursors: Mapping[Life, Cursor]) -> None:
        async with self._database.transaction(keeps_plans=True) as session:
            await appending.append(session, read, cursors)

    async def begin(self, losses: Sequence[Entry], cursors: Mapping[Life, Cursor]) -> None:
        async with self._database.transaction() as session:
            await appending.begin(session, losses, cursors)

    async def flow(self, referral_id: UUID, *, exercise: bool, parties: frozenset[str] | None = None) -> FlowRead:
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_FLOW, referral_id, exercise, _listed(parties))
        kept = [_kept(position, row) for position, row in enumerate(rows, start=1)]
        return FlowRead(kept, frozenset(each.position for each, row in zip(kept, rows, strict=True) if row["seen"]))

    async def proof(self, place: Place) -> KeptProof | None:
        where = place.topic, place.topic_id, place.partition, place.offset, place.digest
        async with self._database.transaction() as session:
            row = await session.driver.fetchrow(_PROOF, *where)
        return None if row is None else KeptProof(*row)

    async def find(
        self,
        sought: Sought,
        *,
        exercise: bool,
        limit: int,
        parties: frozenset[str] | None = None,
        cursor: str | None = None,
    ) -> FoundFlows:
        listed = _listed(parties)
        async with self._database.transaction() as session:
            return await finding.find(session, sought, exercise=exercise, parties=listed, limit=limit, cursor=cursor)

    async def note_reading(self, auditor: str, purpose: str, what: str, *, actor: str | None = None) -> None:
        values = auditor, purpose, what, actor
        async with self._database.transaction() as session:
            await session.driver.execute(
                "INSERT INTO reading (auditor, purpose, what, actor) VALUES ($1, $2, $3, $4)", *values
            )

    async def looks(
        self,
        auditor: str,
        *,
        exercise: bool,
        cursor: str | None,
        limit: int,
        parties: frozenset[str] | None = None,
    ) -> NotedLooks:
        where = auditor, read_cursor(cursor), limit + 1
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_LOOKS, *where, _listed(parties), exercise)
        items = [NotedLook(**{name: each[name] for name in NotedLook.model_fields}) for each in rows[:limit]]
        return NotedLooks(items=tuple(items), next=next_cursor(rows, limit))

    async def topic_ids(self, topic: str) -> list[UUID]:
        async with self._database.transaction() as session:
            return [row["topic_id"] for row in await session.driver.fetch(_TOPIC_IDS, topic)]

    async def page(
        self,
        place: Partition,
        topic_id: UUID,
        *,
        exercise: bool,
        limit: int,
        parties: frozenset[str] | None = None,
    ) -> list[KeptEntry]:
        where = (place.topic, topic_id, place.partition, place.from_offset)
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_PAGE, *where, exercise, limit, _listed(parties), sorted(NOBODYS))
        return [_kept(position, row) for position, row in enumerate(rows, start=1)]


def _listed(parties: frozenset[str] | None) -> list[str] | None:
    return None if parties is None else sorted(parties)


def _kept(position: int, row: asyncpg.Record) -> KeptEntry:
    return KeptEntry(
        position=position,
        at=row["broker_time"],
        topic=row["topic"],
        topic_id=row["topic_id"],
        partition=row["partition"],
        offset=row["offset"],
        previous_offset=row["previous_offset"],
        kind=row["kind"],
        type=row["type"],
        subject=row["subject"],
        sender=row["sender"],
        recipient=row["recipient"],
        epoch=row["epoch"],
        sequence=row["sequence"],
        previous_epoch=row["previous_epoch"],
        previous_last=row["previous_last"],
        message_id=row["message_id"],
        digest=row["digest"],
        verified=row["verified"],
        problem=row["problem"] or ("edge_not_committed" if row["committed"] is False else None),
        exercise=row["exercise"],
        detail=row["detail"] or row.get("counted"),
        rules=tuple(row["rules"].split(",")) if row["rules"] else (),
        outcome=row["outcome"],
        code=row["code"],
        judged=_judged(row),
    )


def _judged(row: asyncpg.Record) -> JudgedCopy | None:
    if (offset := row.get("judged_offset")) is None:
        return None
    return JudgedCopy(topic_id=row["judged_life"], offset=offset, broker_time=row["judged_at"])
