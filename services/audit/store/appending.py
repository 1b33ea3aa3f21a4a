"""Statements that store a batch of audit's reader: entries, counts of folded records, and statements about streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from services.audit.domain.entries import (
    NUMBER_TAKEN,
    Acknowledgement,
    AuditBatch,
    AuditDecision,
    AuditEntry,
    ClosedEnd,
    DroppedMessage,
    Link,
    ReportedOutcome,
    StreamEnd,
    folded_as,
)
from services.audit.domain.partitions import PartitionId
from shared.core.envelope.content_proof import SharedProof
from shared.core.protocol.authority import AUDIT
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.store.incoming import gather_proofs
from shared.platform.database.columns import BoundRows, Columns, Statement, compress
from shared.platform.database.transactions import Session

#: The columns of a decision's links: the SQL type of each, and its element for one link as text.
_LINKS: Final[Mapping[str, tuple[str, Callable[[Link], str]]]] = {
    "edge_ids": ("uuid[]", lambda link: str(link.edge_id)),
    "edge_recipients": ("text[]", lambda link: link.recipient),
    "edge_purposes": ("text[]", lambda link: link.purpose),
    "edge_rules": ("text[]", lambda link: link.rules),
    "edge_commitments": ("bytea[]", lambda link: f"\\x{link.commitment}"),
}
_ENTRY = Columns.of(AuditEntry, without=("proof", "decisions"), detail="jsonb", digest="bytea", commitment="bytea")
_DECISION = Columns.of(
    AuditDecision,
    without=("links",),
    detail="bytea",
    message_id="uuid",
    digest="bytea",
    ordinal="smallint",
    exercise="bool",
    broker_time="timestamptz",
    sender="text",
    **{name: sql_type for name, (sql_type, _) in _LINKS.items()},
)
_DROPPED = Columns.of(DroppedMessage, digest="bytea")
_REASON = Columns[str | None]({"reason": "text"})
_OUTCOME = Columns.of(ReportedOutcome)
_ACKNOWLEDGEMENT = Columns.of(Acknowledgement)
_STREAM_END = Columns.of(StreamEnd)
_CLOSED_END = Columns.of(ClosedEnd)
_LIFE = Columns.of(PartitionId)
# Rows that an addressee's statements can leave for one known incarnation, or for all unknown ones of a pair together.
# A statement can reach audit before the first message of its incarnation, so unknown incarnations have room, too.
_STATED_MAX: Final = 48
_IS_KNOWN: Final = """
EXISTS (SELECT FROM known_incarnation AS k
        WHERE (k.writer, k.addressee, k.incarnation) = (said.writer, said.addressee, said.incarnation))
"""


def _fitting(stated: str, table: str) -> str:
    """Return the SQL of those `stated` rows for which their table has room."""
    return f"""(
    SELECT * FROM (
        SELECT *, row_number() OVER (
            PARTITION BY writer, addressee, CASE WHEN known THEN incarnation END ORDER BY position) AS rank
        FROM (SELECT *, {_IS_KNOWN} AS known FROM ({stated}) AS said) AS judged
    ) AS ranked
    WHERE rank + (
        SELECT count(*) FROM {table} AS said
        WHERE (said.writer, said.addressee) = (ranked.writer, ranked.addressee)
          AND CASE WHEN ranked.known THEN said.incarnation = ranked.incarnation ELSE NOT {_IS_KNOWN} END
    ) <= {_STATED_MAX})"""  # noqa: S608 - our own constants


_LAST_ACKS: Final = """
SELECT DISTINCT ON (writer, addressee, incarnation, lane) * FROM {acks.ordered}
ORDER BY writer, addressee, incarnation, lane, acked_at DESC, position DESC
"""
# A batch is one statement, so it needs one round trip. It runs in the transaction that moves the positions, under the
# locks of their rows.
# A folded record has no number that shows whether it was read before. It is still counted once: records at or before
# the last offset that their day has counted, and records with an entry, are skipped. If records of another day are at
# these offsets, the earlier records were lost. The first record that is counted for a reason also has an entry.
# Two messages under one number are named once: the conflict has the place and the digest of the stored one.
# The last number at which an earlier acknowledgement had audit's chain stays: a later one may be ahead of audit.
_APPEND = Statement(
    """
WITH entries AS MATERIALIZED (
    SELECT * FROM {entries.ordered} JOIN {reasons.ordered} USING (position)
), folded AS (
    SELECT *, (broker_time AT TIME ZONE 'UTC')::date AS day FROM entries WHERE reason IS NOT NULL
), fresh AS MATERIALIZED (
    SELECT topic, topic_id, partition, day, reason, "offset", broker_time, digest
    FROM folded
    WHERE "offset" > coalesce((
        SELECT max(last_offset) FROM folded_record AS f
        WHERE (f.topic, f.topic_id, f.partition) = (folded.topic, folded.topic_id, folded.partition)
          AND f.day = folded.day), -1)
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
    INSERT INTO entry ({entries.names})
    SELECT {entries.values}
    FROM entries
    WHERE reason IS NULL OR (topic, topic_id, partition, "offset") IN (TABLE firsts)
    ON CONFLICT DO NOTHING
    RETURNING topic, topic_id, partition, "offset", broker_time, digest
), new_conflict AS (
    INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, problem, detail)
    SELECT topic, topic_id, partition, "offset", n.broker_time, 'conflict',
           sha256(e.digest || n.digest), false, 'place_taken',
           jsonb_build_object('kept', encode(e.digest, 'hex'), 'found', encode(n.digest, 'hex'))
    FROM (SELECT * FROM new_entry
          UNION ALL SELECT topic, topic_id, partition, "offset", broker_time, digest FROM folded) AS n
         JOIN entry AS e USING (topic, topic_id, partition, "offset")
    WHERE e.digest <> n.digest AND e.kind NOT IN ('loss', 'conflict')
    ON CONFLICT DO NOTHING
), number_conflict AS (
    INSERT INTO entry (topic, topic_id, partition, "offset", broker_time, kind, digest, verified, problem, detail)
    SELECT known.topic, known.topic_id, known.partition, known."offset", dropped.broker_time, 'conflict',
           sha256(known.digest || convert_to({number_taken}, 'UTF8')), false, {number_taken},
           jsonb_build_object('kept', encode(known.digest, 'hex'), 'found', encode(dropped.digest, 'hex'),
                              'topic', dropped.topic, 'partition', dropped.partition, 'offset', dropped."offset")
    FROM {dropped.ordered} CROSS JOIN LATERAL (
        SELECT e.topic, e.topic_id, e.partition, e."offset", e.digest FROM entry AS e
        WHERE (e.writer, e.addressee, e.incarnation, e.lane, e.number)
            = (dropped.writer, dropped.addressee, dropped.incarnation, dropped.lane, dropped.number)
        UNION ALL SELECT topic, topic_id, partition, "offset", digest FROM entries
        WHERE (entries.writer, entries.addressee, entries.incarnation, entries.lane, entries.number)
            = (dropped.writer, dropped.addressee, dropped.incarnation, dropped.lane, dropped.number)
    ) AS known
    WHERE dropped.digest <> known.digest
    ORDER BY dropped.position
    ON CONFLICT DO NOTHING
), new_folded AS (
    INSERT INTO folded_record AS f (topic, topic_id, partition, day, reason, first_offset, last_offset, first_at,
                                    last_at, first_digest, count, digests)
    SELECT topic, topic_id, partition, day, reason, min("offset"), max("offset"), min(broker_time), max(broker_time),
           (array_agg(encode(digest, 'hex') ORDER BY "offset"))[1], count(*),
           sum(('x' || left(encode(digest, 'hex'), 15))::bit(60)::bigint)
    FROM fresh GROUP BY topic, topic_id, partition, day, reason
    ON CONFLICT (topic, topic_id, partition, day, reason) DO UPDATE SET last_offset = excluded.last_offset,
        last_at = excluded.last_at, count = f.count + excluded.count, digests = f.digests + excluded.digests
), new_decision AS (
    INSERT INTO decision ({decisions.names}) SELECT {decisions.values} FROM {decisions} ON CONFLICT DO NOTHING
), new_outcome AS (
    INSERT INTO outcome ({outcomes.names}) SELECT {outcomes.values} FROM {outcomes} ON CONFLICT DO NOTHING
), new_closed_end AS (
    INSERT INTO closed_end ({closed.names}) SELECT {closed.values} FROM """  # noqa: S608 - our own constants
    + _fitting("SELECT * FROM {closed.ordered}", "closed_end")
    + """ AS closed ON CONFLICT DO NOTHING
), new_stream_end AS (
    INSERT INTO stream_end AS s ({ends.names})
    SELECT DISTINCT ON (writer, addressee) {ends.values} FROM {ends.ordered}
    ORDER BY writer, addressee, stated_at DESC, position DESC
    ON CONFLICT (writer, addressee) DO UPDATE SET incarnation = excluded.incarnation,
        urgent_last = excluded.urgent_last, ordinary_last = excluded.ordinary_last, stated_at = excluded.stated_at
    WHERE s.stated_at <= excluded.stated_at
)
INSERT INTO acknowledgement AS a ({acks.names})
SELECT {acks.values} FROM """
    + _fitting(_LAST_ACKS, "acknowledgement")
    + """ AS acks
ON CONFLICT (writer, addressee, incarnation, lane) DO UPDATE SET through = excluded.through, chain = excluded.chain,
    acked_at = excluded.acked_at,
    matched_through = least(excluded.through, CASE WHEN EXISTS (
        SELECT FROM entry AS e
        WHERE (e.writer, e.addressee, e.incarnation, e.lane, e.number, e.chain)
            = (a.writer, a.addressee, a.incarnation, a.lane, a.through, a.chain)
    ) THEN a.through ELSE a.matched_through END)
WHERE a.acked_at <= excluded.acked_at
""",
    entries=_ENTRY,
    decisions=_DECISION,
    dropped=_DROPPED,
    number_taken="text",
    reasons=_REASON,
    outcomes=_OUTCOME,
    closed=_CLOSED_END,
    ends=_STREAM_END,
    acks=_ACKNOWLEDGEMENT,
)
_BEGIN = Statement(
    """
WITH new_loss AS (
    INSERT INTO entry ({losses.names}) SELECT {losses.values} FROM {losses} ON CONFLICT DO NOTHING
)
INSERT INTO topic_life (topic, topic_id) SELECT DISTINCT topic, topic_id FROM {lives} ON CONFLICT DO NOTHING
""",
    losses=_ENTRY,
    lives=_LIFE,
)


_REPLACED = """
SELECT min(e."offset") FROM entry AS e
WHERE (e.topic, e.topic_id, e.partition) = ($1, $2, $3)
  AND e."offset" BETWEEN ($4::bigint[])[1] AND ($4::bigint[])[cardinality($4)] AND e.number IS NOT NULL
  AND (e."offset", e.digest) NOT IN (
      SELECT now."offset", coalesce(now.digest, '') FROM unnest($4, $5::bytea[]) AS now ("offset", digest))
  AND NOT EXISTS (
      SELECT FROM entry AS l
      WHERE l.kind = 'loss' AND (l.topic, l.topic_id, l.partition) = (e.topic, e.topic_id, e.partition)
        AND e."offset" BETWEEN l."offset" AND coalesce((l.detail->>'last')::bigint, e."offset"))
"""


class EntryTables:
    """One transaction of the reader: it stores the positions in all streams together with the records."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.messaging = PostgresMessagingTx(session, AUDIT)

    async def append(self, read: AuditBatch) -> None:
        """Store a batch. Records that are already stored stay unchanged and are counted once.

        A different record at a stored coordinate is stored in addition, and an entry `conflict` names both.
        """
        proofs = ((each.proof_id, each.proof) for each in read.entries)
        gather_proofs(self._session.driver, [SharedProof(key, packed) for key, packed in proofs if key and packed])
        reasons = [folded_as(each) for each in read.entries]
        bound = _APPEND.bind(
            entries=_entry_rows(read.entries),
            decisions=_decision_rows(read.entries),
            dropped=_DROPPED.rows(read.dropped, digest=[bytes.fromhex(each.digest) for each in read.dropped]),
            number_taken=NUMBER_TAKEN,
            reasons=_REASON.rows(reasons, reason=reasons),
            outcomes=_OUTCOME.rows(read.outcomes),
            closed=_CLOSED_END.rows(read.closed_ends),
            ends=_STREAM_END.rows(read.stream_ends),
            acks=_ACKNOWLEDGEMENT.rows(read.acknowledgements),
        )
        await self._session.driver.execute(*bound)

    async def begin(self, losses: Sequence[AuditEntry], lives: Sequence[PartitionId]) -> None:
        """Store losses, and the topic ids that are read from now on."""
        bound = _BEGIN.bind(losses=_entry_rows(losses), lives=_LIFE.rows(lives))
        await self._session.driver.execute(*bound)

    async def find_replaced(self, life: PartitionId, digests: Sequence[tuple[int, bytes | None]]) -> int | None:
        """Return the first of these offsets at which another message is stored and no loss of it."""
        first: int | None = await self._session.driver.fetchval(
            _REPLACED, *life, *map(list, zip(*digests, strict=True))
        )
        return first


def _entry_rows(entries: Sequence[AuditEntry]) -> BoundRows[AuditEntry]:
    return _ENTRY.rows(
        entries,
        digest=[bytes.fromhex(each.digest) for each in entries],
        commitment=[None if each.commitment is None else bytes.fromhex(each.commitment) for each in entries],
    )


def _decision_rows(entries: Sequence[AuditEntry]) -> BoundRows[AuditDecision]:
    of = [(entry, ordinal, each) for entry in entries for ordinal, each in enumerate(entry.decisions)]
    rows = [each for _, _, each in of]
    links = {name: [[read(link) for link in each.links] or None for each in rows] for name, (_, read) in _LINKS.items()}
    return _DECISION.rows(
        rows,
        detail=[compress(each.detail.encode()) for each in rows],
        message_id=[entry.message_id for entry, _, _ in of],
        digest=[bytes.fromhex(entry.digest) for entry, _, _ in of],
        ordinal=[ordinal for _, ordinal, _ in of],
        exercise=[entry.exercise for entry, _, _ in of],
        broker_time=[entry.broker_time for entry, _, _ in of],
        sender=[entry.sender for entry, _, _ in of],
        **links,
    )
