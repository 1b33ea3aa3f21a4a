"""Observations of delivery between instances that no API gives, and controlled damage to it.

This module, `driver_audit`, `kafka_records` and `running` alone know the tables, topics and clients of the delivery
mechanism. Tests of journeys and failures call these functions, so that another mechanism changes no test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from deploy.site.access import access_to
from shared.core.contracts.registry import NOTICE_ISSUED, REFERRAL_OFFERED
from shared.core.envelope.keys import VerifyKey
from shared.core.protocol.authority import AUDIT, INBOXES, inbox_prefix, inbox_topic
from shared.core.protocol.message import Draft
from shared.core.routing.documents import read_directory
from shared.messaging.kafka.log import APPEND_BYTES_MAX as SENT_BYTES_MAX
from shared.messaging.placement import KIND, PROOF, parse_proof_record
from shared.messaging.streams import LANES, Lane, LaneEnd, Pair
from shared.messaging.tracks import track_of
from shared.platform.kafka.documents import read_document
from tests.support import kafka_records
from tests.support.kafka_records import Bounds, StoredRecord
from tests.support.running import Exchange

__all__ = ["LANES", "SENT_BYTES_MAX", "Draft", "Lane", "Pair", "StoredRecord", "inbox_prefix", "inbox_topic"]

Rows = list[asyncpg.Record]

#: Subquery: each sent edge, its place, and its outcome at its origin. A message in an earlier incarnation was carried
#: into this one, or was delivered.
EDGE_OUTCOMES: Final = """
SELECT e.message_id, e.referral_id, e.recipient, e.instance, e.incarnation, e.receipt_code,
       CASE WHEN e.receipt_code = 'subject_withdrawn' THEN 'withdrawn'
           WHEN e.receipt_outcome IS NOT NULL THEN e.receipt_outcome WHEN o.message_id IS NOT NULL THEN o.outcome
            WHEN e.incarnation <> s.incarnation OR e.number <= s.acked THEN 'applied' ELSE 'open' END AS outcome
FROM edge AS e LEFT JOIN stream AS s ON s.peer = e.instance AND s.lane = e.lane
LEFT JOIN outcome_open AS o ON o.peer = e.instance AND o.message_id = e.message_id
WHERE e.state = 'emitted' AND e.message_id IS NOT NULL
"""
#: Each subject that an instance received, with the time. Its key is the edge's: notice or referral, and recipient.
_ARRIVALS: Final = "SELECT subject AS item, party, received_at FROM received"
_ITEMS: Final = """
SELECT message_id, coalesce(notice_id, referral_id) AS item, recipient AS party FROM edge
WHERE message_id = ANY($1::uuid[])
"""


async def read_rows(exchange: Exchange, instance: str, query: str, *arguments: object) -> Rows:
    """Run one query past every row policy. Only driver modules call this function."""
    return await exchange.rows_past_policies(instance, query, *arguments)


async def read_value(exchange: Exchange, instance: str, query: str, *arguments: object) -> Any:
    """Run one query that has one row, and return the first column."""
    [row] = await read_rows(exchange, instance, query, *arguments)
    return row[0]


# -- sent messages ------------------------------------------------------------------------------------------


async def list_edge_outcomes(exchange: Exchange, instance: str) -> Rows:
    """List `message_id`, `outcome` and `receipt_code` of each sent edge; `open` is no outcome yet."""
    return await read_rows(exchange, instance, EDGE_OUTCOMES)


async def list_unread_streams(exchange: Exchange, instance: str) -> list[str]:
    """Describe each own stream that its recipient or audit has not read to its end, or not acknowledged."""
    query = "SELECT peer, lane, incarnation, last, chain, sent, acked, audit_acked FROM stream"
    found = []
    for row in await read_rows(exchange, instance, query):
        readers = {row["peer"]: row["acked"]} | ({} if row["peer"] == AUDIT else {AUDIT: row["audit_acked"]})
        for reader, acked in readers.items():
            end = await find_end_read(exchange, reader, Pair(instance, row["peer"]), Lane(row["lane"]))
            wanted = row["incarnation"], row["last"], row["chain"] if row["last"] else None
            if end != wanted or (row["sent"], acked) != (row["last"], row["last"]):
                at = None if end is None else end[1]
                told = f"{row['sent']} sent, {acked} acknowledged, {at} read by {reader}"
                found.append(f"{instance} → {row['peer']} {Lane(row['lane']).name} {row['last']}: {told}")
    return found


async def find_end_read(
    exchange: Exchange, reader: str, pair: Pair, lane: Lane
) -> tuple[UUID, int, bytes | None] | None:
    """Return incarnation, number and chain up to which an instance has read a stream; no chain before number 1."""
    name = lane.name.lower()
    query = f"""
    SELECT incarnation, {name}_through AS through, {name}_chain AS chain FROM receive_state
    WHERE writer = $1 AND addressee = $2 AND incarnation IS NOT NULL
    """
    rows = await read_rows(exchange, reader, query, *pair)
    return (
        (rows[0]["incarnation"], rows[0]["through"], rows[0]["chain"] if rows[0]["through"] else None) if rows else None
    )


async def count_unacknowledged_messages(connection: asyncpg.Connection) -> int:
    """Count the messages to other parties' instances without an acknowledgement, as accountant over this connection."""
    query = "SELECT coalesce(sum(last - acked), 0) FROM stream WHERE peer <> $1"
    return int(await connection.fetchval(query, AUDIT))


async def count_acknowledged_messages(exchange: Exchange, instance: str) -> int:
    """Count the messages to other parties' instances that these have accepted."""
    query = "SELECT coalesce(sum(acked), 0) FROM stream WHERE peer <> $1"
    return int(await read_value(exchange, instance, query, AUDIT))


async def count_unacknowledged_by_recipient(exchange: Exchange, instance: str) -> dict[str, int]:
    """Count the messages without an acknowledgement for each peer that has any."""
    query = "SELECT peer, sum(last - acked)::bigint AS n FROM stream GROUP BY peer HAVING sum(last - acked) > 0"
    return {row["peer"]: row["n"] for row in await read_rows(exchange, instance, query)}


async def count_unsent_messages(exchange: Exchange, instance: str, to: str) -> int:
    """Count the messages to another instance that are not in Kafka yet."""
    query = "SELECT coalesce(sum(last - sent), 0) FROM stream WHERE peer = $1"
    return int(await read_value(exchange, instance, query, to))


async def count_all_unsent_messages(exchange: Exchange, instance: str) -> int:
    """Count the messages to all other instances that are not in Kafka yet."""
    return int(await read_value(exchange, instance, "SELECT coalesce(sum(last - sent), 0) FROM stream"))


async def list_deliveries(exchange: Exchange, referrals: Sequence[UUID], recipient: str) -> Rows:
    """List `incarnation` and `outcome` of the message of each sent edge to the recipient."""
    query = f"""
    SELECT incarnation, outcome FROM ({EDGE_OUTCOMES}) AS told WHERE referral_id = ANY($1) AND recipient = $2
    """
    return await read_rows(exchange, "hotline", query, list(referrals), recipient)


async def find_stream_ends(exchange: Exchange, instance: str, to: str) -> tuple[UUID, tuple[LaneEnd, LaneEnd]]:
    """Return the incarnation of an instance's streams to another one, and the end of each lane."""
    query = "SELECT incarnation, last, chain FROM stream WHERE peer = $1 ORDER BY lane"
    urgent, ordinary = await read_rows(exchange, instance, query, to)
    ends = LaneEnd(urgent["last"], urgent["chain"]), LaneEnd(ordinary["last"], ordinary["chain"])
    return urgent["incarnation"], ends


async def copy_streams(exchange: Exchange, instance: str, to: str) -> Rows:
    """Return the rows of an instance's streams to another one, for `put_streams_back`."""
    return await read_rows(exchange, instance, "SELECT * FROM stream WHERE peer = $1", to)


async def put_streams_back(exchange: Exchange, instance: str, rows: Rows) -> UUID:
    """Set streams back to these rows, as a restored disk does, and return their incarnation."""
    connection = await exchange.admin(instance)
    try:
        async with connection.transaction():
            for row in rows:
                await connection.execute("DELETE FROM stream WHERE peer = $1 AND lane = $2", row["peer"], row["lane"])
                slots = ", ".join(f"${place}" for place in range(1, len(row) + 1))
                await connection.execute(f"INSERT INTO stream ({', '.join(row.keys())}) VALUES ({slots})", *row)
                forget = "DELETE FROM segment WHERE peer = $1 AND incarnation = $2 AND lane = $3 AND first > $4"
                await connection.execute(forget, row["peer"], row["incarnation"], row["lane"], row["last"])
    finally:
        await connection.close()
    return rows[0]["incarnation"]


async def list_closed_incarnations(exchange: Exchange, instance: str, to: str) -> set[UUID]:
    """Name the earlier incarnations of an instance's streams to another one."""
    query = "SELECT incarnation FROM incarnation WHERE writer = $1 AND addressee = $2"
    return {row["incarnation"] for row in await read_rows(exchange, instance, query, instance, to)}


# -- received messages --------------------------------------------------------------------------------------


async def count_exceptions(exchange: Exchange, instance: str, *, writer: str | None = None) -> Counter[str]:
    """Count the unapplied messages of one writer, or of all, that the instance stores, by outcome."""
    query = "SELECT outcome, count(*) AS n FROM exception WHERE $1::text IS NULL OR writer = $1 GROUP BY 1"
    return Counter({row["outcome"]: row["n"] for row in await read_rows(exchange, instance, query, writer)})


async def count_open_outcomes(exchange: Exchange, instance: str) -> int:
    """Count the messages of the instance that others hold as exceptions, as they reported."""
    return int(await read_value(exchange, instance, "SELECT count(*) FROM outcome_open"))


async def count_applied_messages(exchange: Exchange, instance: str, messages: Sequence[UUID]) -> int:
    """Count the hotline's messages whose edge the instance has."""
    return len(await list_arrivals(exchange, instance, messages))


async def list_arrivals(exchange: Exchange, instance: str, messages: Sequence[UUID]) -> dict[UUID, datetime]:
    """Map the hotline's messages whose edge the instance has to the time of arrival."""
    had = {(row["item"], row["party"]): row["received_at"] for row in await read_rows(exchange, instance, _ARRIVALS)}
    items = await read_rows(exchange, "hotline", _ITEMS, list(messages))
    keys = {row["message_id"]: (row["item"], row["party"]) for row in items}
    return {message: had[key] for message, key in keys.items() if key in had}


async def list_publications(exchange: Exchange, instance: str, messages: Iterable[UUID]) -> dict[UUID, datetime]:
    """Map the hotline's messages to the instance that are in Kafka to the broker's time of the first copy."""
    wanted = {str(each): each for each in messages}
    found: dict[UUID, datetime] = {}
    for record in await list_records(exchange, inbox_topic(instance, "hotline")):
        message = wanted.get(message_id_of(record))
        if message is not None:
            found.setdefault(message, record.broker_time)
    return found


async def list_parties_told(exchange: Exchange, instance: str) -> set[str]:
    """Return the parties of the instance that received messages from others."""
    query = "SELECT DISTINCT recipient FROM track WHERE side = 0"
    return {row["recipient"] for row in await read_rows(exchange, instance, query)}


async def find_read_offset(exchange: Exchange, instance: str, topic: str, lane: Lane) -> int:
    """Return the offset that the instance reads next in one partition of a topic."""
    addressee, writer = topic.removeprefix(INBOXES).split(".")[:2]
    column = f"{lane.name.lower()}_next_offset"
    query = f"SELECT coalesce(max({column}), 0) FROM receive_state WHERE writer = $1 AND addressee = $2"
    return int(await read_value(exchange, instance, query, writer, addressee))


async def find_number_read(exchange: Exchange, instance: str, pair: Pair, lane: Lane) -> int:
    """Return the number up to which the instance has read a stream."""
    return (await find_end_read(exchange, instance, pair, lane) or (None, 0))[1]


async def pass_restored_hour(exchange: Exchange, instance: str) -> None:
    """Let the hour pass in which a restored origin issues nothing that an agency may hold."""
    await read_rows(exchange, instance, "UPDATE incarnation SET closed_at = closed_at - interval '1 hour'")


async def remove_dedupe(exchange: Exchange, instance: str, writer: str) -> None:
    """Remove the dedupe state of a writer's messages, and let the instance read their topic from the start.

    This removes the state of the streams, the applied acts of each track, and the revisions of edges.
    """
    for statement in (
        "DELETE FROM receive_state WHERE writer = $1",
        "DELETE FROM incarnation WHERE writer = $1",
        "UPDATE track SET track_acts = '{}', track_edges = '{}' WHERE peer = $1 AND side = 0",
    ):
        await read_rows(exchange, instance, statement, writer)


# -- the operator's list ------------------------------------------------------------------------------------


async def list_operator_lines(exchange: Exchange, instance: str, kind: str) -> Rows:
    """List `peer`, `subject` and `act` of each open line of this kind."""
    query = "SELECT peer, subject, act FROM operator_line WHERE kind = $1 AND closed_at IS NULL"
    return await read_rows(exchange, instance, query, kind)


async def list_forgotten_acts(
    exchange: Exchange, recipient: str, referrals: Iterable[UUID], parties: tuple[str, str]
) -> frozenset[UUID]:
    """List the referrals between two parties on which the recipient forgot an act of its own.

    The source is the recipient's operator list.
    """
    listed = {row["subject"] for row in await list_operator_lines(exchange, recipient, "act")}
    tracks = {each: edge_track(*parties, each, notice_id=None) for each in referrals}
    return frozenset(each for each, track in tracks.items() if track in listed)


def edge_track(sender: str, recipient: str, referral_id: UUID, *, notice_id: UUID | None) -> UUID | None:
    """Return the subject by which instances name the edge of a referral, or of a notice if its id is given."""
    message = REFERRAL_OFFERED if notice_id is None else NOTICE_ISSUED
    return track_of(message, sender, recipient, subject=notice_id or referral_id)


# -- Kafka --------------------------------------------------------------------------------------------------


async def find_bounds(exchange: Exchange, topic: str, lane: Lane = Lane.ORDINARY) -> Bounds:
    """Return the first offset of a partition and its end."""
    return await kafka_records.find_bounds(access_to(exchange.endpoints.kafka), topic, lane)


async def list_inbox_topics(exchange: Exchange) -> list[str]:
    return await kafka_records.list_topics(access_to(exchange.endpoints.kafka), under=INBOXES)


async def list_records(exchange: Exchange, topic: str) -> list[StoredRecord]:
    """List the messages of a topic, without proofs and acknowledgements."""
    found = await kafka_records.read_topic(access_to(exchange.endpoints.kafka), topic)
    return [record for record in found if record.is_message]


class GroupKeys(NamedTuple):
    """The key ids of one message's group: the sealing key, if it is sealed, and the signing key."""

    opening: str
    signing: str


async def list_group_keys(exchange: Exchange, topic: str) -> list[GroupKeys]:
    """List the keys of each message that a proof in the topic's ordinary lane proves, copies included."""
    newest = "SELECT body FROM document WHERE kind = 'directory' ORDER BY active_from DESC LIMIT 1"
    directory = read_directory(read_document(await read_value(exchange, "hotline", newest))[1])

    def find_key(_instance: str, key_id: str, _at: datetime) -> VerifyKey | None:
        entry = directory.signing_key(key_id)
        return None if entry is None else VerifyKey(entry.public)

    access, found = access_to(exchange.endpoints.kafka), list[GroupKeys]()
    for record in await kafka_records.read_partition(access, topic, Lane.ORDINARY):
        if record.texts.get(KIND) == PROOF:
            proof = parse_proof_record(record.value or b"", find_key, record.broker_time).proof
            for leaf in proof.leaves:
                group = proof.groups[leaf.group]
                sealed_to = group.wrap[2 : 2 + group.wrap[1]].decode() if group.wrap else ""
                found.append(GroupKeys(sealed_to, group.key_id))
    return found


def message_id_of(record: StoredRecord) -> str:
    return record.texts["ce_id"].decode()
