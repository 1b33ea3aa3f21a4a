"""The two implementations of each port, as one thing to test: in memory, and on the shared stack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest

from deploy.devstack.stack import DevStack
from shared.envelope.datakeys import KeyEncryptionKey
from shared.envelope.keys import SigningKey
from shared.exchange.message import Draft, Record
from shared.kernel.clock import SystemClock
from shared.runtime.database.migrate import upgrade
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.kafka.reader import LogReader
from shared.runtime.kafka.writer import KafkaLogWriter
from shared.runtime.post.awaiting import Room
from shared.runtime.post.cursors import PostgresCursors
from shared.runtime.post.inbox import Keeping, PostgresInbox
from shared.runtime.post.outbox import PostgresOutbox, enqueue
from shared.runtime.post.ports import CursorStore, InboxStore, LogWriter, OutboxStore
from tests.support.builders import TOPIC
from tests.support.memory_arrivals import Keeping as MemoryKeeping
from tests.support.memory_arrivals import MemoryCursors
from tests.support.memory_stores import MemoryDatabase, MemoryInbox, MemoryLog, MemoryLogWriter, MemoryOutbox

KEY = SigningKey(bytes(range(32)))
KEK = KeyEncryptionKey(bytes(range(32)))
_TABLES = (
    "outbox", "sent", "pair_sequence", "closed_epoch", "signed_again",
    "inbox", "quarantine", "pair_taken", "gone", "awaiting", "topic_cursor", "topic_reader", "topic_lease",
)  # fmt: skip
LEASE_S = 0.4
#: What the stores' instance has by now; a test puts in what comes.
HAS: set[str] = set()
ROOM = Room(rows_max=3, bytes_max=1_000)


@dataclass(frozen=True)
class Stores:
    """One instance's stores, empty. `enqueue` commits drafts; `sent` is what was receipted; `parked` counts."""

    outbox: OutboxStore
    inbox: InboxStore
    enqueue: Callable[[Sequence[Draft]], Awaitable[None]]
    sent: Callable[[], Awaitable[dict[UUID, tuple[str, str | None]]]]
    waiting: Callable[[], Awaitable[list[UUID]]]
    parked: Callable[[], Awaitable[int]]
    woken: list[None]
    #: A restore that PostgreSQL can tell, and the counters of all pairs set back by a number, which it cannot.
    restore: Callable[[], Awaitable[None]]
    wind_back: Callable[[int], Awaitable[None]]
    cursors: CursorStore
    #: Numbers and messages that their sender had no more, as (first, last, message id).
    gone: Callable[[], Awaitable[list[tuple[int, int, UUID | None]]]]


@dataclass(frozen=True)
class Log:
    """A log and its writer; `read` gives what was appended to the test's topic since it began, by partition."""

    writer: LogWriter
    read: Callable[[], Awaitable[list[list[Record]]]]


@pytest.fixture(params=["memory_stores", "postgres_stores"])
def stores(request: pytest.FixtureRequest) -> Stores:
    HAS.clear()
    chosen: Stores = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture(params=["memory_log", "kafka_log"])
def log(request: pytest.FixtureRequest) -> Log:
    chosen: Log = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
async def postgres_stores(hotline_url: str) -> AsyncIterator[Stores]:
    database = Database(hotline_url)
    async with database.transaction() as session:
        for table in _TABLES:
            await session.driver.execute(f"DELETE FROM {table}")
    yield _postgres_stores(database)
    await database.close()


@pytest.fixture
def memory_log() -> Log:
    memory = MemoryLog(SystemClock())

    async def held() -> list[list[Record]]:
        return [memory.partitions.get((TOPIC, 0), [])]

    return Log(MemoryLogWriter(memory, instance="hotline"), held)


@pytest.fixture
async def kafka_log(stack: DevStack) -> AsyncIterator[Log]:
    def access(principal: str) -> KafkaAccess:
        kafka = stack.endpoints.kafka
        return KafkaAccess(kafka.bootstrap_servers, principal, kafka.passwords[principal])

    writer = KafkaLogWriter(access("hotline"), instance="hotline")
    reader = LogReader(access("audit"), [TOPIC], client_id="conformance")
    begun = await reader.bounds()

    async def appended() -> list[list[Record]]:
        found: list[list[Record]] = []
        for where, bounds in sorted((await reader.bounds()).items()):
            read: list[Record] = []
            if begun[where].end < bounds.end:
                async for batch in reader.read_range(where, begun[where].end, bounds.end):
                    read += batch
            found.append(read)
        return found

    yield Log(writer, appended)
    await writer.close()


@pytest.fixture(scope="session")
async def hotline_url(stack: DevStack) -> str:
    """The hotline's database with its newest tables, as its login role reaches it."""
    endpoint = stack.endpoints.databases["hotline"]
    await asyncio.to_thread(upgrade, "hotline", endpoint.owner_url)
    return endpoint.service_url


@pytest.fixture
def memory_stores() -> Stores:
    database = MemoryDatabase()
    woken: list[None] = []

    async def put(drafts: Sequence[Draft]) -> None:
        async with database.transaction("enqueue") as state:
            database.enqueue(state, drafts)

    async def sent() -> dict[UUID, tuple[str, str | None]]:
        return {id_: (each.outcome.value, each.code) for id_, each in database.state.sent.items()}

    async def waiting() -> list[UUID]:
        return [row.draft.message_id for row in database.state.outbox.values()]

    async def parked() -> int:
        return len(database.state.quarantine)

    async def restore() -> None:
        database.life += 1

    async def wind_back(count: int) -> None:
        for pair, counter in database.state.counters.items():
            database.state.counters[pair] = counter._replace(last=counter.last - count)

    async def gone() -> list[tuple[int, int, UUID | None]]:
        return sorted((first, last, id_) for (*_, first, last), id_ in database.state.gone.items())

    outbox = MemoryOutbox(database, instance="hotline", key=KEY)
    keeping = MemoryKeeping(lambda need: str(need) in HAS, ROOM)
    inbox = MemoryInbox(database, wake=lambda: woken.append(None), keeping=keeping)
    cursors = MemoryCursors(lambda: database.state.cursors, SystemClock().now, lease_s=LEASE_S)
    return Stores(outbox, inbox, put, sent, waiting, parked, woken, restore, wind_back, cursors, gone)


def _postgres_stores(database: Database) -> Stores:
    woken: list[None] = []

    async def put(drafts: Sequence[Draft]) -> None:
        async with database.transaction() as session:
            await enqueue(session.driver, drafts)

    async def sent() -> dict[UUID, tuple[str, str | None]]:
        async with database.transaction() as session:
            rows = await session.driver.fetch("SELECT message_id, outcome, code FROM sent")
        return {row["message_id"]: (row["outcome"], row["code"]) for row in rows}

    async def waiting() -> list[UUID]:
        async with database.transaction() as session:
            return [
                row["message_id"] for row in await session.driver.fetch("SELECT message_id FROM outbox ORDER BY id")
            ]

    async def parked() -> int:
        async with database.transaction() as session:
            count: int = await session.driver.fetchval("SELECT count(*) FROM quarantine")
        return count

    scope = RowScope(["hotline-fr.example"], "service", "apply")
    keeping = Keeping(KEK, lambda need: str(need) in HAS, ROOM)
    inbox = PostgresInbox(database, scope=lambda: scope, keeping=keeping, wake=lambda: woken.append(None))
    outbox = PostgresOutbox(database, instance="hotline", key=KEY)

    async def gone() -> list[tuple[int, int, UUID | None]]:
        rows = await database.fetch("SELECT first, last, message_id FROM gone ORDER BY first")
        return [(row["first"], row["last"], row["message_id"]) for row in rows]

    async def execute(statement: str, *arguments: object) -> None:
        async with database.transaction() as session:
            await session.driver.execute(statement, *arguments)

    return Stores(
        outbox,
        inbox,
        put,
        sent,
        waiting,
        parked,
        woken,
        # What it kept of before is what a restore brings back; the timeline is the one that goes on.
        lambda: execute("UPDATE pair_sequence SET timeline = timeline - 1"),
        lambda count: execute("UPDATE pair_sequence SET last = last - $1::bigint", count),
        PostgresCursors(database, lease_s=LEASE_S),
        gone,
    )
