"""The books: what each side has written down, read by its accountant role, by audit, and afresh from Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from deploy.operator.documents import document_in_force
from deploy.site.access import kafka_access
from deploy.site.endpoints import Endpoints
from deploy.site.kinds import AUDIT, keeps_referrals, kind_serving
from shared.contracts.registry import BY_TYPE, Family
from shared.envelope.batch import message_digest
from shared.envelope.headers import decode_headers
from shared.exchange.message import Record
from shared.exchange.topics import INBOXES
from shared.kernel.errors import Refused, Unavailable
from shared.routing.shelf import read_directory
from shared.runtime.kafka.reader import LogReader

CONNECT_S_MAX: Final = 10.0
#: Decisions that their facts do not lead to, and messages that commit to another edge than audit was told of.
_UNDERIVED: Final = """
SELECT topic, partition, "offset" FROM entry WHERE problem = 'decision_not_derived'
UNION
SELECT e.topic, e.partition, e."offset" FROM entry AS e
JOIN link AS l ON l.edge_id = e.edge_id AND l.origin = e.sender AND l.recipient = e.recipient
GROUP BY e.topic, e.generation, e.partition, e."offset" HAVING NOT bool_or(e.commitment = l.commitment)
"""
#: Sender, recipient and epoch: numbers are dense within it.
Pair = tuple[str, str, UUID]
Coordinate = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One message as one book has it. `outcome` is empty where the book does not say."""

    message_id: UUID
    pair: Pair
    sequence: int
    digest: str
    type: str
    outcome: str = ""
    at: Coordinate | None = None


@dataclass(slots=True)
class Books:
    """Everything reconciliation compares. Each dictionary is by message id unless said otherwise."""

    last_sequence: dict[Pair, int] = field(default_factory=dict)
    #: Pairs whose epoch has ended. What a restored database gave out before, it no longer knows.
    closed: set[Pair] = field(default_factory=set)
    #: What a sender still holds, and the newest answer to what it has or had.
    in_outbox: dict[UUID, Line] = field(default_factory=dict)
    edges_waiting: int = 0
    receipted: dict[UUID, Line] = field(default_factory=dict)
    received: dict[UUID, Line] = field(default_factory=dict)
    in_kafka: dict[UUID, list[Line]] = field(default_factory=dict)
    kafka_records: set[Coordinate] = field(default_factory=set)
    audited: dict[Coordinate, int | None] = field(default_factory=dict)
    audit_generations: dict[str, int] = field(default_factory=dict)
    audited_sequences: dict[Pair, set[int]] = field(default_factory=dict)
    intake: dict[tuple[str, str], int] = field(default_factory=dict)
    referrals: dict[tuple[str, str], int] = field(default_factory=dict)
    decided_facts: dict[tuple[str, str], int] = field(default_factory=dict)
    refused_facts: dict[str, int] = field(default_factory=dict)
    #: State and id of each edge, by the message that carries it.
    edges: dict[UUID, str] = field(default_factory=dict)
    edge_ids: dict[UUID, UUID] = field(default_factory=dict)
    #: Edges that audit was told of by who filed them, by their ids, and where it was told what does not derive.
    links: set[UUID] = field(default_factory=set)
    underived: set[Coordinate] = field(default_factory=set)
    #: Who filed each edge's referral, by the edge's id.
    filed_by: dict[UUID, str] = field(default_factory=dict)
    #: What audit found to be none of its sender's to say, by where it lies: no line of it stands in `in_kafka`.
    not_entitled: dict[Coordinate, str] = field(default_factory=dict)


_COUNTERS: Final = """
SELECT sender, recipient, epoch, last, false AS closed FROM pair_sequence
UNION ALL SELECT sender, recipient, epoch, last, true FROM closed_epoch
"""
_HELD: Final = "SELECT message_id, type, sender, recipient, epoch, sequence, digest FROM outbox"
_ANSWERED: Final = """
SELECT message_id, type, sender, recipient, epoch, sequence, digest, outcome FROM settled WHERE outcome IS NOT NULL
UNION ALL
SELECT message_id, type, sender, recipient, epoch, sequence, digest, outcome FROM outbox WHERE outcome IS NOT NULL
"""


async def read_books(endpoints: Endpoints) -> Books:
    """Read all books. What is on its way while they are read may stand in one and not yet in another.

    Raises `Refused`, before any is read, where the site lacks an instance of the directory or knows one as of another
    kind: books that nobody read add up too. An instance that the site alone still has is read with the others.
    """
    books, kinds = Books(), _kinds(endpoints)
    for instance, kind in kinds.items():
        if kind != AUDIT:
            await _read_service(books, kind, endpoints.database(instance).accountant_url)
    await _read_kafka(books, endpoints)
    for instance, kind in kinds.items():
        if kind == AUDIT:
            await _read_audit(books, endpoints.database(instance).accountant_url, endpoints)
    return books


def _kinds(endpoints: Endpoints) -> dict[str, str]:
    """The kind of every instance whose books count, by its name."""
    directory = read_directory(document_in_force(endpoints.state or Path(), "directory"))
    known = {instance: kind_serving(party) for instance, party in directory.kinds().items()}
    for instance, kind in known.items():
        if endpoints.kind(instance) != kind:
            raise Refused("instance_of_another_kind", f"`{instance}` is {kind} by the directory", status=400)
        endpoints.database(instance)
    return known | {name: endpoints.kind(name) for name in endpoints.databases}


async def _read_service(books: Books, kind: str, url: str) -> None:
    connection = await _connected(url)
    try:
        # One snapshot per database: within it, nothing moves from the outbox to the receipts.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            for row in await connection.fetch(_COUNTERS):
                books.last_sequence[_pair(row)] = row["last"]
                if row["closed"]:
                    books.closed.add(_pair(row))
            books.in_outbox |= _lines(await connection.fetch(_HELD))
            books.receipted |= _lines(await connection.fetch(_ANSWERED))
            books.received |= _lines(await connection.fetch("SELECT * FROM inbox"))
            if keeps_referrals(kind):
                await _read_origin(books, connection)
    finally:
        await connection.close()


async def _read_origin(books: Books, connection: asyncpg.Connection) -> None:
    for row in await connection.fetch("SELECT party, fate, count FROM intake_count"):
        books.intake[row["party"], row["fate"]] = row["count"]
    counted = "SELECT party, disposition, count(*) AS n FROM referral GROUP BY party, disposition"
    for row in await connection.fetch(counted):
        books.referrals[row["party"], row["disposition"]] = row["n"]
    for row in await connection.fetch("SELECT edge_id, message_id, messages_before, party, state FROM edge"):
        if row["message_id"] is None:
            # Of those whose recipient cannot read them nobody was told yet, so they are on no other account.
            books.edges_waiting += row["state"] == "waiting"
            continue
        # What carried it to where its recipient was before is no edge of its own.
        books.edges |= dict.fromkeys(row["messages_before"], "moved")
        books.edges[row["message_id"]] = row["state"]
        books.edge_ids[row["message_id"]] = row["edge_id"]
        books.filed_by[row["edge_id"]] = row["party"]


async def _read_kafka(books: Books, endpoints: Endpoints) -> None:
    reader = LogReader(kafka_access(endpoints, "audit"), client_id="causeway-accounting", under=INBOXES)
    for where, bounds in (await reader.bounds()).items():
        if bounds.first < bounds.end:
            async with aclosing(reader.read_range(where, bounds.first, bounds.end)) as batches:
                async for batch in batches:
                    for record in batch:
                        _note_record(books, record)


def _note_record(books: Books, record: Record) -> None:
    at = (record.topic, record.partition, record.offset)
    books.kafka_records.add(at)
    try:
        envelope = decode_headers(record.headers, record.value or b"")
    except Refused:
        return
    attributes = envelope.attributes
    line = Line(
        attributes.id,
        (attributes.sender, attributes.recipient, attributes.epoch),
        attributes.sequence,
        message_digest(attributes, envelope.body),
        attributes.type,
        at=at,
    )
    books.in_kafka.setdefault(attributes.id, []).append(line)


async def _connected(url: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(url, timeout=CONNECT_S_MAX)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        raise Unavailable("database_unavailable") from None


async def _read_audit(books: Books, url: str, endpoints: Endpoints) -> None:
    reader = LogReader(kafka_access(endpoints, "audit"), client_id="causeway-accounting", under=INBOXES)
    generations = await reader.topic_ids()
    connection = await _connected(url)
    try:
        rows = await connection.fetch('SELECT topic, generation, partition, "offset", previous_offset FROM entry')
        for row in rows:
            if generations.get(row["topic"]) == row["generation"]:
                books.audited[row["topic"], row["partition"], row["offset"]] = row["previous_offset"]
        for row in await connection.fetch("SELECT topic, count(DISTINCT generation) AS n FROM entry GROUP BY topic"):
            books.audit_generations[row["topic"]] = row["n"]
        for row in await connection.fetch("SELECT sender, recipient, epoch, sequence FROM entry WHERE verified"):
            books.audited_sequences.setdefault(_pair(row), set()).add(row["sequence"])
        await read_facts(books, connection)
        await set_apart(books, connection, generations)
        for row in await connection.fetch(_UNDERIVED):
            books.underived.add((row["topic"], row["partition"], row["offset"]))
    finally:
        await connection.close()


async def set_apart(books: Books, connection: asyncpg.Connection, generations: Mapping[str, UUID]) -> None:
    """Take what nobody was entitled to say out of the lines: it is its sender's doing, not whom it speaks of."""
    for row in await connection.fetch("""
        SELECT topic, generation, partition, "offset", sender, type FROM entry WHERE kind = 'not_entitled'
    """):
        if generations.get(row["topic"]) == row["generation"]:
            place = (row["topic"], row["partition"], row["offset"])
            books.not_entitled[place] = f"{row['sender']} had no right to say {row['type']}"
    for message_id, lines in list(books.in_kafka.items()):
        kept = [line for line in lines if line.at not in books.not_entitled]
        if kept:
            books.in_kafka[message_id] = kept
        else:
            del books.in_kafka[message_id]


async def read_facts(books: Books, connection: asyncpg.Connection) -> None:
    """Read what origins stated of decisions, refusals and edges: of each what its own instance stated, nobody else."""
    # A referral that was decided again is stated again: it is counted once, as it was decided first, by its own origin.
    # What somebody states who does not serve that origin is of another kind, and not counted at all.
    decided = """
        SELECT origin, disposition, count(*) AS n FROM (
            SELECT DISTINCT ON (detail->>'origin', detail->>'referral_id') detail->>'origin' AS origin,
                   detail->>'disposition' AS disposition
            FROM entry WHERE kind = 'decision' AND detail ? 'origin'
            ORDER BY detail->>'origin', detail->>'referral_id', sequence
        ) AS first GROUP BY origin, disposition
    """
    for row in await connection.fetch(decided):
        books.decided_facts[row["origin"], row["disposition"]] = row["n"]
    refused = """
        SELECT detail->>'origin' AS origin, count(DISTINCT message_id) AS n FROM entry WHERE kind = 'refusal' GROUP BY 1
    """
    for row in await connection.fetch(refused):
        books.refused_facts[row["origin"]] = row["n"]
    for row in await connection.fetch("SELECT edge_id, origin FROM link"):
        # Another's word on an edge does not say that its own origin has told audit of it.
        if row["origin"] == books.filed_by.get(row["edge_id"], row["origin"]):
            books.links.add(row["edge_id"])


def counted(type_text: str) -> bool:
    """Whether messages of this type are receipted and counted: those between two parties."""
    message = BY_TYPE.get(type_text)
    return message is not None and message.family in (Family.REFERRAL, Family.NOTICE)


def _pair(row: Mapping[str, Any]) -> Pair:
    return row["sender"], row["recipient"], row["epoch"]


def _lines(rows: Iterable[Mapping[str, object]]) -> dict[UUID, Line]:
    lines = {}
    for row in rows:
        values = dict(row)
        at = (values["topic"], values["partition"], values["offset"]) if "offset" in values else None
        line = Line(
            values["message_id"],  # type: ignore[arg-type]
            _pair(values),
            values["sequence"],  # type: ignore[arg-type]
            values["digest"],  # type: ignore[arg-type]
            values["type"],  # type: ignore[arg-type]
            str(values.get("outcome") or ""),
            at,  # type: ignore[arg-type]
        )
        lines[line.message_id] = line
    return lines
