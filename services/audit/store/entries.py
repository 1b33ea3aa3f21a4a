"""Entries, folded marks, links, receipts read, numbers seen, cursors, and who looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from uuid import UUID

import asyncpg

from services.audit.domain.entries import Asked, Entry, Link, Numbers, Read, Receipted, is_folded
from services.audit.domain.partitions import Cursor, Life
from services.audit.domain.proof import KeptProof, Place
from services.audit.ports import FlowRead, FoundFlows, KeptEntry, NotedLook, NotedLooks, Partition, Sought
from services.audit.store import finding
from shared.runtime.database.columns import Bound, Columns, Statement
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
_HEADS = "SELECT topic, generation, partition, next_offset, digest FROM cursor"
_ENTRY = Columns.of(Entry, detail="jsonb")
_MARKS = Columns.of(
    Entry,
    without=[
        name
        for name in Entry._fields
        if name not in ("topic", "generation", "partition", "offset", "broker_time", "digest")
    ],
)
_BEFORE = Columns[int | None]({"previous_offset": "bigint"})
_LINK = Columns.of(Link)
_RECEIPTED = Columns.of(Receipted)
_NUMBERS = Columns.of(Numbers)
_ASKED = Columns.of(Asked)
_CURSOR = Columns.of(Life, next_offset="bigint", digest="text")
# All of a batch in one statement, so in one round trip and whole or not at all. Cursors are locked in one order, then
# read: what another reader kept meanwhile counts. They move by what was read of them, so never before it was read, and
# last: the part that moves them joins what was read before.
# Marks that lie where a message lay are named as any record is. They are folded once: those below the cursor, or that
# their day had before the topic was read again, are passed over. Another day's lie where that one's were lost.
# A flow keeps the time at which its origin was first read to have decided it: that is its place for all its parties,
# those too to whom an agency has passed it on.
# Where a topic is read again, the entry before is not known: none is named. Numbers belong to the instance that was
# first to count there; another changes nothing of them. Of a pair with 128 epochs by one instance (`EPOCHS_MAX`) one
# more is known when a number of it comes, not by its sender's word alone, and with 256 not even then. Of one numbering
# 1000 spans are kept apart: what lies behind them counts when it comes again.
_APPEND = Statement(
    """
WITH head AS MATERIALIZED (
    SELECT c.topic, c.generation, c.partition, c.next_offset, c.digest
    FROM cursor AS c
    WHERE (c.topic, c.generation, c.partition) IN (SELECT topic, generation, partition FROM {cursors})
    ORDER BY c.topic, c.generation, c.partition FOR UPDATE
), new_entry AS (
    INSERT INTO entry ({entries.names}, previous_offset)
    SELECT {entries.values},
           coalesce(before.previous_offset, CASE WHEN head.digest IS NOT NULL THEN head.next_offset - 1 END)
    FROM {entries.ordered} JOIN {before.ordered} USING (position)
         LEFT JOIN head USING (topic, generation, partition)
    ON CONFLICT DO NOTHING
    RETURNING topic, generation, partition, "offset", broker_time, digest
), new_conflict AS (
    INSERT INTO entry (topic, generation, partition, "offset", broker_time, kind, digest, verified, problem, detail)
    SELECT topic, generation, partition, "offset", n.broker_time, 'conflict',
           encode(sha256(convert_to(e.digest || n.digest, 'UTF8')), 'hex'), false, 'place_taken',
           jsonb_build_object('kept', e.digest, 'found', n.digest)
    FROM (SELECT * FROM new_entry
          UNION ALL SELECT topic, generation, partition, "offset", broker_time, digest FROM {marks}) AS n
         JOIN entry AS e USING (topic, generation, partition, "offset")
    WHERE e.digest <> n.digest AND e.kind NOT IN ('loss', 'conflict')
    ON CONFLICT DO NOTHING
), new_folded AS (
    INSERT INTO folded_mark AS f (topic, generation, partition, day, first_offset, last_offset, count, digests)
    SELECT topic, generation, partition, (broker_time AT TIME ZONE 'UTC')::date, min("offset"), max("offset"),
           count(*), sum(('x' || left(marks.digest, 15))::bit(60)::bigint)
    FROM {marks} LEFT JOIN head USING (topic, generation, partition)
    WHERE "offset" >= coalesce(head.next_offset, 0) AND "offset" > coalesce((
        SELECT max(last_offset) FROM folded_mark AS f
        WHERE (f.topic, f.generation, f.partition) = (marks.topic, marks.generation, marks.partition)
          AND f.day = (marks.broker_time AT TIME ZONE 'UTC')::date), -1)
    GROUP BY topic, generation, partition, 4
    ON CONFLICT (topic, generation, partition, day) DO UPDATE SET last_offset = excluded.last_offset,
        count = f.count + excluded.count, digests = f.digests + excluded.digests
), new_link AS (
    INSERT INTO link ({links.names}) SELECT {links.values} FROM {links} ON CONFLICT DO NOTHING
), decided AS MATERIALIZED (
    SELECT subject::uuid AS referral_id, coalesce(detail::jsonb->>'origin', '') AS origin, exercise,
           min(broker_time) AS decided_at
    FROM {entries}
    WHERE kind = 'decision' AND exercise IS NOT NULL AND subject ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'
    GROUP BY 1, 2, 3
), passed AS MATERIALIZED (
    SELECT subject::uuid AS referral_id, recipient FROM {entries}
    WHERE type = 'causeway.referral_passed_on.v1' AND verified
      AND subject ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'
), new_flow_party AS (
    INSERT INTO flow_party (party, exercise, decided_at, referral_id, origin)
    SELECT DISTINCT p.party, d.exercise, coalesce(known.decided_at, d.decided_at), d.referral_id, d.origin
    FROM decided AS d
         JOIN (SELECT referral_id, origin, origin AS party FROM decided
               UNION SELECT referral_id, origin, recipient FROM {links}
               UNION SELECT referral_id, origin, passed.recipient FROM decided JOIN passed USING (referral_id)
               UNION SELECT referral_id, origin, e.recipient
               FROM decided JOIN entry AS e ON e.subject = referral_id::text
               WHERE e.type = 'causeway.referral_passed_on.v1' AND e.verified
         ) AS p USING (referral_id, origin)
         LEFT JOIN flow_party AS known ON (known.referral_id, known.origin, known.party)
                                        = (d.referral_id, d.origin, d.origin)
    UNION SELECT passed.recipient, k.exercise, k.decided_at, k.referral_id, k.origin
    FROM passed JOIN flow_party AS k ON k.referral_id = passed.referral_id AND k.party = k.origin
    ON CONFLICT DO NOTHING
), new_receipted AS (
    INSERT INTO receipted ({receipts.names}) SELECT {receipts.values} FROM {receipts} ON CONFLICT DO NOTHING
), new_numbers AS (
    INSERT INTO pair_taken AS t (sender, recipient, epoch, instance, topic, taken, gone, known)
    SELECT DISTINCT ON (sender, recipient, epoch) sender, recipient, epoch, instance, max(numbers.topic),
           coalesce(range_agg(int8range(first, last, '[]')) FILTER (WHERE what = 'taken'), '{{}}'),
           coalesce(range_agg(int8range(first, last, '[]')) FILTER (WHERE what = 'gone'), '{{}}'),
           max(last)
    FROM {numbers} LEFT JOIN LATERAL (
        SELECT true AS is_there FROM pair_taken AS p
        WHERE (p.sender, p.recipient, p.epoch, p.instance)
            = (numbers.sender, numbers.recipient, numbers.epoch, numbers.instance) OFFSET 0
    ) AS known ON true
    WHERE known.is_there OR numbers.own AND CASE what WHEN 'taken' THEN 256 ELSE 128 END > (
        SELECT count(*) FROM pair_taken AS o
        WHERE (o.sender, o.recipient, o.instance) = (numbers.sender, numbers.recipient, numbers.instance))
    GROUP BY sender, recipient, epoch, instance ORDER BY sender, recipient, epoch, instance
    ON CONFLICT (sender, recipient, epoch) DO UPDATE
    SET topic = greatest(t.topic, excluded.topic), known = greatest(t.known, excluded.known), changed_at = now(),
        taken = (SELECT coalesce(range_agg(r), '{{}}')
                 FROM (SELECT r FROM unnest(t.taken + excluded.taken) AS r LIMIT 1000) AS kept),
        gone = (SELECT coalesce(range_agg(r), '{{}}')
                FROM (SELECT r FROM unnest(t.gone + excluded.gone) AS r LIMIT 1000) AS kept)
    WHERE t.instance = excluded.instance
      AND (NOT t.taken @> excluded.taken OR NOT t.gone @> excluded.gone OR t.known < excluded.known)
), new_question AS (
    INSERT INTO telling (instance, asked) SELECT {asked.values} FROM {asked}
    ON CONFLICT (instance) DO UPDATE SET asked = excluded.asked
)
INSERT INTO cursor (topic, generation, partition, next_offset, digest)
SELECT topic, generation, partition, greatest(cursors.next_offset, head.next_offset), cursors.digest
FROM {cursors} LEFT JOIN head USING (topic, generation, partition)
ON CONFLICT (topic, generation, partition)
DO UPDATE SET next_offset = excluded.next_offset, digest = excluded.digest
WHERE cursor.next_offset < excluded.next_offset
""",
    entries=_ENTRY,
    before=_BEFORE,
    marks=_MARKS,
    links=_LINK,
    receipts=_RECEIPTED,
    numbers=_NUMBERS,
    asked=_ASKED,
    cursors=_CURSOR,
)
_BEGIN = Statement(
    """
WITH new_loss AS (
    INSERT INTO entry ({losses.names}) SELECT {losses.values} FROM {losses} ON CONFLICT DO NOTHING
)
INSERT INTO cursor ({cursors.names}) SELECT {cursors.values} FROM {cursors}
ON CONFLICT (topic, generation, partition)
DO UPDATE SET next_offset = excluded.next_offset, digest = excluded.digest
""",
    losses=_ENTRY,
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
     scoped AS (
         SELECT d.*, $3::text[] IS NULL OR coalesce(d.sender = ANY($3), false) OR coalesce(d.recipient = ANY($3), false)
             OR coalesce(d.detail->>'origin' = ANY($3), false) OR coalesce(d.detail->>'party' = ANY($3), false) AS seen
         FROM direct AS d
     ),
     places AS (SELECT message_id::text AS message_id, topic, bool_or(seen) AS seen FROM scoped GROUP BY 1, 2),
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
               WHERE e.kind = 'parked' AND e.detail->>'topic' = p.topic
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
_GENERATIONS = "SELECT generation FROM cursor WHERE topic = $1 GROUP BY generation ORDER BY min(begun_at), generation"
_PROOF = """
SELECT key_id, batch_root, batch_signature, batch_index, batch_size, batch_path FROM entry
WHERE topic = $1 AND generation = $2 AND partition = $3 AND "offset" = $4 AND digest = $5 AND batch_root IS NOT NULL
"""
# Receipts, what nobody can read, and what is lost belong to neither world and name no referral.
_PAGE = """
SELECT *, NULL AS rules, NULL AS outcome, NULL AS code, NULL AS committed FROM entry
WHERE topic = $1 AND generation = $2 AND partition = $3 AND "offset" >= $4
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
            Life(row["topic"], row["generation"], row["partition"]): Cursor(row["next_offset"], row["digest"])
            for row in rows
        }

    async def append(self, read: Read, cursors: Mapping[Life, Cursor]) -> None:
        kept = [not is_folded(each) for each in read.entries]
        entries = list(compress(read.entries, kept))
        before = list(compress(_previous_offsets(read.entries), kept))
        asked = {each.instance: each for each in read.asked}
        bound = _APPEND.bind(
            entries=_ENTRY.rows(entries),
            marks=_MARKS.rows([each for each in read.entries if is_folded(each)]),
            before=_BEFORE.rows(before, previous_offset=before),
            links=_LINK.rows(read.links),
            receipts=_RECEIPTED.rows(read.receipted),
            numbers=_NUMBERS.rows(read.numbers),
            asked=_ASKED.rows(list(asked.values())),
            cursors=_cursors(cursors),
        )
        async with self._database.transaction(keeps_plans=True) as session:
            await session.driver.execute(*bound)

    async def begin(self, losses: Sequence[Entry], cursors: Mapping[Life, Cursor]) -> None:
        async with self._database.transaction() as session:
            await session.driver.execute(*_BEGIN.bind(losses=_ENTRY.rows(losses), cursors=_cursors(cursors)))

    async def flow(self, referral_id: UUID, *, exercise: bool, parties: frozenset[str] | None = None) -> FlowRead:
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_FLOW, referral_id, exercise, _listed(parties))
        kept = [_kept(position, row) for position, row in enumerate(rows, start=1)]
        return FlowRead(kept, frozenset(each.position for each, row in zip(kept, rows, strict=True) if row["seen"]))

    async def proof(self, place: Place) -> KeptProof | None:
        where = place.topic, place.generation, place.partition, place.offset, place.digest
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

    async def generations(self, topic: str) -> list[UUID]:
        async with self._database.transaction() as session:
            return [row["generation"] for row in await session.driver.fetch(_GENERATIONS, topic)]

    async def page(
        self,
        place: Partition,
        generation: UUID,
        *,
        exercise: bool,
        limit: int,
        parties: frozenset[str] | None = None,
    ) -> list[KeptEntry]:
        where = (place.topic, generation, place.partition, place.from_offset)
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_PAGE, *where, exercise, limit, _listed(parties))
        return [_kept(position, row) for position, row in enumerate(rows, start=1)]


def _listed(parties: frozenset[str] | None) -> list[str] | None:
    return None if parties is None else sorted(parties)


def _cursors(cursors: Mapping[Life, Cursor]) -> Bound[Life]:
    heads = cursors.values()
    return _CURSOR.rows(
        list(cursors), next_offset=[each.next_offset for each in heads], digest=[each.digest for each in heads]
    )


def _previous_offsets(entries: Sequence[Entry]) -> list[int | None]:
    """Of each entry the offset before it in its partition, None for the first here: that one's the cursor knows."""
    last: dict[Life, int] = {}
    previous: list[int | None] = []
    for each in entries:
        place = Life(each.topic, each.generation, each.partition)
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
