"""Audit's tables: entries, links, receipts read, cursors, and who looked. Append-only for the service's role.

Trust: whoever can write these tables can change what audit shows; Kafka (while it retains) and the parties' own
tables contradict it (`causeway audit reconcile`), and the ledger will make every change provable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from services.audit.domain import Entry, Link, Read, Receipted
from services.audit.ports import KeptEntry, Partition, Place
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.database.transactions import Database

_HEADS = "SELECT topic, generation, partition, next_offset FROM cursor"
_ENTRY = Columns.of(Entry, detail="jsonb")
_BEFORE = Columns[int | None]({"previous_offset": "bigint"})
_LINK = Columns.of(Link)
_RECEIPTED = Columns.of(Receipted)
_CURSOR = Columns.of(Place, next_offset="bigint")
# All of a batch in one statement, so in one round trip and whole or not at all. Cursors are locked in one order, then
# read: what another reader kept meanwhile counts. They move by what was read of them, so never before it was read.
_APPEND = Statement(
    """
WITH head AS MATERIALIZED (
    SELECT c.topic, c.generation, c.partition, c.next_offset
    FROM cursor AS c
    WHERE (c.topic, c.generation, c.partition) IN (SELECT topic, generation, partition FROM {cursors})
    ORDER BY c.topic, c.generation, c.partition FOR UPDATE
), new_entry AS (
    INSERT INTO entry ({entries.names}, previous_offset)
    SELECT {entries.values}, coalesce(before.previous_offset, head.next_offset - 1)
    FROM {entries.ordered} JOIN {before.ordered} USING (position)
         LEFT JOIN head USING (topic, generation, partition)
    ON CONFLICT DO NOTHING
), new_link AS (
    INSERT INTO link ({links.names}) SELECT {links.values} FROM {links} ON CONFLICT DO NOTHING
), new_receipted AS (
    INSERT INTO receipted ({receipts.names}) SELECT {receipts.values} FROM {receipts} ON CONFLICT DO NOTHING
)
INSERT INTO cursor (topic, generation, partition, next_offset)
SELECT topic, generation, partition, greatest(cursors.next_offset, head.next_offset)
FROM {cursors} LEFT JOIN head USING (topic, generation, partition)
ON CONFLICT (topic, generation, partition)
DO UPDATE SET next_offset = greatest(cursor.next_offset, excluded.next_offset)
""",
    entries=_ENTRY,
    before=_BEFORE,
    links=_LINK,
    receipts=_RECEIPTED,
    cursors=_CURSOR,
)
# The referral's own messages in this world; then the receipts for them that their recipients' instances gave, and what
# was stated of those that were parked in the topic where they lie. Its origin is who was first to state that it decided
# it; notices are linked by that origin's word alone, and rules are those that a message's own sender stated.
# Of a message's receipts, those count that its recipient's instance gave for exactly this digest: the last one, but
# `parked` gives way to what became of the message later, as it does at the sender (`shared.runtime.post.outbox`).
_FLOW = """
WITH origin AS (
         SELECT detail->>'origin' AS party FROM entry
         WHERE subject = ($1::uuid)::text AND kind = 'decision' AND detail->>'origin' IS NOT NULL
         ORDER BY broker_time, topic, generation, partition, "offset" LIMIT 1
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
     about AS (
         SELECT DISTINCT r.receipt_id AS message_id
         FROM receipted AS r JOIN direct AS d
             ON d.message_id = r.message_id AND d.digest = r.digest AND d.recipient_instance = r.by
     ),
     found AS (
         SELECT * FROM direct
         UNION SELECT e.* FROM entry AS e JOIN about USING (message_id)
         UNION SELECT e.* FROM entry AS e JOIN direct AS d ON e.detail->>'message_id' = d.message_id::text
               WHERE e.kind = 'parked' AND e.detail->>'topic' = d.topic
     )
SELECT f.*, m.rules, r.outcome, r.code, m.committed
FROM found AS f LEFT JOIN mine AS m ON m.message_id = f.message_id AND m.origin = f.sender LEFT JOIN LATERAL (
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
WHERE c.topic = $1 GROUP BY c.generation
ORDER BY max(e.broker_time) FILTER (WHERE coalesce(e.problem NOT IN ('broker_time_stated', 'broker_time_off'), true))
         NULLS FIRST, c.generation
"""
# Receipts, and what nobody can read, belong to neither world and name no referral.
_PAGE = """
SELECT *, NULL AS rules, NULL AS outcome, NULL AS code, NULL AS committed FROM entry
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
        before = _previous_offsets(read.entries)
        bound = _APPEND.bind(
            entries=_ENTRY.rows(read.entries),
            before=_BEFORE.rows(before, previous_offset=before),
            links=_LINK.rows(read.links),
            receipts=_RECEIPTED.rows(read.receipted),
            cursors=_CURSOR.rows(list(cursors), next_offset=list(cursors.values())),
        )
        async with self._database.transaction() as session:
            await session.driver.execute(*bound)

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
        epoch=row["epoch"],
        sequence=row["sequence"],
        message_id=row["message_id"],
        digest=row["digest"],
        verified=row["verified"],
        problem=row["problem"] or ("edge_not_committed" if row["committed"] is False else None),
        exercise=row["exercise"],
        detail=row["detail"],
        rules=tuple(row["rules"].split(",")) if row["rules"] else (),
        outcome=row["outcome"],
        code=row["code"],
    )
