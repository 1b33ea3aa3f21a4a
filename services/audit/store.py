"""Audit's tables: entries, links, receipts read, cursors, and who looked. Append-only for the service's role.

Trust: whoever can write these tables can change what audit shows; Kafka (while it retains) and the parties' own
tables contradict it (`causeway audit reconcile`), and the ledger will make every change provable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PgUuid

from services.audit.domain import Entry, Link, Read, Receipted
from services.audit.ports import KeptEntry, Partition, Place
from shared.runtime.database.transactions import Database

_Row = TypeVar("_Row", bound=NamedTuple)

metadata = sa.MetaData()

entry = sa.Table(
    "entry",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("generation", PgUuid(as_uuid=True), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("offset", sa.BigInteger, primary_key=True),
    sa.Column("previous_offset", sa.BigInteger),
    sa.Column("broker_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("verified", sa.Boolean, nullable=False),
    sa.Column("problem", sa.Text),
    sa.Column("message_id", PgUuid(as_uuid=True)),
    sa.Column("type", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("sender", sa.Text),
    sa.Column("recipient", sa.Text),
    sa.Column("recipient_instance", sa.Text),
    sa.Column("exercise", sa.Boolean),
    sa.Column("sequence", sa.BigInteger),
    sa.Column("key_id", sa.Text),
    sa.Column("detail", JSONB),
    sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)
sa.Index("entry_by_subject", entry.c.subject)
sa.Index("entry_by_message", entry.c.message_id)
#: The message that a `message_parked` fact is about.
sa.Index("entry_by_parked", entry.c.detail["message_id"].astext, postgresql_where=entry.c.kind == "parked")

link = sa.Table(
    "link",
    metadata,
    sa.Column("message_id", PgUuid(as_uuid=True), primary_key=True),
    sa.Column("referral_id", PgUuid(as_uuid=True), nullable=False, index=True),
    sa.Column("notice_id", PgUuid(as_uuid=True)),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("rules", sa.Text, nullable=False),
)

receipted = sa.Table(
    "receipted",
    metadata,
    sa.Column("message_id", PgUuid(as_uuid=True), primary_key=True),
    sa.Column("receipt_id", PgUuid(as_uuid=True), primary_key=True),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("code", sa.Text),
)

cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("generation", PgUuid(as_uuid=True), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next_offset", sa.BigInteger, nullable=False),
)

reading = sa.Table(
    "reading",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("auditor", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)

_HEADS = "SELECT topic, generation, partition, next_offset FROM cursor"
# All of a batch in one statement, so in one round trip and whole or not at all: $1 to $20 are the entries, $21 to $26
# the links, $27 to $32 what was receipted, $33 to $36 the cursors. Cursors are locked in one order, then read: what
# another reader kept meanwhile counts. They move by what was read of them, so never before it was read.
_APPEND = """
WITH head AS MATERIALIZED (
    SELECT c.topic, c.generation, c.partition, c.next_offset
    FROM cursor AS c
    WHERE (c.topic, c.generation, c.partition) IN (SELECT * FROM unnest($33::text[], $34::uuid[], $35::int[]))
    ORDER BY c.topic, c.generation, c.partition FOR UPDATE
), new_entry AS (
    INSERT INTO entry (topic, generation, partition, "offset", broker_time, kind, digest, verified, problem,
                       message_id, type, subject, sender, recipient, recipient_instance, exercise, sequence, key_id,
                       detail, previous_offset)
    SELECT t, g, p, o, b, k, d, y, x, m, c, s, f, r, n, e, q, i, j::jsonb, coalesce(v, head.next_offset - 1)
    FROM unnest($1::text[], $2::uuid[], $3::int[], $4::bigint[], $5::timestamptz[], $6::text[], $7::text[], $8::bool[],
                $9::text[], $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bool[],
                $17::bigint[], $18::text[], $19::text[], $20::bigint[])
         AS column_of(t, g, p, o, b, k, d, y, x, m, c, s, f, r, n, e, q, i, j, v)
         LEFT JOIN head ON (head.topic, head.generation, head.partition) = (t, g, p)
    ON CONFLICT DO NOTHING
), new_link AS (
    INSERT INTO link
    SELECT * FROM unnest($21::uuid[], $22::uuid[], $23::uuid[], $24::text[], $25::text[], $26::text[])
    ON CONFLICT DO NOTHING
), new_receipted AS (
    INSERT INTO receipted
    SELECT * FROM unnest($27::uuid[], $28::uuid[], $29::text[], $30::text[], $31::text[], $32::text[])
    ON CONFLICT DO NOTHING
)
INSERT INTO cursor
SELECT t, g, p, greatest(o, head.next_offset)
FROM unnest($33::text[], $34::uuid[], $35::int[], $36::bigint[]) AS column_of(t, g, p, o)
     LEFT JOIN head ON (head.topic, head.generation, head.partition) = (t, g, p)
ON CONFLICT (topic, generation, partition)
DO UPDATE SET next_offset = greatest(cursor.next_offset, excluded.next_offset)
"""
# The referral's own messages in this world; then the receipts for them, and what was stated of those that were parked.
# Of a message's receipts, those count that its recipient's instance gave for exactly this digest: the last one, but
# `parked` gives way to what became of the message later, as it does at the sender (`shared.runtime.post.outbox`).
_FLOW = """
WITH mine AS (SELECT message_id, notice_id, rules FROM link WHERE referral_id = $1),
     subjects AS (SELECT $1::text AS subject UNION SELECT notice_id::text FROM mine WHERE notice_id IS NOT NULL),
     direct AS (SELECT e.* FROM entry AS e JOIN subjects USING (subject) WHERE e.exercise = $2),
     about AS (
         SELECT DISTINCT r.receipt_id AS message_id
         FROM receipted AS r JOIN direct AS d ON d.message_id = r.message_id AND d.digest = r.digest
     ),
     found AS (
         SELECT * FROM direct
         UNION SELECT e.* FROM entry AS e JOIN about USING (message_id)
         UNION SELECT e.* FROM entry AS e JOIN direct AS d ON e.detail->>'message_id' = d.message_id::text
               WHERE e.kind = 'parked'
     )
SELECT f.*, m.rules, r.outcome, r.code
FROM found AS f LEFT JOIN mine AS m USING (message_id) LEFT JOIN LATERAL (
    SELECT said.outcome, said.code
    FROM receipted AS said JOIN entry AS receipt ON receipt.message_id = said.receipt_id
    WHERE said.message_id = f.message_id AND said.digest = f.digest AND said.by = f.recipient_instance
    ORDER BY said.outcome = 'parked', receipt.broker_time DESC, receipt.topic, receipt.partition,
             receipt."offset" DESC
    LIMIT 1
) AS r ON true
ORDER BY f.broker_time, f.topic, f.generation, f.partition, f."offset"
"""
_GENERATIONS = """
SELECT c.generation FROM cursor AS c JOIN entry AS e
    ON e.topic = c.topic AND e.generation = c.generation AND e.partition = c.partition
   AND e."offset" = c.next_offset - 1
WHERE c.topic = $1 GROUP BY c.generation ORDER BY max(e.broker_time), c.generation
"""
# Receipts, and what nobody can read, belong to neither world and name no referral.
_PAGE = """
SELECT *, NULL AS rules, NULL AS outcome, NULL AS code FROM entry
WHERE topic = $1 AND generation = $2 AND partition = $3 AND "offset" >= $4
  AND (exercise = $5 OR kind IN ('receipt', 'unreadable'))
ORDER BY "offset" LIMIT $6
"""


class PostgresEntries:
    """`Entries` over audit's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cursors(self) -> Mapping[Place, int]:
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_HEADS)
        return {Place(row["topic"], row["generation"], row["partition"]): row["next_offset"] for row in rows}

    async def append(self, read: Read, cursors: Mapping[Place, int]) -> None:
        columns = [
            *_transposed(read.entries, Entry),
            _previous_offsets(read.entries),
            *_transposed(read.links, Link),
            *_transposed(read.receipted, Receipted),
            *_transposed(list(cursors), Place),
            list(cursors.values()),
        ]
        async with self._database.transaction() as session:
            await session.driver.execute(_APPEND, *columns)

    async def flow(self, referral_id: UUID, *, exercise: bool) -> list[KeptEntry]:
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_FLOW, referral_id, exercise)
        return [_kept(position, row) for position, row in enumerate(rows, start=1)]

    async def note_reading(self, auditor: str, purpose: str, what: str) -> None:
        async with self._database.transaction() as session:
            await session.driver.execute(
                "INSERT INTO reading (auditor, purpose, what) VALUES ($1, $2, $3)", auditor, purpose, what
            )

    async def generations(self, topic: str) -> list[UUID]:
        async with self._database.transaction() as session:
            return [row["generation"] for row in await session.driver.fetch(_GENERATIONS, topic)]

    async def page(self, place: Partition, generation: UUID, *, exercise: bool, limit: int) -> list[KeptEntry]:
        where = (place.topic, generation, place.partition, place.from_offset)
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_PAGE, *where, exercise, limit)
        return [_kept(position, row) for position, row in enumerate(rows, start=1)]


def _transposed(rows: Sequence[_Row], kind: type[_Row]) -> Sequence[Sequence[object]]:
    """One sequence per field of `kind`, also where there is no row."""
    return list(zip(*rows, strict=True)) or [()] * len(kind._fields)


def _previous_offsets(entries: Sequence[Entry]) -> list[int | None]:
    """Of each entry the offset before it in its partition, None for the first here: that one's the cursor knows."""
    last: dict[Place, int] = {}
    previous: list[int | None] = []
    for each in entries:
        place = Place(each.topic, each.generation, each.partition)
        previous.append(last.get(place))
        last[place] = each.offset
    return previous


def _kept(position: int, row: asyncpg.Record) -> KeptEntry:
    return KeptEntry(
        position=position,
        at=row["broker_time"],
        topic=row["topic"],
        generation=row["generation"],
        partition=row["partition"],
        offset=row["offset"],
        previous_offset=row["previous_offset"],
        kind=row["kind"],
        type=row["type"],
        subject=row["subject"],
        sender=row["sender"],
        recipient=row["recipient"],
        sequence=row["sequence"],
        message_id=row["message_id"],
        digest=row["digest"],
        verified=row["verified"],
        problem=row["problem"],
        exercise=row["exercise"],
        detail=row["detail"],
        rules=tuple(row["rules"].split(",")) if row["rules"] else (),
        outcome=row["outcome"],
        code=row["code"],
    )
