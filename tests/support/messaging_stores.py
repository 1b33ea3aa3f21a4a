"""The stores of messaging behind one interface for tests, and databases that have only its tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.ids import uuid7
from shared.messaging import store
from shared.messaging.exceptions import Coordinates, NamedMessage, OpenException, Outcome, OutcomeKind, TakenMessage
from shared.messaging.segments import NewMessages, OutgoingMessage, RecordBytes, Segment, place_segment
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import Lane, Outgoing, Pair, StreamPlace, WireRole, begin_outgoing
from shared.platform.database.transactions import Database
from tests.services.databases import running_postgres
from tests.support.messaging_memory import MemoryDatabase

OWN: Final = "hotline"
AT: Final = datetime(2030, 5, 1, 12, tzinfo=UTC)
TODAY: Final = AT.date()
SCHEMA: Final = Path(store.__file__).parent.parent / "schema.sql"
TABLES: Final = (
    *("stream_pair", "stream", "segment", "receive_state", "incarnation", "exception"),
    *("content_proof", "outcome_open", "resync_state", "operator_line"),
)


@dataclass(frozen=True)
class MessagingStore:
    """The messaging tables of one instance, empty."""

    transaction: Callable[[], AbstractAsyncContextManager[PostgresMessagingTx]]


@contextmanager
def messaging_database(folder: Path) -> Iterator[DatabaseEndpoint]:
    """Run a server with one database that has the tables of messaging, and the partitions of four days."""
    with running_postgres(folder, OWN) as endpoint:
        asyncio.run(run_as_owner(endpoint, SCHEMA.read_text(encoding="utf-8")))
        yield endpoint


async def run_as_owner(endpoint: DatabaseEndpoint, text: str) -> None:
    """Run statements as the owner of the tables."""
    owner = await asyncpg.connect(endpoint.owner_url)
    try:
        await owner.execute(text)
    finally:
        await owner.close()


@asynccontextmanager
async def opened_database(endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    """Empty the tables, and yield pooled access to them under the service's role."""
    await run_as_owner(endpoint, f"TRUNCATE {', '.join(TABLES)}")
    database = Database(endpoint.service_url, pool_size=4)
    try:
        yield database
    finally:
        await database.close()


def postgres_store(database: Database) -> MessagingStore:
    """Return the adapter over a database."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[PostgresMessagingTx]:
        async with database.transaction(keeps_plans=True) as session:
            yield PostgresMessagingTx(session, OWN)

    return MessagingStore(transaction)


def memory_store(database: MemoryDatabase) -> MessagingStore:
    """Return the adapter in memory."""

    @asynccontextmanager
    async def transaction() -> AsyncIterator[PostgresMessagingTx]:
        with database.transaction() as tx:
            yield tx

    return MessagingStore(transaction)


def build_message(number: int = 0) -> OutgoingMessage:
    """Return a message whose digest and value begin with a number."""
    record = RecordBytes(b"key", (("ce_type", b"state"), ("ce_id", b"%d" % number)), b"value %d" % number)
    digest = number.to_bytes(4, "big") + bytes(28)
    return OutgoingMessage(uuid7(), WireRole.STATE, "referral.state", uuid7(), digest, record, False)


def begin_streams(peer: str = "industry") -> Outgoing:
    """Return the streams to a peer, without any assigned number."""
    return begin_outgoing(Pair(OWN, peer), uuid7(), AT, is_audited=True, pause_s=60)


def place_messages(outgoing: Outgoing, count: int, *, lane: Lane = Lane.ORDINARY, day: date = TODAY) -> Segment:
    """Number `count` new messages in a stream, as one segment."""
    first = outgoing.lanes[lane].last + 1
    messages = tuple(build_message(number) for number in range(first, first + count))
    unplaced = NewMessages(outgoing.pair, lane, messages, b"proof")
    return place_segment(unplaced, outgoing.incarnation, outgoing.lanes[lane], day=day)


def build_exception(
    *,
    writer: str = "industry",
    lane: Lane = Lane.ORDINARY,
    subject: UUID | None = None,
    kind: OutcomeKind = OutcomeKind.WAITING,
    age: int = 0,
    acts: Sequence[UUID] = (),
) -> OpenException:
    """Return a message that is stored here since `age` seconds before `AT`."""
    named = NamedMessage(uuid7(), WireRole.STATE, "referral.state", subject or uuid7(), 3, b"c" * 32, (*acts,), uuid7())
    where = Coordinates(uuid7(), 17, AT - timedelta(seconds=age + 1))
    taken = TakenMessage(writer, StreamPlace(uuid7(), lane, 9), b"h" * 32, named, b"record", where)
    return OpenException(taken, Outcome(named, kind, "directory:7"), AT - timedelta(seconds=age))
