"""What each side has written down, as the accounts read it: the one place that knows the tables.

Whoever changes a table of delivery changes these texts, and nothing else of the accounts. Each gives rows of one shape,
in the order in which they are compared; `$1` is the first message id to read: ids are in the order of the days.
"""

from __future__ import annotations

from typing import Final

#: How far each pair was numbered, and whether its epoch has ended.
COUNTERS: Final = """
SELECT sender, recipient, epoch, last, system_id = 0 AS closed FROM pair_sequence
UNION ALL SELECT sender, recipient, epoch, last, true FROM closed_epoch
"""
#: What a sender holds and what has no last fate yet. What nobody receipts has none before it is settled.
OUTBOX: Final = """
SELECT sender, recipient, epoch, sequence, message_id, digest, type, NULL AS outcome, '' AS place FROM outbox
WHERE (NOT done OR outcome IS NULL) AND message_id >= $1
ORDER BY sender COLLATE "C", recipient COLLATE "C", epoch, sequence, message_id
"""
#: What a sender was told of, its last outcome; of what nobody receipts, that audit has it.
SETTLED: Final = """
SELECT sender, recipient, epoch, sequence, message_id, digest, type, outcome, '' AS place FROM (
    SELECT sender, recipient, epoch, sequence, message_id, digest, type, outcome FROM settled
    UNION ALL
    SELECT sender, recipient, epoch, sequence, message_id, digest, type, outcome FROM outbox WHERE outcome IS NOT NULL
) AS told WHERE message_id >= $1
ORDER BY sender COLLATE "C", recipient COLLATE "C", epoch, sequence, message_id
"""
#: What a recipient has taken.
INBOX: Final = """
SELECT sender, recipient, epoch, sequence, message_id, digest, type, outcome, '' AS place FROM inbox
WHERE message_id >= $1
ORDER BY sender COLLATE "C", recipient COLLATE "C", epoch, sequence, message_id
"""
#: The numbers of a book whose rows are kept no longer, and what their digests add up to (`deploy.operator.compaction`).
COMPACTED: Final = """
SELECT book, sender, recipient, epoch, digests::text AS digests,
       ARRAY(SELECT ARRAY[lower(r), upper(r) - 1] FROM unnest(numbers) AS r) AS spans
FROM compacted
"""
#: What audit has read with a number; `outcome` is the kind of the entry.
AUDITED: Final = """
SELECT sender, recipient, epoch, sequence, message_id, digest, type, kind AS outcome,
       topic || '/' || partition || '/' || "offset" AS place
FROM entry
WHERE verified AND sequence > 0 AND message_id >= $1
ORDER BY sender COLLATE "C", recipient COLLATE "C", epoch, sequence, message_id
"""
#: The oldest message of which more will be said.
OLDEST_OPEN: Final = "SELECT message_id FROM outbox WHERE NOT done ORDER BY message_id LIMIT 1"
#: Numbers that nobody holds any more, by their sender's own word.
GONE: Final = """
SELECT sender, recipient, epoch, lower(r) AS first, upper(r) - 1 AS last FROM pair_taken, unnest(gone) AS r
"""
#: Where an epoch has ended, by the first message of the one behind it or by a fact.
ENDS: Final = """
SELECT sender, recipient, previous_epoch AS epoch, previous_last AS last FROM entry
WHERE previous_epoch IS NOT NULL AND previous_last IS NOT NULL AND verified
UNION
SELECT detail->>'sender', detail->>'recipient', (detail->>'previous')::uuid, (detail->>'previous_last')::bigint
FROM entry WHERE kind = 'epoch' AND jsonb_typeof(detail->'previous_last') = 'number'
"""
#: The edges of an origin, by the message that carries them; and what carried one to where its recipient was before.
EDGES: Final = """
SELECT message_id, NULL::text AS type, state, edge_id, party FROM edge WHERE message_id >= $1
UNION ALL SELECT before.id, NULL, 'moved', NULL, party FROM edge, unnest(messages_before) AS before (id)
WHERE before.id >= $1
ORDER BY message_id
"""
#: Edges that no message carries, by their state: those that wait, those that were given up or replaced meanwhile.
UNSENT: Final = """
SELECT state, count(*) AS n, min(edge_id::text)::uuid AS example FROM edge WHERE message_id IS NULL GROUP BY state
"""
#: The messages that carry an edge ($2: their types), as their sender has them.
CARRIERS: Final = """
SELECT message_id, type, NULL::text AS state, NULL::uuid AS edge_id, NULL::text AS party FROM (
    SELECT message_id, type FROM outbox UNION ALL SELECT message_id, type FROM settled
) AS emitted WHERE type = ANY ($2) AND message_id >= $1 ORDER BY message_id
"""
#: The same as audit has read them.
AUDITED_CARRIERS: Final = """
SELECT DISTINCT message_id, type, NULL::text AS state, edge_id, NULL::text AS party FROM entry
WHERE type = ANY ($2) AND verified AND kind <> 'not_entitled' AND message_id >= $1 ORDER BY message_id
"""
LINKS: Final = "SELECT edge_id, origin FROM link WHERE edge_id = ANY ($1)"
#: Decisions that their facts do not lead to, and messages that commit to another edge than audit was told of.
UNDERIVED: Final = """
SELECT topic, partition, "offset" FROM entry
WHERE problem = 'decision_not_derived' AND kind = 'decision' AND message_id >= $1
UNION
SELECT e.topic, e.partition, e."offset" FROM entry AS e
JOIN link AS l ON l.edge_id = e.edge_id AND l.origin = e.sender AND l.recipient = e.recipient
WHERE e.message_id >= $1
GROUP BY e.topic, e.topic_id, e.partition, e."offset" HAVING NOT bool_or(e.commitment = l.commitment)
"""
#: Entries that no reading can have made: verified without a number or a life that audit never read.
IMPOSSIBLE: Final = """
SELECT e.topic, e.partition, e."offset", e.message_id FROM entry AS e
WHERE (e.verified AND (e.sequence IS NULL OR e.epoch IS NULL OR e.message_id IS NULL))
   OR NOT EXISTS (SELECT FROM cursor AS c
                  WHERE c.topic = e.topic AND c.topic_id = e.topic_id AND c.partition = e.partition)
ORDER BY 1, 2, 3 LIMIT 1000
"""
#: What audit says of its own reading, and what nobody was entitled to say: no difference, and worth a look.
SAID: Final = """
SELECT topic, partition, "offset", kind, sender, type, problem FROM entry
WHERE kind IN ('loss', 'conflict', 'not_entitled') ORDER BY 1, 2, 3 LIMIT 1000
"""
#: What audit was of too early a release to read: no difference, and worth a look.
UNREAD: Final = """
SELECT topic, partition, type, problem, count(*) AS count, min("offset") AS first, max("offset") AS last FROM entry
WHERE problem IN ('code_unknown', 'engine_unknown', 'type_unknown', 'version_unknown')
GROUP BY topic, topic_id, partition, type, problem ORDER BY 1, 2, 3, 4 LIMIT 1000
"""
INTAKE: Final = "SELECT party, fate, count FROM intake_count"
REFERRALS: Final = "SELECT party, disposition, count(*) AS n FROM referral GROUP BY party, disposition"
#: A referral that was decided again is stated again: it is counted once, as it was decided first, by its own origin.
#: What somebody states who does not serve that origin is of another kind, and not counted at all.
DECIDED: Final = """
SELECT origin, disposition, count(*) AS n FROM (
    SELECT DISTINCT ON (detail->>'origin', detail->>'referral_id') detail->>'origin' AS origin,
           detail->>'disposition' AS disposition
    FROM entry WHERE kind = 'decision' AND detail ? 'origin'
    ORDER BY detail->>'origin', detail->>'referral_id', sequence
) AS first GROUP BY origin, disposition
"""
REFUSED: Final = """
SELECT detail->>'origin' AS origin, count(DISTINCT message_id) AS n FROM entry WHERE kind = 'refusal' GROUP BY 1
"""
#: What audit could not read of what instances state of their parties' filings: to which referrals it was about, and
#: whether one of their decisions was read. A refusal is about none.
UNREAD_FILINGS: Final = r"""
SELECT sender, type LIKE 'causeway.referral\_refused.%' AS refused, subject, bool_or(EXISTS (
    SELECT FROM entry AS d WHERE d.subject = e.subject AND d.kind = 'decision' AND d.detail ? 'origin')) AS told,
    count(DISTINCT message_id) AS n
FROM entry AS e
WHERE problem IN ('code_unknown', 'engine_unknown', 'type_unknown', 'version_unknown')
  AND type SIMILAR TO 'causeway.referral\_(decided|refused).%' AND NOT coalesce(detail ? 'origin', false)
  AND subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
GROUP BY sender, type, subject
"""
#: Which of an origin's referrals ($1) it has, by what became of them; which of its edges ($1) are of such ($2).
REFERRALS_OF: Final = """
SELECT party, disposition, count(*) AS n FROM referral WHERE referral_id = ANY ($1) GROUP BY party, disposition
"""
EDGES_OF: Final = "SELECT edge_id, party FROM edge WHERE edge_id = ANY ($1) AND referral_id = ANY ($2)"
#: What audit keeps of one life of a topic, from an offset on.
ENTRIES: Final = """
SELECT * FROM entry WHERE topic = $1 AND topic_id = $2 AND partition = $3 AND "offset" >= $4
ORDER BY "offset", digest
"""
#: What audit counts of one life of a topic, by day, whatever the reason.
FOLDED: Final = """
SELECT day, min(first_offset) AS first_offset, sum(count)::bigint AS count, sum(digests)::text AS digests
FROM folded_record WHERE topic = $1 AND topic_id = $2 AND partition = $3 GROUP BY day
"""
#: Up to which offset, not included, audit has read it.
READ_TO: Final = """
SELECT coalesce(max(next_offset), 0) AS next_offset FROM cursor WHERE topic = $1 AND topic_id = $2 AND partition = $3
"""
#: What was nobody's, and had no entry each time: no difference, and worth a look.
NOBODYS: Final = """
SELECT topic, partition, reason, sum(count)::bigint AS count, min(first_offset) AS first, max(last_offset) AS last
FROM folded_record WHERE reason <> 'marks' GROUP BY topic, topic_id, partition, reason ORDER BY 1, 2, 3 LIMIT 1000
"""
#: As `Receipted` has it.
RECEIPTED: Final = """
SELECT message_id, receipt_id, position, by, digest, outcome, code, edge_id, revision, topic_id, "offset", broker_time
FROM receipted WHERE receipt_id = ANY ($1)
"""
STATED_LINKS: Final = """
SELECT edge_id, referral_id, origin, recipient, purpose, rules, commitment FROM link WHERE edge_id = ANY ($1)
"""
DOCUMENTS: Final = "SELECT body FROM document ORDER BY active_from"
TOPICS: Final = """
SELECT p.topic, p.partition, p.state, p.since, c.next_offset,
       (SELECT count(*) FROM entry AS e
        WHERE e.kind = 'loss' AND e.topic = p.topic AND e.partition = p.partition) AS losses,
       (SELECT coalesce(sum(upper(r) - lower(r)), 0)
        FROM pair_taken AS t, unnest(int8multirange(int8range(1, t.known + 1)) - (t.taken + t.gone)) AS r
        WHERE t.open AND t.topic = p.topic)::bigint AS holes
FROM partition_state AS p LEFT JOIN LATERAL (
    SELECT next_offset FROM cursor WHERE cursor.topic = p.topic AND cursor.partition = p.partition
    ORDER BY begun_at DESC LIMIT 1
) AS c ON true
ORDER BY p.state = 'reading', p.topic, p.partition
"""
