"""The queries of reconciliation: the only place in `deploy.accounting` that names tables.

The accountant of a party's instance reads columns of messaging (shared/messaging/schema.sql) and counts of referrals
and edges; that of audit reads audit's log.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic_core import from_json

from services.audit.store.entries import open_detail

#: Own streams; received streams, also of former incarnations; exceptions on both sides.
SENT: Final = "SELECT peer, incarnation, lane, last AS numbered, chain, acked AS taken FROM stream"
TAKEN: Final = "SELECT writer, addressee, incarnation, lane, taken, chain FROM receive_account"
HELD: Final = "SELECT writer, incarnation, lane, number, message_id, outcome FROM exception"
TOLD_OPEN: Final = "SELECT peer, message_id, outcome FROM outcome_open"
#: Answers that a peer holds and a restored database does not, until a person closes their line.
FORGOTTEN: Final = "SELECT peer, subject, act FROM operator_line WHERE kind = 'act' AND closed_at IS NULL"
#: The streams that audit's log names: one index look-up for each.
AUDITED_STREAMS: Final = """
WITH RECURSIVE stream AS (
    (SELECT writer, addressee, incarnation, lane FROM entry WHERE number IS NOT NULL ORDER BY 1, 2, 3, 4 LIMIT 1)
    UNION ALL
    SELECT following.* FROM stream CROSS JOIN LATERAL (
        SELECT e.writer, e.addressee, e.incarnation, e.lane FROM entry AS e
        WHERE e.number IS NOT NULL AND (e.writer, e.addressee, e.incarnation, e.lane)
              > (stream.writer, stream.addressee, stream.incarnation, stream.lane)
        ORDER BY 1, 2, 3, 4 LIMIT 1
    ) AS following
)
SELECT writer, addressee, incarnation, lane FROM stream
"""
#: The numbered messages of one stream above a number ($5), each with the last outcome that its addressee reported.
_LAST_OUTCOME: Final = """LEFT JOIN LATERAL (
    SELECT o.outcome FROM outcome AS o
    WHERE o.message_id = e.message_id AND o.writer = e.writer AND o.reported_by = e.addressee
    ORDER BY o.reported_at DESC, o.number DESC, o.position DESC LIMIT 1
) AS last ON true"""
AUDITED: Final = f"""
SELECT e.number, e.digest, e.chain, e.message_id, coalesce(e.sender, ''), coalesce(e.recipient, ''),
       e.topic || '/' || e.partition || '/' || e."offset", last.outcome, coalesce(e.type, ''), e.subject, e.act
FROM entry AS e {_LAST_OUTCOME}
WHERE (e.writer, e.addressee, e.incarnation, e.lane) = ($1, $2, $3, $4::smallint) AND e.number > $5
ORDER BY e.number
"""  # noqa: S608 - our own constant
#: The acts ($2: and withdrawals) that audit's messages on these subjects ($1) state, with their places and outcomes.
STATED_ACTS: Final = f"""
SELECT e.type, e.subject, e.sender, e.recipient, e.act, e.message_id, last.outcome, e.number, e.writer, e.addressee,
       e.incarnation, e.lane
FROM entry AS e {_LAST_OUTCOME}
WHERE e.subject = ANY ($1::text[]) AND e.number IS NOT NULL AND e.verified AND (e.act IS NOT NULL OR e.type = ANY ($2))
"""  # noqa: S608 - our own constant
#: The tracks with a peer ($1) of these sides and keys; a page of the tracks of one side ($2) behind a key ($3).
_TRACK: Final = "side, track, subject, owner, recipient, track_acts, is_withdrawn, is_erased"
TRACKS: Final = f"""
SELECT t.* FROM unnest($2::smallint[], $3::uuid[]) AS key (side, track) CROSS JOIN LATERAL (
    SELECT {_TRACK} FROM track AS t WHERE (t.peer, t.side, t.track) = ($1, key.side, key.track) OFFSET 0
) AS t
"""  # noqa: S608 - our own constant
TRACK_PAGE: Final = f"""
SELECT {_TRACK} FROM track WHERE peer = $1 AND side = $2 AND track > $3 ORDER BY track LIMIT $4
"""  # noqa: S608 - our own constant
#: Lost acts on these tracks of a peer by the operator's list: answers (open lines are differences by themselves), and
#: subjects whose line a person has closed.
LOST_LINES: Final = """
SELECT subject, act FROM operator_line
WHERE peer = $1 AND subject = ANY ($2::uuid[]) AND (kind = 'act' OR kind = 'unknown' AND closed_at IS NOT NULL)
"""
#: The results of these applied answers at their origin, by subject, sender and act. The answer is null if two instances
#: of a moved recipient have answered at once: the later of them leaves the answer as it is.
ANSWERS: Final = """
SELECT a.subject, a.sender, a.act, CASE WHEN NOT EXISTS (
    SELECT FROM answer_act AS o WHERE (o.subject, o.sender) = (a.subject, a.sender) AND o.number IS NOT NULL
    GROUP BY o.number HAVING count(*) > 1) THEN a.answer END AS answer
FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS said (subject, sender, act)
JOIN answer_act AS a USING (subject, sender, act) WHERE a.code IS NULL
"""
#: The items of these subjects, and their present edges to an instance ($2), each with the results of acts on it.
ITEMS: Final = """
SELECT subject, party, sender, kind, state, act_count, (
    SELECT jsonb_object_agg(held.edge_id, held.revision) FROM (
        SELECT edge_id, max(revision) AS revision FROM (
            SELECT t.edge_id, t.edge_revision AS revision
            UNION ALL SELECT f.edge_id, f.revision FROM received_edge AS f
            WHERE f.subject = t.subject AND f.party = t.party AND f.edge_id IS NOT NULL
        ) AS edges GROUP BY edge_id) AS held) AS edges
FROM received AS t WHERE subject = ANY ($1)
"""
EDGE_STATES: Final = """
SELECT coalesce(e.notice_id, e.referral_id) AS subject, e.recipient, e.edge_id, e.revision, e.answer, e.acts, last.*
FROM edge AS e CROSS JOIN LATERAL (
    SELECT max(a.number) AS last_number, count(DISTINCT a.number) AS result_count,
           -- A recheck of the origin, which has no number, and a later revision can change the answer.
           CASE WHEN count(DISTINCT a.number) = count(*) AND e.revision = 1
                THEN (array_agg(a.answer ORDER BY a.number DESC))[1] END AS last_answer
    FROM answer_act AS a
    WHERE a.subject = coalesce(e.notice_id, e.referral_id) AND a.sender IN (e.party, e.recipient) AND a.code IS NULL
) AS last
WHERE (e.referral_id = ANY ($1) OR e.notice_id = ANY ($1)) AND e.state = 'emitted' AND e.instance = $2
"""
PRESERVATIONS: Final = "SELECT preservation_id, state FROM preservation WHERE preservation_id = ANY ($1)"
#: The edges of an origin, by the message that carries them, with its place; messages that carried one before.
#: `$1` is the first message id to read: ids are in the order of time.
EDGES: Final = """
SELECT message_id, NULL::text AS type, state, edge_id, party, instance, incarnation, lane, number FROM edge
WHERE message_id >= $1
UNION ALL SELECT before.id, NULL, 'moved', NULL, party, NULL, NULL, NULL, NULL
FROM edge, unnest(previous_message_ids) AS before (id) WHERE before.id >= $1
ORDER BY message_id
"""
#: Edges without a message, by their state.
UNSENT: Final = """
SELECT state, count(*) AS n, min(edge_id::text)::uuid AS example FROM edge WHERE message_id IS NULL GROUP BY state
"""
#: The messages that carry an edge ($2: their types), as audit has read them.
AUDITED_CARRIERS: Final = """
SELECT DISTINCT message_id, type, NULL::text AS state, edge_id, NULL::text AS party, NULL::text AS instance,
       NULL::uuid AS incarnation, NULL::smallint AS lane, NULL::bigint AS number
FROM entry WHERE type = ANY ($2) AND verified AND kind <> 'not_entitled' AND message_id >= $1 ORDER BY message_id
"""
#: Which of the edges ($1) their origins ($2) have stated to audit.
LINKS: Final = """
SELECT own.edge_id, own.origin FROM unnest($1::uuid[], $2::text[]) AS own (edge_id, origin)
WHERE EXISTS (
    SELECT FROM flow_edge AS l
    WHERE flow_edge_keys(l.origin, l.edge_ids) @> flow_edge_keys(own.origin, ARRAY[own.edge_id])
      AND l.edge_id = own.edge_id AND l.origin = own.origin)
"""
#: Decisions that cannot be derived from their facts, and messages whose commitment differs from the edge at audit.
UNDERIVED: Final = """
SELECT e.topic, e.partition, e."offset", d.referral_id::text AS subject
FROM decision AS d JOIN entry AS e USING (message_id, digest)
WHERE d.problem = 'decision_not_derived' AND d.message_id >= $1
UNION
SELECT e.topic, e.partition, e."offset", e.subject FROM entry AS e
JOIN flow_edge AS l ON flow_edge_keys(l.origin, l.edge_ids) @> flow_edge_keys(e.sender, ARRAY[e.edge_id])
    AND l.edge_id = e.edge_id AND l.origin = e.sender AND l.recipient = e.recipient
WHERE e.message_id >= $1
GROUP BY e.topic, e.topic_id, e.partition, e."offset", e.subject HAVING NOT bool_or(e.commitment = l.commitment)
"""
#: Entries that audit cannot have read: verified without a place, or of a topic that audit never had.
IMPOSSIBLE: Final = """
SELECT e.topic, e.partition, e."offset", e.message_id FROM entry AS e
WHERE (e.verified AND (e.number IS NULL OR e.message_id IS NULL))
   OR NOT EXISTS (SELECT FROM topic_life AS t WHERE t.topic = e.topic AND t.topic_id = e.topic_id)
ORDER BY 1, 2, 3 LIMIT 1000
"""
#: Losses of topics, conflicts, and statements of instances without the right to make them: notes, not differences.
NOTES_OF_ENTRIES: Final = """
SELECT topic || '/' || partition || '/' || "offset" || ': ' || CASE kind
           WHEN 'not_entitled' THEN coalesce(sender, 'None') || ' was not entitled to state ' || coalesce(type, 'None')
           ELSE kind || ' (' || problem || ')' END AS note FROM (
    SELECT topic, partition, "offset", kind, sender, type, problem FROM entry
    WHERE kind IN ('loss', 'conflict', 'not_entitled')
    UNION ALL
    SELECT e.topic, e.partition, e."offset", 'not_entitled', e.sender, e.type, d.problem
    FROM decision AS d JOIN entry AS e USING (message_id, digest) WHERE NOT d.entitled ORDER BY 1, 2, 3 LIMIT 1000
) AS odd
"""
#: Numbers that a recipient took and audit never had, in closed incarnations of the writer.
LOSSES: Final = """
SELECT writer, addressee, incarnation, lane, min(first) AS first, max(last) AS last FROM loss
WHERE known GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
#: Pairs whose recipient states that it left incarnations that their writer has not stated to audit.
UNKNOWN_ENDS: Final = "SELECT DISTINCT writer, addressee FROM loss WHERE NOT known ORDER BY 1, 2"
#: Messages of a later release than audit's, as notes.
NOTES_OF_UNREAD: Final = """
SELECT topic || '/' || partition || '/' || min("offset") || ' to ' || max("offset") || ': ' || count(*) || ' of '
       || type || ' that audit could not read (' || problem || ')' AS note
FROM entry WHERE problem IN ('code_unknown', 'engine_unknown', 'type_unknown', 'version_unknown')
GROUP BY topic, topic_id, partition, type, problem ORDER BY topic, partition, type, problem LIMIT 1000
"""
#: Records without a proven writer, as notes.
NOTES_OF_UNPROVEN: Final = """
SELECT topic || '/' || partition || '/' || min(first_offset) || ' to ' || max(last_offset) || ': ' || sum(count)
       || ' without a proven writer (' || reason || ')' AS note
FROM folded_record GROUP BY topic, topic_id, partition, reason ORDER BY topic, partition, reason LIMIT 1000
"""
INTAKE: Final = "SELECT party, submitted, accepted, refused FROM intake_count"
REFERRALS: Final = "SELECT party, disposition, count(*) AS n FROM referral GROUP BY party, disposition"
#: A referral that was decided again is stated again; only its first decision counts, by its own origin. An entry that
#: states a decision of another party's referral has another kind.
DECIDED: Final = """
SELECT origin, disposition, count(*) AS n FROM (
    SELECT DISTINCT ON (d.origin, d.referral_id) d.origin, d.disposition
    FROM decision AS d WHERE d.origin IS NOT NULL
    ORDER BY d.origin, d.referral_id, d.broker_time, d.message_id, d.ordinal
) AS first GROUP BY origin, disposition
"""
REFUSED: Final = """
SELECT detail->>'origin' AS origin, count(DISTINCT message_id) AS n FROM entry WHERE kind = 'refusal' GROUP BY 1
"""
#: Statements on submissions that audit could not read: their referrals, and whether audit read a decision of each. A
#: refusal names no referral.
UNREAD_FILINGS: Final = r"""
SELECT sender, refused, subject, bool_or(EXISTS (
    SELECT FROM decision AS d WHERE d.referral_id = subject::uuid AND d.origin IS NOT NULL)) AS told,
    count(DISTINCT message_id) AS n
FROM (
    SELECT e.sender, e.type LIKE 'causeway.referral\_refused.%' AS refused, e.message_id,
           coalesce(d.referral_id::text, e.subject) AS subject
    FROM entry AS e LEFT JOIN decision AS d ON e.verified AND (d.message_id, d.digest) = (e.message_id, e.digest)
    WHERE e.problem IN ('code_unknown', 'engine_unknown', 'type_unknown', 'version_unknown')
      AND e.type SIMILAR TO 'causeway.referral\_(decided|refused).%' AND d.origin IS NULL
      AND (d.problem IS NULL OR d.problem IN ('code_unknown', 'engine_unknown', 'type_unknown', 'version_unknown'))
) AS unread
WHERE subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
GROUP BY sender, refused, subject
"""
#: Those of the referrals ($1) that an origin has, by disposition; those of the edges ($1) of these referrals ($2).
REFERRALS_OF: Final = """
SELECT party, disposition, count(*) AS n FROM referral WHERE referral_id = ANY ($1) GROUP BY party, disposition
"""
EDGES_OF: Final = "SELECT edge_id, party FROM edge WHERE edge_id = ANY ($1) AND referral_id = ANY ($2)"
#: Entries with digests in hexadecimal, and with their decisions as JSON, whose details are stored text in hexadecimal.
_ENTRY: Final = """
SELECT topic, topic_id, partition, "offset", kind, encode(digest, 'hex') AS digest, verified, problem,
       writer, addressee, incarnation, lane, number, message_id, type, subject, sender, recipient, exercise, detail,
       edge_id, act, encode(commitment, 'hex') AS commitment, salt,
       (SELECT packed FROM content_proof AS p WHERE p.proof_id = entry.proof_id) AS proof,
       (SELECT jsonb_agg(jsonb_build_object(
            'referral_id', d.referral_id, 'exercise', d.exercise, 'entitled', d.entitled, 'origin', d.origin,
            'disposition', d.disposition, 'detail', encode(d.detail, 'hex'), 'problem', d.problem, 'links', (
                SELECT jsonb_agg(jsonb_build_array(l.edge_id, l.recipient, l.purpose, coalesce(l.rules, ''),
                                                   encode(l.commitment, 'hex')))
                FROM unnest(d.edge_ids, d.edge_recipients, d.edge_purposes, d.edge_rules, d.edge_commitments)
                    AS l (edge_id, recipient, purpose, rules, commitment))) ORDER BY d.ordinal)
        FROM decision AS d WHERE d.message_id = entry.message_id AND d.digest = entry.digest) AS decisions
FROM entry
"""
#: Audit's entries of one partition of a topic with this id, between two offsets; those of a stream between two numbers.
ENTRIES: Final = f"""{_ENTRY}
WHERE topic = $1 AND topic_id = $2 AND partition = $3 AND "offset" BETWEEN $4 AND $5 ORDER BY "offset", digest
"""
PLACED: Final = f"""{_ENTRY}
WHERE (writer, addressee, incarnation, lane) = ($1, $2, $3, $4::smallint) AND number BETWEEN $5 AND $6
"""
#: The first and last offset of each loss of one partition of a topic with this id.
LOST: Final = """
SELECT "offset", coalesce((detail->>'last')::bigint, 9223372036854775807) AS last FROM entry
WHERE topic = $1 AND topic_id = $2 AND partition = $3 AND kind = 'loss'
"""
#: Records without a number, as audit counts them per day, for any reason.
FOLDED: Final = """
SELECT day, min(first_offset) AS first_offset, sum(count)::bigint AS count, sum(digests)::text AS digests
FROM folded_record WHERE topic = $1 AND topic_id = $2 AND partition = $3 GROUP BY day
"""
#: The offset up to which audit has read each partition.
READ_TO: Final = "SELECT topic, partition, topic_id, next_offset FROM stream_read"
#: The outcomes of these reports, and whether audit has a record of the report with that number and time. A report that
#: was carried into another incarnation has several records; the first of them counts.
STATED_OUTCOMES: Final = """
SELECT message_id, writer, reported_by, outcome, code, report_id, position, number, reported_at, EXISTS (
    SELECT FROM entry AS e
    WHERE (e.message_id, e.writer, e.number, e.broker_time) = (o.report_id, o.reported_by, o.number, o.reported_at))
FROM outcome AS o WHERE report_id = ANY ($1)
"""
LAST_REPORT: Final = "SELECT report FROM reconciliation ORDER BY id DESC LIMIT 1"
DOCUMENTS: Final = "SELECT body FROM document ORDER BY active_from"


def read_decisions(listed: str | None) -> list[dict[str, Any]]:
    """Return the decisions of a row of `ENTRIES`, each with the detail that it states."""
    decisions = from_json(listed) if listed else []
    return [each | {"detail": open_detail(bytes.fromhex(each["detail"]))} for each in decisions]
