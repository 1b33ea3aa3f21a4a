"""Observations of delivery between instances that no API gives, and controlled damage to it.

This module and `tests.support.running` alone know the tables, topics and clients of the delivery mechanism. Tests of
journeys and failures call these functions, so that another mechanism changes no test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from deploy.accounting import views
from deploy.accounting.spans import Spans
from deploy.accounting.streams import Pair
from deploy.site.access import admin_access
from shared.contracts.registry import ALL, BY_TYPE, Family
from shared.exchange.message import Draft, Record
from shared.exchange.topics import INBOXES, inbox_prefix, inbox_topic
from shared.runtime.kafka.reader import Bounds, LogReader
from shared.runtime.kafka.writer import BATCH_BYTES_MAX as SENT_BYTES_MAX
from shared.runtime.post.ports import Coordinate
from tests.support.running import Exchange

__all__ = ["SENT_BYTES_MAX", "Draft", "Pair", "Record", "Spans", "inbox_prefix", "inbox_topic"]

Rows = list[asyncpg.Record]

#: Types of messages between two parties, which recipients acknowledge.
ACKNOWLEDGED: Final = [each.type for each in ALL if each.family in (Family.REFERRAL, Family.NOTICE)]
#: Subquery: each sent message with a final outcome.
FINAL_OUTCOMES: Final = """
SELECT message_id, outcome, code
FROM (SELECT message_id, outcome, code FROM settled UNION ALL SELECT message_id, outcome, code FROM outbox) AS each
WHERE outcome IS NOT NULL
"""
#: A message that its recipient refuses because the subject is withdrawn has the outcome `withdrawn`.
_OUTCOME: Final = "CASE code WHEN 'subject_withdrawn' THEN 'withdrawn' ELSE outcome END AS outcome"


class Number(NamedTuple):
    """The number of one message between parties."""

    sender: str
    recipient: str
    epoch: UUID
    sequence: int

    def __str__(self) -> str:
        return f"{self.sender} → {self.recipient} #{self.sequence}"


async def read_rows(exchange: Exchange, instance: str, query: str, *arguments: object) -> Rows:
    """Run one query past every row policy. Only the two driver modules call this function."""
    connection = await exchange.admin(instance)
    try:
        rows: Rows = await connection.fetch(query, *arguments)
        return rows
    finally:
        await connection.close()


async def read_value(exchange: Exchange, instance: str, query: str, *arguments: object) -> Any:
    """Run one query that has one row, and return the first column."""
    [row] = await read_rows(exchange, instance, query, *arguments)
    return row[0]


# -- sent messages ------------------------------------------------------------------------------------------


async def list_final_outcomes(exchange: Exchange, instance: str) -> Rows:
    """List `id`, `outcome` and `n`, the number of copies, of each sent message that has a final outcome."""
    query = f"SELECT message_id::text AS id, {_OUTCOME}, count(*) AS n FROM ({FINAL_OUTCOMES}) AS sent GROUP BY 1, 2"
    return await read_rows(exchange, instance, query)


async def list_open_messages(exchange: Exchange, instance: str) -> Rows:
    """List the `id` of each sent message between parties that is not closed."""
    query = "SELECT message_id::text AS id FROM outbox WHERE NOT done AND type = ANY($1::text[])"
    return await read_rows(exchange, instance, query, ACKNOWLEDGED)


async def count_unacknowledged_messages(connection: asyncpg.Connection) -> int:
    """Count the sent messages between parties without an outcome, over the caller's connection as accountant."""
    query = "SELECT count(message_id) FROM outbox WHERE outcome IS NULL AND type = ANY($1::text[])"
    return int(await connection.fetchval(query, ACKNOWLEDGED))


async def count_unacknowledged_by_recipient(exchange: Exchange, instance: str) -> dict[str, int]:
    """Count the sent messages without an outcome for each recipient."""
    query = """
    SELECT recipient, count(message_id) AS n FROM outbox WHERE outcome IS NULL AND type = ANY($1::text[]) GROUP BY 1
    """
    return {row["recipient"]: row["n"] for row in await read_rows(exchange, instance, query, ACKNOWLEDGED)}


async def count_unsent_messages(exchange: Exchange, instance: str, to: str) -> int:
    """Count the messages to another instance that are not in Kafka yet."""
    query = "SELECT coalesce(sum(last - appended), 0) FROM lane JOIN lane_end USING (lane) WHERE lane = $1"
    return int(await read_value(exchange, instance, query, to))


async def count_all_unsent_messages(exchange: Exchange, instance: str) -> int:
    """Count the messages to all other instances that are not in Kafka yet."""
    return int(await read_value(exchange, instance, "SELECT sum(last - appended) FROM lane JOIN lane_end USING (lane)"))


async def count_unsent_messages_to_party(exchange: Exchange, party: str) -> int:
    query = """
    SELECT count(*) FROM outbox AS o JOIN lane AS l USING (lane) WHERE o.recipient = $1 AND o.position > l.appended
    """
    return int(await read_value(exchange, "hotline", query, party))


async def count_backlog(exchange: Exchange, instance: str, to: str) -> int:
    """Count the messages to another instance that are in Kafka and not closed."""
    query = "SELECT count(*) FROM outbox JOIN lane USING (lane) WHERE lane = $1 AND NOT done AND position <= appended"
    return int(await read_value(exchange, instance, query, to))


async def list_deliveries(exchange: Exchange, referrals: Sequence[UUID], recipient: str) -> Rows:
    """List `epoch` and `outcome` of the message of each sent edge to the recipient, by sequence."""
    query = """
    SELECT s.epoch, s.outcome FROM edge AS e JOIN (SELECT message_id, epoch, sequence, outcome FROM settled
                       UNION ALL SELECT message_id, epoch, sequence, outcome FROM outbox) AS s USING (message_id)
    WHERE e.referral_id = ANY($1) AND e.state = 'emitted' AND e.recipient = $2 ORDER BY s.sequence
    """
    return await read_rows(exchange, "hotline", query, list(referrals), recipient)


async def list_sent_numbers(exchange: Exchange, instance: str) -> frozenset[Number]:
    """List the numbers of all messages between parties that the instance sent and still knows."""
    query = """
    SELECT sender, recipient, epoch, sequence FROM outbox WHERE sender LIKE '%.%' AND recipient LIKE '%.%'
    UNION ALL SELECT sender, recipient, epoch, sequence FROM settled WHERE sender LIKE '%.%' AND recipient LIKE '%.%'
    """
    return frozenset(Number(*row) for row in await read_rows(exchange, instance, query))


async def forget_last_numbers(exchange: Exchange, sender: str, recipient: str) -> UUID:
    """Set the hotline's counter of a pair back by two, as a restored disk does, and return its epoch."""
    query = """
    UPDATE pair_sequence SET last = last - 2 WHERE sender = $1 AND recipient = $2 AND last >= 2 RETURNING epoch
    """
    epoch: UUID = await read_value(exchange, "hotline", query, sender, recipient)
    return epoch


async def list_closed_epochs(exchange: Exchange, recipient: str) -> set[UUID]:
    query = "SELECT epoch FROM closed_epoch WHERE recipient = $1"
    return {row["epoch"] for row in await exchange.count_as_accountant("hotline", query, recipient)}


# -- received messages --------------------------------------------------------------------------------------


async def list_received_outcomes(exchange: Exchange, instance: str) -> Rows:
    """List `id`, `outcome` and `n`, the number of applications, of each received message."""
    query = f"SELECT message_id::text AS id, {_OUTCOME}, count(*) AS n FROM inbox GROUP BY 1, 2"
    return await read_rows(exchange, instance, query)


async def count_received_by_outcome(exchange: Exchange, instance: str) -> Counter[str]:
    rows = await read_rows(exchange, instance, "SELECT outcome, count(*) AS n FROM inbox GROUP BY 1")
    return Counter({row["outcome"]: row["n"] for row in rows})


async def count_received_from(exchange: Exchange, instance: str, sender: str, *, outcome: str | None = None) -> int:
    """Count the messages received from another instance, with this outcome if one is given."""
    query = "SELECT count(*) FROM inbox WHERE sender_instance = $1 AND ($2::text IS NULL OR outcome = $2)"
    return int(await read_value(exchange, instance, query, sender, outcome))


async def count_applied_messages(exchange: Exchange, instance: str, messages: Sequence[UUID]) -> int:
    query = "SELECT count(*) FROM inbox WHERE message_id = ANY($1::uuid[]) AND outcome = 'applied'"
    return int(await read_value(exchange, instance, query, list(messages)))


async def list_arrivals(exchange: Exchange, instance: str, messages: Sequence[UUID]) -> Rows:
    """List `message_id`, `broker_time` and `received_at` of the messages that the instance received."""
    query = "SELECT message_id, broker_time, received_at FROM inbox WHERE message_id = ANY($1::uuid[])"
    return await read_rows(exchange, instance, query, list(messages))


async def list_recipients_of_received(exchange: Exchange, instance: str) -> set[str]:
    rows = await exchange.count_as_accountant(instance, "SELECT recipient FROM inbox")
    return {row["recipient"] for row in rows}


async def list_received_numbers(exchange: Exchange, instance: str) -> frozenset[Number]:
    query = "SELECT sender, recipient, epoch, sequence FROM inbox"
    return frozenset(Number(*row) for row in await read_rows(exchange, instance, query))


async def list_received_sequences(exchange: Exchange, instance: str, sender: str, recipient: str) -> list[list[int]]:
    """List the received numbers of a pair in order, one list for each epoch."""
    query = "SELECT epoch, sequence FROM inbox WHERE sender = $1 AND recipient = $2 ORDER BY epoch, sequence"
    by_epoch: dict[UUID, list[int]] = {}
    for row in await read_rows(exchange, instance, query, sender, recipient):
        by_epoch.setdefault(row["epoch"], []).append(row["sequence"])
    return list(by_epoch.values())


async def count_dead_letters(exchange: Exchange, instance: str) -> int:
    return int(await read_value(exchange, instance, "SELECT count(*) FROM quarantine"))


async def count_unreadable_records(exchange: Exchange, instance: str, topic: str) -> asyncpg.Record:
    """Return `rows`, stored rows of unreadable records, and `records`, the records that these rows count."""
    query = "SELECT count(*) AS rows, coalesce(sum(count), 0) AS records FROM quarantine WHERE topic = $1"
    [row] = await read_rows(exchange, instance, query, topic)
    return row


async def count_deferred_messages(exchange: Exchange, instance: str, topic: str) -> int:
    """Count the records that wait for a document."""
    return int(await read_value(exchange, instance, "SELECT count(*) FROM awaiting WHERE topic = $1", topic))


async def find_read_position(exchange: Exchange, instance: str, topic: str) -> int:
    """Return the offset that the instance reads next."""
    queries: Mapping[str, str] = {"audit": "SELECT max(next_offset) FROM cursor WHERE topic = $1"}
    query = queries.get(instance, "SELECT following FROM topic_cursor WHERE topic = $1")
    return int(await read_value(exchange, instance, query, topic))


async def sum_read_positions(exchange: Exchange, instance: str) -> int:
    """Add the next offsets of all topics that the hotline writes and the instance reads."""
    query = "SELECT coalesce(sum(following), 0) FROM topic_cursor WHERE topic LIKE '%.hotline.v1'"
    return int(await read_value(exchange, instance, query))


async def remove_dedupe(exchange: Exchange, instance: str) -> None:
    """Remove the constraints that apply a message once, and let the instance read its topics from the start."""
    drop = "ALTER TABLE inbox DROP CONSTRAINT inbox_pkey, DROP CONSTRAINT inbox_pair_sequence"
    await read_rows(exchange, instance, drop)
    await read_rows(exchange, instance, "DELETE FROM topic_cursor")


# -- audit --------------------------------------------------------------------------------------------------


async def count_audited_messages(exchange: Exchange, messages: Sequence[UUID]) -> int:
    query = "SELECT count(DISTINCT message_id) FROM entry WHERE message_id = ANY($1::uuid[])"
    return int(await read_value(exchange, "audit", query, list(messages)))


async def list_audit_problems(exchange: Exchange, topic: str, message_id: UUID) -> list[str | None]:
    """List the problem, or None, of each entry of the message at audit."""
    query = "SELECT problem FROM entry WHERE topic = $1 AND message_id = $2"
    return [row["problem"] for row in await read_rows(exchange, "audit", query, topic, message_id)]


async def list_audited_losses(exchange: Exchange, topic: str) -> Rows:
    """List the losses and conflicts that audit named: `offset`, `kind`, `reason`, `first` and `last` number."""
    query = """
    SELECT "offset", kind, detail ->> 'reason' AS reason, (detail ->> 'first')::bigint AS first,
           (detail ->> 'last')::bigint AS last
    FROM entry WHERE topic = $1 AND kind IN ('loss', 'conflict')
    """
    return await read_rows(exchange, "audit", query, topic)


async def list_audited_ids(exchange: Exchange, topic: str) -> Rows:
    """List `offset` and `id` of each message that audit stored."""
    query = 'SELECT "offset", message_id::text AS id FROM entry WHERE topic = $1 AND message_id IS NOT NULL'
    return await read_rows(exchange, "audit", query, topic)


async def count_audited_unreadable_records(exchange: Exchange, topic: str) -> asyncpg.Record:
    """Return `rows`, audit's rows of unreadable records, and `records`, the records that these rows count."""
    query = """
    SELECT (SELECT count(*) FROM entry WHERE topic = $1 AND kind IN ('unreadable', 'unproven')) + count(*) AS rows,
           coalesce(sum(count), 0)::bigint AS records
    FROM folded_record WHERE topic = $1 AND reason <> 'marks'
    """
    [row] = await read_rows(exchange, "audit", query, topic)
    return row


async def count_reused_numbers(exchange: Exchange) -> int:
    """Count the numbers under which audit read two different messages."""
    query = """
    SELECT count(*) FROM (SELECT sender, recipient, epoch, sequence FROM entry WHERE sequence > 0
                          GROUP BY 1, 2, 3, 4 HAVING count(DISTINCT digest) > 1) AS twice
    """
    return int(await read_value(exchange, "audit", query))


async def list_unaudited_facts(exchange: Exchange, instance: str) -> dict[Pair, Spans]:
    """Map each pair to the numbers of facts that the instance gave and that audit has neither read nor named lost."""
    query = """
    SELECT sender, recipient, epoch, lower(r) AS first, upper(r) - 1 AS last FROM pair_taken, unnest(taken + gone) AS r
    """
    seen: dict[Pair, list[tuple[int, int]]] = {}
    for row in await exchange.count_as_accountant("audit", query):
        seen.setdefault((row["sender"], row["recipient"], row["epoch"]), []).append((row["first"], row["last"]))
    lacking: dict[Pair, Spans] = {}
    for row in await exchange.count_as_accountant(instance, views.COUNTERS):
        pair = row["sender"], row["recipient"], row["epoch"]
        if row["recipient"] == "audit" and (missing := Spans(seen.get(pair, ())).missing(row["last"])):
            lacking[pair] = Spans(missing)
    return lacking


# -- Kafka --------------------------------------------------------------------------------------------------


async def find_bounds(exchange: Exchange, topic: str) -> Bounds:
    """Return the first offset of a topic and its end."""
    reader = LogReader(admin_access(exchange.endpoints), [topic], client_id="causeway-tests")
    return (await reader.bounds())[Coordinate(topic, 0)]


async def list_inbox_topics(exchange: Exchange) -> list[str]:
    reader = LogReader(admin_access(exchange.endpoints), client_id="causeway-tests", under=INBOXES)
    return sorted({where.topic for where in await reader.bounds()})


async def list_records(exchange: Exchange, topic: str) -> list[Record]:
    """List the records of a topic that carry a numbered message, without statements about delivery itself."""
    reader = LogReader(admin_access(exchange.endpoints), [topic], client_id="causeway-tests")
    first, end = await find_bounds(exchange, topic)
    found: list[Record] = []
    if first < end:
        async for batch in reader.read_range(Coordinate(topic, 0), first, end):
            found += [each for each in batch if _is_numbered(each)]
    return found


def message_id_of(record: Record) -> str:
    return (dict(record.headers)["ce_id"] or b"").decode()


def _is_numbered(record: Record) -> bool:
    message = BY_TYPE.get((dict(record.headers).get("ce_type") or b"").decode(errors="replace"))
    return message is not None and message.family is not Family.DELIVERY
