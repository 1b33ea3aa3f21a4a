"""All valid keys are in memory before a port opens. An unknown key costs no query and delays no valid key."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from shared.core.authority import Role
from shared.core.clock import SystemClock
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Defect, Refused, Unavailable
from shared.core.ids import uuid7
from shared.platform.admission import key_table
from shared.platform.admission.budgets import BudgetLimits, Budgets
from shared.platform.admission.key_table import OUTDATED_S, REVOKED_S, KeyTable
from shared.platform.console.accounts import Person, end_person, permit
from shared.platform.database.transactions import Database
from shared.platform.http import identity
from shared.platform.http.edge import create_app
from shared.platform.http.identity import ApiKeys, identified, issue_key, keep_key, key_hash, revoke_key, whoami_router
from tests.shared.core.routing.builders import directory_of, hotline
from tests.shared.platform.builders import NOW
from tests.shared.platform.http.test_http import served
from tests.support.manual_clock import ManualClock

PARTY = "sandbox.example"
DIRECTORY = directory_of(hotline(PARTY, "NL"))
CONNECTIONS = 200


class Seconds:
    """A monotonic clock that a test advances."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Queries:
    """A database that counts the queries of its connections. It fails with `errors`, then with `error` if it is set.

    The first `hangs_count` connections are never opened. `between` runs once, after the first page of keys.
    """

    def __init__(self, database: Database) -> None:
        self._database, self.count, self.hangs_count = database, 0, 0
        self.errors: list[BaseException] = []
        self.error: BaseException | None = None
        self.between: Callable[[], Awaitable[None]] | None = None

    @asynccontextmanager
    async def own_connection(self) -> AsyncIterator[Any]:
        if error := self.errors.pop() if self.errors else self.error:
            raise error
        if self.hangs_count:
            self.hangs_count -= 1
            await asyncio.Event().wait()
        async with self._database.own_connection() as self._connection:
            yield self

    async def fetch(self, *asked: Any) -> list[Any]:
        self.count += 1
        rows: list[Any] = await self._connection.fetch(*asked)
        if self.between is not None and len(asked) > 1:
            between, self.between = self.between, None
            await between()
        return rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Link:
    """A TCP relay to a database. After `freeze` its open connections carry nothing, and stay open."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._thawed: list[asyncio.Event] = []
        self._relays: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        async with await asyncio.start_server(self._relay, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            database = Database(
                self._to._replace(netloc=f"{self._to.netloc.rpartition('@')[0]}@127.0.0.1:{port}").geturl()
            )
            yield database
            for relay in self._relays:
                relay.cancel()
            await database.close()

    def freeze(self) -> None:
        for thawed in self._thawed:
            thawed.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        thawed = asyncio.Event()
        thawed.set()
        self._thawed.append(thawed)
        far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._relays.add(asyncio.create_task(_carried(source, sink, thawed)))


async def _carried(source: asyncio.StreamReader, sink: asyncio.StreamWriter, thawed: asyncio.Event) -> None:
    try:
        while read := await source.read(1 << 16):
            await thawed.wait()
            sink.write(read)
    finally:
        sink.close()


@pytest.fixture
async def table(database: Database) -> AsyncIterator[KeyTable]:
    opened = KeyTable(database)
    await opened.open()
    yield opened
    await opened.close()


async def issued(database: Database, *, person: str | None = None) -> str:
    text, hashed = issue_key(live=False)
    async with database.transaction() as session:
        await keep_key(session.driver, hashed, PARTY, role=Role.MACHINE, person=person)
    return text


async def ended(table: KeyTable, text: str, *, within_s: float = 60) -> float:
    """Return the seconds until the key opens nothing."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while table.find(key_hash(text)) is not None:  # noqa: ASYNC110 - the change has no event here
            await asyncio.sleep(0.01)
    return time.monotonic() - began


async def known(table: KeyTable, text: str) -> None:
    async with asyncio.timeout(60):
        while table.find(key_hash(text)) is None:  # noqa: ASYNC110 - the change has no event here
            await asyncio.sleep(0.01)


@pytest.mark.timing
@pytest.mark.parametrize("polls", [True, False], ids=["by the poll", "by a notification"])
async def test_a_change_of_the_table_is_known_by_notification_and_by_poll(
    database: Database, monkeypatch: pytest.MonkeyPatch, polls: bool
) -> None:
    if polls:
        monkeypatch.setattr(key_table, "POLL_S", 0.05)
        monkeypatch.setattr(identity, "NOTIFY", "SELECT 1")
    else:
        monkeypatch.setattr(key_table, "POLL_S", 600)
    table = KeyTable(database)
    await table.open()
    await asyncio.sleep(0.5)  # it listens
    text = await issued(database)
    await known(table, text)
    async with database.transaction() as session:
        await revoke_key(session.driver, key_hash(text), NOW)
    await ended(table, text)
    await table.close()


@pytest.mark.timing
async def test_a_key_of_a_person_has_their_role_and_ends_with_them(database: Database, table: KeyTable) -> None:
    person = Person(PARTY, "5d0c" * 8)
    async with database.transaction() as session:
        await permit(session.driver, person, Role.ANALYST)
    text = await issued(database, person=person.actor)
    await known(table, text)
    found = table.find(key_hash(text))
    assert found is not None
    assert found[:4] == (PARTY, Role.ANALYST, None, person.actor)
    async with database.transaction() as session:
        await end_person(session.driver, person, NOW)
    await ended(table, text)


async def test_a_table_that_was_not_read_for_a_minute_accepts_no_key(database: Database) -> None:
    text, seconds, queries = await issued(database), Seconds(), Queries(database)
    away: Any = queries
    table = KeyTable(away, now_s=seconds)
    with pytest.raises(Unavailable, match="keys_outdated"):
        table.find(key_hash(text))
    await table.refresh()
    queries.error = Unavailable("database_unavailable")
    with pytest.raises(Unavailable):
        await table.refresh()
    seconds.now = OUTDATED_S
    assert table.find(key_hash(text)) is not None
    seconds.now += 0.1
    with pytest.raises(Unavailable, match="keys_outdated"):
        table.find(key_hash(text))
    queries.error = None
    await table.refresh()
    assert table.find(key_hash(text)) is not None


async def test_a_table_that_has_not_changed_is_read_by_one_row(database: Database) -> None:
    await issued(database)
    queries: Any = Queries(database)
    table = KeyTable(queries)
    await table.refresh()
    before = queries.count
    await table.refresh()
    assert queries.count - before == 1


@pytest.mark.timing
async def test_a_revoked_key_ends_in_time_although_the_connection_hangs(database_url: str, database: Database) -> None:
    link, text = Link(database_url), await issued(database)
    async with link.database() as far:
        table = KeyTable(far)
        await table.open()
        await asyncio.sleep(0.5)  # it listens
        link.freeze()
        async with database.transaction() as session:
            await revoke_key(session.driver, key_hash(text), NOW)
        taken_s = await ended(table, text)
        await table.close()
    assert taken_s <= REVOKED_S


@pytest.mark.timing
@pytest.mark.parametrize(
    "error",
    [Unavailable("database_unavailable"), ValueError(), asyncio.CancelledError()],
    ids=lambda e: type(e).__name__,
)
async def test_following_begins_again_after_any_failure(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(key_table, "RETRY_S", 0.01)
    queries: Any = Queries(database)
    table = KeyTable(queries)
    await table.open()
    queries.errors = [error, error]
    text = await issued(database)
    await known(table, text)
    await table.close()
    assert queries.errors == []


@pytest.mark.timing
async def test_a_connection_that_does_not_open_is_given_up_in_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_table, "RETRY_S", 0.01)
    queries: Any = Queries(database)
    table = KeyTable(queries)
    await table.open()
    queries.hangs_count = 1
    text = await issued(database)
    async with asyncio.timeout(REVOKED_S):
        await known(table, text)
    await table.close()
    assert queries.hangs_count == 0


async def test_opening_waits_until_the_database_answers(database: Database) -> None:
    text, queries = await issued(database), Queries(database)
    away: Any = queries
    queries.errors = [Unavailable("database_unavailable")]
    table = KeyTable(away)
    await table.open()
    assert table.find(key_hash(text)) is not None
    await table.close()


@asynccontextmanager
async def exchanging(database: Database) -> AsyncIterator[tuple[list[bytes], Callable[[], Awaitable[None]]]]:
    """Return a machine's key and an analyst's key in table order, and a function that swaps their roles."""
    hashes = sorted(bytes(16) + uuid7().bytes for _ in range(2))  # before all other keys
    async with database.transaction() as session:
        for hashed, role in zip(hashes, (Role.MACHINE, Role.ANALYST), strict=True):
            await keep_key(session.driver, hashed, PARTY, role=role)

    async def exchange() -> None:
        async with database.transaction() as session:
            await session.driver.execute(
                "UPDATE api_key SET role = CASE role WHEN $2 THEN $3 ELSE $2 END WHERE key_hash = ANY($1)",
                hashes,
                Role.MACHINE,
                Role.ANALYST,
            )

    yield hashes, exchange
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM api_key WHERE key_hash = ANY($1)", hashes)


async def test_all_pages_are_of_one_moment(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two keys swap their roles in one transaction, after the first page was read."""
    monkeypatch.setattr(key_table, "PAGE_ROWS", 1)
    queries: Any = Queries(database)
    table = KeyTable(queries)
    async with exchanging(database) as (hashes, queries.between):
        await table.refresh()
        assert roles(table, hashes) == [Role.MACHINE, Role.ANALYST]


async def test_an_exchange_between_keys_is_a_change(database: Database) -> None:
    """A sum of hashes that are linear in the columns misses about half of these."""
    table = KeyTable(database)
    for _ in range(8):
        async with exchanging(database) as (hashes, exchange):
            await table.refresh()
            await exchange()
            await table.refresh()
            assert roles(table, hashes) == [Role.ANALYST, Role.MACHINE]


def roles(table: KeyTable, hashes: list[bytes]) -> list[Role | None]:
    return [known.role if (known := table.find(hashed)) else None for hashed in hashes]


async def test_there_are_no_more_keys_than_memory_holds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await issued(database)
    monkeypatch.setattr(identity, "KEYS_MAX", 1)
    with pytest.raises(Refused, match="api_keys_full"):
        await issued(database)
    monkeypatch.setattr(key_table, "KEYS_MAX", 0)
    with pytest.raises(Defect, match="api_keys_too_many"):
        await KeyTable(database).refresh()


@pytest.mark.timing
async def test_connections_with_made_up_keys_cost_no_query_and_delay_no_valid_key(database: Database) -> None:
    """This also holds right after a start, before the process has answered a request of the valid key."""
    text, counted = await issued(database), Queries(database)
    queries: Any = counted
    table = KeyTable(queries)
    await table.refresh()
    counted.count = 0
    keys = ApiKeys(
        table, instance="hotline", directory=lambda: DIRECTORY, kek=KeyEncryptionKey(bytes(32)), clock=SystemClock()
    )
    budgets = Budgets(BudgetLimits(1000, 10_000_000), ManualClock(NOW))
    app = create_app("sample", [whoami_router(identified(keys, budgets))])
    answers: Counter[int] = Counter()
    async with served(app) as port:
        flood = [asyncio.create_task(_made_up(port, answers)) for _ in range(CONNECTIONS)]
        valid = [await _asked(port, text) for _ in range(20)]
        for each in flood:
            each.cancel()
        await asyncio.wait(flood)
    assert valid == [200] * 20
    assert answers.keys() <= {401, 429}
    assert answers.total() >= CONNECTIONS
    assert counted.count == 0


async def _made_up(port: int, answers: Counter[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            answers[await _status(reader, writer, issue_key(live=False)[0])] += 1
    finally:
        writer.close()


async def _asked(port: int, text: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(60):
            return await _status(reader, writer, text)
    finally:
        writer.close()


async def _status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> int:
    writer.write(f"GET /v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {text}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    [length] = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")]
    await reader.readexactly(length)
    return int(head.split()[1])
