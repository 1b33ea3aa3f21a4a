"""What a batch that was read becomes: entries, what is counted instead, how far it was read. Whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

from services.audit.domain.entries import MARKED, Asked, Entry, Link, Numbers, Read, Receipted, folded_as
from services.audit.domain.partitions import Cursor, Life
from shared.runtime.database.columns import Bound, Columns, Statement
from shared.runtime.database.transactions import Session

_ENTRY = Columns.of(Entry, detail="jsonb")
_FOLDED = Columns.of(
    Entry,
    without=[
        name
        for name in Entry._fields
        if name not in ("topic", "topic_id", "partition", "offset", "broker_time", "digest")
    ],
    reason="text",
)
_BEFORE = Columns[int | None]({"previous_offset": "bigint", "reason": "text"})
_LINK = Columns.of(Link)
_RECEIPTED = Columns.of(Receipted)
_NUMBERS = Columns.of(Numbers)
_ASKED = Columns.of(Asked)
_CURSOR = Columns.of(Life, next_offset="bigint", digest="text")
# All of a batch in one statement, so in one round trip and whole or not at all. Cursors are locked in one order, then
# read: what another reader kept meanwhile counts. They move by what was read of them, so never before it was read, and
# last: the part that moves them joins what was read before.
# What is folded and lies where a message lay is named as any record is. It is counted once: what lies below the cursor,
# what its day had before the topic was read again, and what has an entry since it was judged otherwise is passed over.
# Another day's lie where that one's were lost. Of what is nobody's the first that is counted has an entry, too.
# A flow keeps the time at which its origin was first read to have decided it: that is its place for all its parties,
# those too to whom an agency has passed it on.
# Where a topic is read again, the entry before is not known: none is named. Numbers belong to the instance that was
# first to count there; another changes nothing of them. Of a pair with 128 epochs by one instance (`EPOCHS_MAX`) one
# more is known when a number of it comes, not by its sender's word alone, and with 256 not even then. Of one numbering
# 1000 spans are kept apart: what lies behind them counts when it comes again.
_APPEND = Statement(
    """
WITH head AS MATERIALIZED (
    SELECT c.topic, c.topic_id, c.partition, c.next_offset, c.digest
    FROM cursor AS c
    WHERE (c.topic, c.topic_id, c.partition) IN (SELECT topic, topic_id, partition FROM {cursors})
    ORDER BY c.topic, c.topic_id, c.partition FOR UPDATE
), fresh AS MATERIALIZED (
    SELECT topic, topic_id, partition, (broker_time AT TIME ZONE 'UTC')::date AS day, reason, "offset", broker_time,
           folded.digest
    FROM {folded} LEFT JOIN head USING (topic, topic_id, partition)
    WHERE "offset" >= coalesce(head.next_offset, 0) AND "offset" > coalesce((
        SELECT max(last_offset) FROM folded_record AS f
        WHERE (f.topic, f.topic_id, f.partition) = (folded.topic, folded.topic_id, folded.partition)
          AND f.day = (folded.broker_time AT TIME ZONE 'UTC')::date), -1)
      AND NOT EXISTS (
        SELECT FROM entry AS e
        WHERE (e.topic, e.topic_id, e.partition) = (folded.topic, folded.topic_id, folded.partition)
          AND e."offset" = folded."offset" AND e.digest = folded.digest)
), firsts AS (
    SELECT topic, topic_id, partition, min("offset") AS "offset" FROM fresh
    WHERE NOT EXISTS (
        SELECT FROM folded_record AS f
        WHERE (f.topic, f.topic_id, f.partition) = (fresh.topic, fresh.topic_id, fresh.partition)
          AND (f.day, f.reason) = (fresh.day, fresh.reason))
    GROUP BY topic, topic_id, partition, day, reason
), new_entry AS (
    INSERT INTO entry ({entries.names}, previous_offset)
    SELECT {entries.values},
           coalesce(before.previous_offset, CASE WHEN head.digest IS NOT NULL THEN head.next_offset - 1 END)
    FROM {entries.ordered} JOIN {before.ordered} USING (position)
         LEFT JOIN head USING (topic, topic_id, partition)
    WHERE before.reason IS NULL OR (topic, topic_id, partition, "offset") IN (TABLE firsts)
    ON CONFLICT DO NOTHING
    RETURNING topic, topic_id, partition, "offset", broker_time, digest
), new_conflict AS (
    INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, problem, detail)
    SELECT topic, topic_id, partition, "offset", n.broker_time, 'conflict',
           encode(sha256(convert_to(e.digest || n.digest, 'UTF8')), 'hex'), false, 'place_taken',
           jsonb_build_object('kept', e.digest, 'found', n.digest)
    FROM (SELECT * FROM new_entry
          UNION ALL SELECT topic, topic_id, partition, "offset", broker_time, digest FROM {folded}) AS n
         JOIN entry AS e USING (topic, topic_id, partition, "offset")
    WHERE e.digest <> n.digest AND e.kind NOT IN ('loss', 'conflict')
    ON CONFLICT DO NOTHING
), new_folded AS (
    INSERT INTO folded_record AS f (topic, topic_id, partition, day, reason, first_offset, last_offset, first_at,
                                    last_at, first_digest, count, digests)
    SELECT topic, topic_id, partition, day, reason, min("offset"), max("offset"), min(broker_time), max(broker_time),
           (array_agg(digest ORDER BY "offset"))[1], count(*), sum(('x' || left(digest, 15))::bit(60)::bigint)
    FROM fresh GROUP BY topic, topic_id, partition, day, reason
    ON CONFLICT (topic, topic_id, partition, day, reason) DO UPDATE SET last_offset = excluded.last_offset,
        last_at = excluded.last_at, count = f.count + excluded.count, digests = f.digests + excluded.digests
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
    WHERE starts_with(type, 'causeway.referral_passed_on.v') AND verified
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
               WHERE starts_with(e.type, 'causeway.referral_passed_on.v') AND e.verified
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
INSERT INTO cursor (topic, topic_id, partition, next_offset, digest)
SELECT topic, topic_id, partition, greatest(cursors.next_offset, head.next_offset), cursors.digest
FROM {cursors} LEFT JOIN head USING (topic, topic_id, partition)
ON CONFLICT (topic, topic_id, partition)
DO UPDATE SET next_offset = excluded.next_offset, digest = excluded.digest
WHERE cursor.next_offset < excluded.next_offset
""",
    entries=_ENTRY,
    before=_BEFORE,
    folded=_FOLDED,
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
ON CONFLICT (topic, topic_id, partition)
DO UPDATE SET next_offset = excluded.next_offset, digest = excluded.digest
""",
    losses=_ENTRY,
    cursors=_CURSOR,
)


async def append(session: Session, read: Read, cursors: Mapping[Life, Cursor]) -> None:
    """See `Entries.append`."""
    reasons = [folded_as(each) for each in read.entries]
    kept = [reason != MARKED for reason in reasons]
    before = list(compress(_previous_offsets(read.entries), kept))
    folded = [reason is not None for reason in reasons]
    asked = {each.instance: each for each in read.asked}
    bound = _APPEND.bind(
        entries=_ENTRY.rows(list(compress(read.entries, kept))),
        before=_BEFORE.rows(before, previous_offset=before, reason=list(compress(reasons, kept))),
        folded=_FOLDED.rows(list(compress(read.entries, folded)), reason=list(compress(reasons, folded))),
        links=_LINK.rows(read.links),
        receipts=_RECEIPTED.rows(read.receipted),
        numbers=_NUMBERS.rows(read.numbers),
        asked=_ASKED.rows(list(asked.values())),
        cursors=_cursors(cursors),
    )
    await session.driver.execute(*bound)


async def begin(session: Session, losses: Sequence[Entry], cursors: Mapping[Life, Cursor]) -> None:
    """See `Entries.begin`."""
    await session.driver.execute(*_BEGIN.bind(losses=_ENTRY.rows(losses), cursors=_cursors(cursors)))


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
        place = Life(each.topic, each.topic_id, each.partition)
        previous.append(last.get(place))
        last[place] = each.offset
    return previous
