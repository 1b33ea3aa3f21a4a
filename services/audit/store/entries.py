"""The store of entries, of each partition's reading state, and of record accesses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import from_json

from services.audit.domain.entries import NOBODYS
from services.audit.domain.partitions import PartitionStatus
from services.audit.domain.shown import (
    Access,
    AccessLogEntry,
    AccessLogPage,
    Accounts,
    AccountsPage,
    EntryView,
    FlowContent,
    FlowFilter,
    FlowPage,
    Partition,
    TopicState,
)
from services.audit.store import flows
from services.audit.store.appending import EntryTables
from shared.core.clock import seconds_to_midnight
from shared.core.envelope.content_proof import MessageProof, SharedProof
from shared.core.errors import Defect
from shared.core.protocol.authority import AUDIT
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.messaging.exceptions import OutcomeKind
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import Incoming
from shared.platform.admission.budgets import BudgetExceeded
from shared.platform.database.columns import Columns, Statement, decompress
from shared.platform.database.pages import next_cursor, read_cursor
from shared.platform.database.transactions import Database

_NOTED = Columns[tuple[str, int]]({"topic": "text", "partition": "bigint", "state": "text"})
_NOTE = Statement(
    """
WITH forgotten AS (
    DELETE FROM partition_state AS p
    WHERE NOT EXISTS (SELECT FROM {states} WHERE states.topic = p.topic AND states.partition = p.partition)
)
INSERT INTO partition_state (topic, partition, state) SELECT {states.values} FROM {states}
ON CONFLICT (topic, partition) DO UPDATE SET state = excluded.state, since = now()
WHERE partition_state.state <> excluded.state
""",
    states=_NOTED,
)
STATES: Final = """
SELECT p.topic, p.partition, p.state, p.since, t.topic_id,
       CASE WHEN t.topic_id IS NOT NULL THEN t.next_offset END AS next_offset,
       (SELECT count(*) FROM entry AS e
        WHERE e.kind = 'loss' AND e.topic = p.topic AND e.partition = p.partition) AS losses,
       coalesce(t.missing_count, 0) AS missing_count
FROM partition_state AS p LEFT JOIN stream_read AS t USING (topic, partition)
ORDER BY p.state = 'reading', p.topic, p.partition
"""
_INCOMPLETE: Final = "SELECT topic, partition FROM stream_read WHERE missing_count > 0"


class PostgresPartitions:
    """The stored states of the partitions that audit reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, states: Mapping[tuple[str, int], PartitionStatus]) -> None:
        """Store the status of each partition and delete all others. `since` changes only with the status."""
        places = list(states)
        bound = _NOTED.rows(
            places,
            topic=[topic for topic, _ in places],
            partition=[partition for _, partition in places],
            state=[state.value for state in states.values()],
        )
        async with self._database.transaction() as session:
            await session.driver.execute(*_NOTE.bind(states=bound))

    async def states(self) -> list[TopicState]:
        """Return all stored states; partitions with problems come first."""
        return [TopicState.model_validate(dict(row)) for row in await self._database.fetch(STATES)]

    async def noted(self) -> Mapping[tuple[str, int], PartitionStatus]:
        """Return the last stored status of each partition."""
        rows = await self._database.fetch("SELECT topic, partition, state FROM partition_state")
        return {(row["topic"], row["partition"]): PartitionStatus(row["state"]) for row in rows}

    async def list_incomplete(self) -> frozenset[tuple[str, int]]:
        """Return the partitions of whose stream audit has not seen every number."""
        return frozenset((row["topic"], row["partition"]) for row in await self._database.fetch(_INCOMPLETE))


#: The different purposes that an organisation may state in a day (UTC): the guard does not charge their texts.
PURPOSES_A_DAY: Final = 20
_HOUR: Final = "date_trunc('hour', at AT TIME ZONE 'UTC')"
_TODAY: Final = f"{_HOUR} >= date_trunc('day', now() AT TIME ZONE 'UTC')"
_NOTE_READING: Final = f"""
INSERT INTO audit_access_log AS l (auditor, purpose, accessed_object, actor) SELECT $1, $2, $3, $4
WHERE EXISTS (SELECT FROM audit_access_log WHERE auditor = $1 AND purpose = $2 AND {_TODAY})
   OR (SELECT count(DISTINCT purpose) FROM audit_access_log WHERE auditor = $1 AND {_TODAY}) < $5
ON CONFLICT (auditor, purpose, {_HOUR}, actor, accessed_object) DO UPDATE SET count = l.count + 1
RETURNING id
"""  # noqa: S608 - our own constants
# `$4` is the scope. Within it, a colleague's access is shown if it names no party, a party in scope, or a referral that
# has a pair in scope. Its purpose is shown only together with it.
_ACCESSES = """
SELECT r.id AS arrival, r.actor, r.accessed_object AS what, r.purpose, r.at, r.count
FROM audit_access_log AS r CROSS JOIN LATERAL (
    SELECT split_part(r.accessed_object, '/', 1) AS kind, split_part(r.accessed_object, '/', 2) AS named
) AS said
WHERE r.auditor = $1 AND ($2::bigint IS NULL OR r.id < $2)
  AND ($4::text[] IS NULL OR r.accessed_object IN ('accesses', 'topics', 'accounts')
       OR (said.kind = 'find' AND (said.named = 'anybody' OR said.named = ANY($4)))
       OR (said.kind IN ('flow', 'find') AND EXISTS (
           SELECT FROM decision AS d
           WHERE d.referral_id = CASE WHEN said.named ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                                      THEN said.named::uuid END
             AND d.entitled AND d.exercise = $5
             AND (d.origin = ANY($4) OR EXISTS (
                 SELECT FROM flow_edge AS l
                 WHERE l.referral_id = d.referral_id AND l.origin = d.origin AND l.recipient = ANY($4))))))
ORDER BY r.id DESC LIMIT $3
"""
_ACCOUNTS = """
SELECT id AS arrival, report FROM reconciliation WHERE $1::bigint IS NULL OR id < $1 ORDER BY id DESC LIMIT 2
"""
_TOPIC_IDS = "SELECT topic_id FROM topic_life WHERE topic = $1 ORDER BY begun_at, topic_id"
_PROOF = """
SELECT writer, salt, proof_id, packed FROM entry JOIN content_proof USING (proof_id)
WHERE topic = $1 AND topic_id = $2 AND partition = $3 AND "offset" = $4 AND digest = $5
"""
# Outcomes, unreadable records and losses belong neither to live nor to sandbox traffic, and name no referral. The first
# record of a day without a proven writer has the count of such records on that day for the same reason.
# A page ends with all decisions of its last message; the next page begins at the offset after it.
_PAGE = """
SELECT *, NULL AS rules, NULL AS outcome, NULL AS code, NULL AS committed, CASE WHEN kind = ANY($8) THEN (
    SELECT jsonb_build_object('count', f.count, 'last', f.last_offset, 'until',
                              to_char(f.last_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    FROM folded_record AS f
    WHERE (f.topic, f.topic_id, f.partition) = (said.topic, said.topic_id, said.partition)
      AND f.day = (said.broker_time AT TIME ZONE 'UTC')::date AND f.reason = said.problem
      AND f.first_offset = said."offset"
) END AS counted
FROM (
    SELECT * FROM statement
    WHERE topic = $1 AND topic_id = $2 AND partition = $3 AND "offset" >= $4
      AND (exercise = $5 OR kind IN ('outcomes', 'unreadable', 'loss', 'conflict'))
      AND ($7::text[] IS NULL OR sender = ANY($7) OR recipient = ANY($7)
           OR origin = ANY($7) OR detail->>'party' = ANY($7))
    ORDER BY "offset" FETCH FIRST $6 ROWS WITH TIES
) AS said
ORDER BY "offset", kept_at, ordinal
"""


#: Outcomes as the API names them.
_OUTCOMES: Final = {OutcomeKind.DEAD.value: ReceiptOutcome.PARKED.value}


class PostgresEntries:
    """The entries, append-only. Only the process with the reader's lease appends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[EntryTables]:
        """Open a transaction of the reader."""
        async with self._database.transaction(keeps_plans=True) as session:
            yield EntryTables(session)

    async def incoming(self) -> list[Incoming]:
        """Return how far the streams of every pair were read."""
        async with self._database.transaction() as session:
            return await PostgresMessagingTx(session, AUDIT).list_incoming()

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        async with self._database.transaction() as session:
            rows: list[asyncpg.Record] = await session.driver.fetch(query, *arguments)
            return rows

    async def flow(self, referral_id: UUID, look: Access, *, cursor: str | None = None) -> FlowContent:
        """Return a page of the messages of one referral, live or sandbox as the reader, in order of broker time.

        Raises `Refused("cursor_invalid")`.
        """
        async with self._database.transaction() as session:
            return await flows.read(
                session, referral_id, exercise=look.exercise, parties=_listed(look), cursor=cursor, shown=kept
            )

    async def proof(self, of: EntryView) -> tuple[str, MessageProof] | None:
        """Return the writer of a record and the proof that came with it; None if it had none."""
        where = of.topic, of.topic_id, of.partition, of.offset, bytes.fromhex(of.digest)
        for writer, salt, *shared in await self._fetch(_PROOF, *where):
            proof = SharedProof._make(shared).prove(where[-1], salt)
            return None if proof is None else (writer, proof)
        return None

    async def find(self, sought: FlowFilter, look: Access, *, limit: int, cursor: str | None = None) -> FlowPage:
        """Return referrals, live or sandbox as the reader, the newest first.

        With a scope, only pairs with a party in scope find a referral. Raises `Refused("cursor_invalid")`.
        """
        async with self._database.transaction() as session:
            return await flows.find(
                session, sought, exercise=look.exercise, parties=_listed(look), limit=limit, cursor=cursor
            )

    async def note_reading(self, auditor: str, purpose: str, what: str, *, actor: str | None = None) -> None:
        """Store a record access: its object, purpose, organisation and the person's opaque name.

        The same again in the same hour is only counted.
        Raises `BudgetExceeded` for a new purpose after `PURPOSES_A_DAY`.
        """
        values = auditor, purpose, what, actor, PURPOSES_A_DAY
        async with self._database.transaction() as session:
            await session.driver.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", auditor)
            if await session.driver.fetchval(_NOTE_READING, *values) is None:
                reset_s = seconds_to_midnight(await session.driver.fetchval("SELECT now()"))
                raise BudgetExceeded("purposes", limit=PURPOSES_A_DAY, reset_s=reset_s)

    async def accesses(self, look: Access, *, cursor: str | None, limit: int) -> AccessLogPage:
        """Return the accesses of the auditor's organisation, the newest first, without those outside the scope."""
        where = look.auditor, read_cursor(cursor), limit + 1
        rows = await self._fetch(_ACCESSES, *where, _listed(look), look.exercise)
        items = [AccessLogEntry(**{name: each[name] for name in AccessLogEntry.model_fields}) for each in rows[:limit]]
        return AccessLogPage(items=tuple(items), next=next_cursor(rows, limit))

    async def accounts(self, cursor: str | None) -> AccountsPage:
        """Return the newest reconciliation, or the one before the cursor. Raises `Refused("cursor_invalid")`."""
        rows = await self._fetch(_ACCOUNTS, read_cursor(cursor))
        told = Accounts.model_validate(rows[0]["report"]) if rows else None
        return AccountsPage(accounts=told, next=next_cursor(rows, 1))

    async def topic_ids(self, topic: str) -> list[UUID]:
        """Return the ids that a topic had when it was read, the newest last."""
        return [row["topic_id"] for row in await self._fetch(_TOPIC_IDS, topic)]

    async def page(self, place: Partition, topic_id: UUID, look: Access, *, limit: int) -> list[EntryView]:
        """Return entries of one partition in order, limited to the scope and to live or sandbox traffic."""
        where = place.topic, topic_id, place.partition, place.from_offset
        rows = await self._fetch(_PAGE, *where, look.exercise, limit, _listed(look), sorted(NOBODYS))
        return [kept(position, row) for position, row in enumerate(rows, start=1)]


def _listed(look: Access) -> list[str] | None:
    return None if look.parties is None else sorted(look.parties)


def open_detail(stored: bytes | None) -> object:
    """Return what a stored decision states; None for bytes that are no stored text: they were altered."""
    try:
        return None if stored is None else from_json(decompress(stored))
    except (Defect, ValueError):
        return None


def kept(position: int, row: asyncpg.Record) -> EntryView:
    made = {
        "position": position,
        "at": row["broker_time"],
        "digest": row["digest"].hex(),
        "problem": row["problem"] or ("edge_not_committed" if row["committed"] is False else None),
        "detail": row["detail"] or row.get("counted") or open_detail(row["decided"]),
        "rules": tuple(row["rules"].split(",")) if row["rules"] else (),
        "outcome": _OUTCOMES.get(row["outcome"], row["outcome"]),
    }
    return EntryView.model_validate(made | {name: row[name] for name in EntryView.model_fields.keys() - made.keys()})
