"""The two implementations of each port, as one thing to test: in memory, and on the shared stack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast
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
from shared.runtime.post.lease import Lease
from shared.runtime.post.numbering import Numbering
from shared.runtime.post.outbox import PostgresLanes, enqueue
from shared.runtime.post.peers import PeerBook, PostgresPeers
from shared.runtime.post.ports import CursorStore, InboxStore, LaneStore, LogWriter, Unit
from tests.support.builders import TOPIC
from tests.support.memory_arrivals import Keeping as MemoryKeeping
from tests.support.memory_cursors import MemoryCursors
from tests.support.memory_outbox import MemoryLanes
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_stores import MemoryDatabase, MemoryInbox, MemoryLog, MemoryLogWriter, State

KEY = SigningKey(bytes(range(32)))
KEK = KeyEncryptionKey(bytes(range(32)))
_TABLES = (
    "lane", "lane_end", "segment", "outbox", "settled", "mark", "lease", "pair_sequence", "closed_epoch", "inbox",
    "quarantine", "pair_taken", "gone", "awaiting", "topic_cursor", "topic_reader", "topic_lease",
    "peer",
)  # fmt: skip
#: What was kept of before is what a restore brings back; the timeline is the one that goes on.
_RESTORED = """
WITH pairs AS (UPDATE pair_sequence SET timeline = timeline - 1) UPDATE life SET timeline = timeline - 1
"""
_FENCE = 1
#: Longer than a test is likely to be held up between two statements.
LEASE_S = 3.0
#: What the stores' instance has by now; a test puts in what comes.
HAS: set[str] = set()
ROOM = Room(rows_max=3, bytes_max=1_000)


@dataclass(frozen=True)
class Stores:
    """One instance's stores, empty. `enqueue` commits drafts; `held` is the outbox by position, `outcomes` all answers.

    `parked` counts.
    """

    lanes: LaneStore
    inbox: InboxStore
    enqueue: Callable[[Sequence[Draft]], Awaitable[None]]
    held: Callable[[], Awaitable[list[UUID]]]
    settled: Callable[[], Awaitable[list[UUID]]]
    outcomes: Callable[[], Awaitable[dict[UUID, tuple[str | None, str | None]]]]
    segments: Callable[[], Awaitable[int]]
    parked: Callable[[], Awaitable[int]]
    woken: list[None]
    #: A restore that PostgreSQL can tell, and the counters of all pairs set back by a number, which it cannot.
    restore: Callable[[], Awaitable[None]]
    wind_back: Callable[[int], Awaitable[None]]
    #: Another process becomes the relay.
    take_lease: Callable[[], Awaitable[None]]
    cursors: CursorStore
    #: Numbers and messages that their sender had no more, as (first, last, message id).
    gone: Callable[[], Awaitable[list[tuple[int, int, UUID | None]]]]
    #: What peers have said, within the transaction of a unit.
    peers: Callable[[Unit], PeerBook]


@dataclass(frozen=True)
class Log:
    """A log and its writer; `read` gives what was appended to the test's topic since it began, by partition."""

    writer: LogWriter
    read: Callable[[], Awaitable[list[list[Record]]]]
    #: Tells a log in memory what Kafka finds by itself.
    never_takes: Callable[[bytes], None] = lambda _: None


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
    database.last_step = Numbering("hotline", KEY)
    async with database.transaction() as session:
        for table in _TABLES:
            await session.driver.execute(f"DELETE FROM {table}")
    assert await Lease(database, "relay").wait() == _FENCE
    yield _postgres_stores(database)
    await database.close()


@pytest.fixture
def memory_log() -> Log:
    memory = MemoryLog(SystemClock())

    async def held() -> list[list[Record]]:
        return [memory.records(TOPIC)]

    writer: MemoryLogWriter[MemoryLog] = MemoryLogWriter(memory, instance="hotline")

    def never_takes(value: bytes) -> None:
        writer.never_taken |= {value}

    return Log(writer, held, never_takes)


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
    database = MemoryDatabase(key=KEY)
    woken: list[None] = []

    async def put(drafts: Sequence[Draft]) -> None:
        async with database.transaction("enqueue") as state:
            database.enqueue(state, drafts)

    async def held() -> list[UUID]:
        rows = sorted(database.state.outbox.items(), key=lambda each: each[1].position)
        return [message_id for message_id, _ in rows]

    async def settled() -> list[UUID]:
        return list(database.state.settled)

    async def outcomes() -> dict[UUID, tuple[str | None, str | None]]:
        rows = database.state.settled | database.state.outbox
        return {id_: (row.outcome.value, row.code) for id_, row in rows.items() if row.outcome is not None}

    async def segments() -> int:
        return len({id(row.message) for row in database.state.outbox.values()})

    async def parked() -> int:
        return len(database.state.quarantine)

    async def restore() -> None:
        database.life += 1

    async def wind_back(count: int) -> None:
        for pair, counter in database.state.counters.items():
            database.state.counters[pair] = counter._replace(last=counter.last - count)

    async def take_lease() -> None:
        database.relay_is_another = True

    async def gone() -> list[tuple[int, int, UUID | None]]:
        return sorted((first, last, id_) for (*_, first, last), id_ in database.state.gone.items())

    def peers(unit: Unit) -> PeerBook:
        return MemoryPeers(database, cast(State, unit.connection))

    keeping = MemoryKeeping(lambda need: str(need) in HAS, ROOM)
    inbox = MemoryInbox(database, wake=lambda: woken.append(None), keeping=keeping)
    reading = (put, held, settled, outcomes, segments, parked)
    cursors = MemoryCursors(lambda: database.state.cursors, SystemClock().now, lease_s=LEASE_S)
    return Stores(MemoryLanes(database), inbox, *reading, woken, restore, wind_back, take_lease, cursors, gone, peers)


def _postgres_stores(database: Database) -> Stores:
    woken: list[None] = []

    async def put(drafts: Sequence[Draft]) -> None:
        async with database.transaction() as session:
            await enqueue(session.driver, drafts)

    async def ids(statement: str) -> list[UUID]:
        return [row["message_id"] for row in await database.fetch(statement)]

    async def outcomes() -> dict[UUID, tuple[str | None, str | None]]:
        rows = await database.fetch("""
            SELECT message_id, outcome, code FROM settled WHERE outcome IS NOT NULL
            UNION ALL SELECT message_id, outcome, code FROM outbox WHERE outcome IS NOT NULL
        """)
        return {row["message_id"]: (row["outcome"], row["code"]) for row in rows}

    async def counted(table: str) -> int:
        count: int = (await database.fetch(f"SELECT count(*) AS n FROM {table}"))[0]["n"]
        return count

    async def gone() -> list[tuple[int, int, UUID | None]]:
        rows = await database.fetch("SELECT first, last, message_id FROM gone ORDER BY first")
        return [(row["first"], row["last"], row["message_id"]) for row in rows]

    async def execute(statement: str, *arguments: object) -> None:
        async with database.transaction() as session:
            await session.driver.execute(statement, *arguments)

    scope = RowScope(["hotline-fr.example"], "service", "apply")
    keeping = Keeping(KEK, lambda need: str(need) in HAS, ROOM)
    return Stores(
        PostgresLanes(database, fence=_FENCE),
        PostgresInbox(database, scope=lambda: scope, keeping=keeping, wake=lambda: woken.append(None)),
        put,
        lambda: ids("SELECT message_id FROM outbox ORDER BY position"),
        lambda: ids("SELECT message_id FROM settled"),
        outcomes,
        lambda: counted("segment"),
        lambda: counted("quarantine"),
        woken,
        lambda: execute(_RESTORED),
        lambda count: execute("UPDATE pair_sequence SET last = last - $1::bigint", count),
        lambda: execute("UPDATE lease SET fence = fence + 1"),
        PostgresCursors(database, lease_s=LEASE_S),
        gone,
        lambda unit: PostgresPeers(unit.connection.driver),
    )
