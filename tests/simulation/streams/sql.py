"""The simulation over PostgreSQL: messaging in one database per instance, the toy subjects in memory.

A run draws the same random values as the run in memory, so both must count the same.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar
from unittest.mock import patch

import asyncpg
from sqlalchemy.util import await_only, greenlet_spawn

from deploy.site.endpoints import DatabaseEndpoint
from shared.messaging.segments import Segment
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import Lane, Outgoing
from shared.platform.database.columns import StatementPart
from shared.platform.database.transactions import Database, Session, write_parts
from tests.services.databases import running_databases
from tests.simulation.streams.partitions import AUDIT
from tests.simulation.streams.run import Report, short_hours, simulate
from tests.simulation.streams.world import PEERS
from tests.support.messaging_memory import MESSAGING, MemoryTx, Table
from tests.support.messaging_stores import SCHEMA, TABLES, run_as_owner

Result = TypeVar("Result")
#: The instances of a world, in the order in which it makes their databases.
INSTANCES: Final = (*PEERS, AUDIT)
#: Modules that run coroutines, and those that make databases.
_DRIVING: Final = ("node", "auditor")
_STREAMS: Final = "SELECT DISTINCT peer, incarnation, lane FROM segment ORDER BY peer, incarnation, lane"
_KNOWN: Final = "SELECT DISTINCT addressee FROM incarnation WHERE writer = $1 ORDER BY addressee"
_RESYNC: Final = "SELECT peer FROM resync_state ORDER BY peer"
#: Columns that PostgreSQL computes.
_GENERATED: Final = frozenset({"record_bytes"})


def drive(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine here while the event loop waits, so that it can read tables without waiting."""
    try:
        while True:
            await_only(_settle(work.send(None)))
    except StopIteration as done:
        return done.value


async def _settle(future: asyncio.Future[Any] | None) -> None:
    """Wait until a future is done that a coroutine has yielded to its task."""
    if future is None:
        await asyncio.sleep(0)
    else:
        future._asyncio_future_blocking = False
        await asyncio.wait([future])


class SqlTables(dict[str, Table]):
    """Tables by name. Those of messaging are read from the database at each access."""

    def __init__(self, read: Callable[[str], Table], names: Sequence[str]) -> None:
        super().__init__({name: {} for name in names})
        self._read = read

    def __missing__(self, name: str) -> Table:
        return self._read(name)


class SqlTx(PostgresMessagingTx, MemoryTx):
    """One transaction: messaging in PostgreSQL, and the toy subjects in memory, which roll back with it."""

    def __init__(self, session: Session, own: str, tables: SqlTables) -> None:
        super().__init__(session, own)
        self.tables = tables
        self.undo = []
        self.on_segments = None

    def savepoint(self) -> Any:
        return MemoryTx.savepoint(self)

    async def save_outgoing(self, outgoing: Sequence[Outgoing], segments: Sequence[Segment] = ()) -> None:
        if self.on_segments is not None:
            self.on_segments(segments)
        await super().save_outgoing(outgoing, segments)


class _Driver:
    """The only connection to a database. A transaction begins at its first write.

    A result is cached until one of its tables is written, since most reads of a run find no change.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._opening: AbstractAsyncContextManager[Session] | None = None
        self._results: dict[str, list[asyncpg.Record]] = {}
        self.write_count = 0
        #: Statements that are sent with a later one.
        self.parts: list[StatementPart] = []

    async def fetch(self, text: str, *arguments: object) -> list[asyncpg.Record]:
        if not text.lstrip().startswith("SELECT"):
            return await (await self.begin(text)).fetch(text, *arguments)
        key = repr((text.partition(" FOR NO KEY UPDATE")[0], arguments))
        if key not in self._results:
            reader = self._database if self._opening is None else self._connection
            self._results[key] = await reader.fetch(text, *arguments)
        return self._results[key]

    async def fetchrow(self, text: str, *arguments: object) -> asyncpg.Record | None:
        return next(iter(await self.fetch(text, *arguments)), None)

    async def execute(self, text: str, *arguments: object) -> None:
        await (await self.begin(text)).execute(text, *arguments)

    async def begin(self, text: str) -> asyncpg.Connection:
        """Return the connection, inside a transaction, for a statement that writes."""
        self.write_count += 1
        written = _list_tables(text)
        self._results = {key: rows for key, rows in self._results.items() if written.isdisjoint(_list_tables(key))}
        if self._opening is None:
            self._opening = self._database.transaction(keeps_plans=True)
            self._connection = (await self._opening.__aenter__()).driver
        return self._connection

    async def end(self, error: BaseException | None = None) -> None:
        """Commit, or roll back after an error."""
        if error is None:
            await write_parts(self)
        self.parts.clear()
        opening, self._opening = self._opening, None
        if opening is not None and error is not None:
            self._results.clear()
            self.write_count += 1
            with suppress(type(error)):
                await opening.__aexit__(type(error), error, error.__traceback__)
        elif opening is not None:
            await opening.__aexit__(None, None, None)


@cache
def _list_tables(text: str) -> frozenset[str]:
    """Return the tables that a statement names."""
    return frozenset(TABLES).intersection(re.findall(r"\w+", text))


class SqlDatabase:
    """The database of one instance, with the interface of `MemoryDatabase`."""

    def __init__(self, own: str, database: Database, names: Sequence[str]) -> None:
        self._own, self._driver, self._names = own, _Driver(database), names
        self.tables = SqlTables(self._read, names)
        self._looks: dict[str, tuple[int, Table]] = {}

    @contextmanager
    def transaction(self) -> Iterator[SqlTx]:
        """A transaction; an exception rolls it back."""
        tx = SqlTx(Session(self._driver), self._own, self.tables)
        try:
            yield tx
        except BaseException as error:
            tx.roll_back()
            drive(self._driver.end(error))
            raise
        drive(self._driver.end())

    def snapshot(self) -> dict[str, Any]:
        """Return a dump of all rows."""
        dump = {table: drive(self._driver.fetch(f"SELECT * FROM {table}")) for table in TABLES}
        return dump | {name: dict(self.tables[name]) for name in self._names}

    def restore(self, dump: dict[str, Any]) -> None:
        with self.transaction():
            # A service cannot delete content proofs. Each has the id of its content, so later ones do no harm.
            tables = [table for table in TABLES if table != "content_proof"]
            text = "; ".join(f"DELETE FROM {table}" for table in tables)
            connection = drive(self._driver.begin(text))
            drive(connection.execute(text))
            for table in tables:
                if rows := dump[table]:
                    columns = sorted({*rows[0].keys()} - _GENERATED)
                    records = [tuple(row[name] for name in columns) for row in rows]
                    drive(connection.copy_records_to_table(table, records=records, columns=columns))
        self.tables.update({name: dict(dump[name]) for name in self._names})

    def _read(self, name: str) -> Table:
        if name not in MESSAGING:
            raise KeyError(name)
        if self._looks.get(name, (-1, {}))[0] != self._driver.write_count:
            table = drive(_READ[name](PostgresMessagingTx(Session(self._driver), self._own)))
            self._looks[name] = self._driver.write_count, table
        return self._looks[name][1]


async def _read_known(tx: PostgresMessagingTx) -> Table:
    rows = await tx.session.driver.fetch(_KNOWN, tx.own)
    return {row["addressee"]: await tx.load_known(row["addressee"]) for row in rows}


async def _read_segments(tx: PostgresMessagingTx) -> Table:
    found = {}
    for row in await tx.session.driver.fetch(_STREAMS):
        key = row["peer"], row["incarnation"], Lane(row["lane"])
        found[key] = tuple(await tx.list_segments(*key, above=0, messages_max=1_000_000))
    return found


async def _read_open_outcomes(tx: PostgresMessagingTx) -> Table:
    rows = [row for peer in INSTANCES for row in await tx.list_open_outcomes(peer)]
    return {(row.peer, row.message_id): row for row in rows}


async def _read_resync(tx: PostgresMessagingTx) -> Table:
    peers = [row["peer"] for row in await tx.session.driver.fetch(_RESYNC)]
    return {peer: await tx.load_resync(peer) for peer in peers}


async def _read_exceptions(tx: PostgresMessagingTx) -> Table:
    rows = await tx.list_exceptions(rows_max=1_000_000)
    return {(row.taken.writer, row.taken.named.message_id): row for row in rows}


_READ: Final[dict[str, Callable[[PostgresMessagingTx], Any]]] = {
    "outgoing": lambda tx: tx.load_outgoing(None, lock=False),
    "known": _read_known,
    "segments": _read_segments,
    "incoming": lambda tx: _index(tx.list_incoming(), "pair"),
    "exceptions": _read_exceptions,
    "open_outcomes": _read_open_outcomes,
    "resync": _read_resync,
    "lines": lambda tx: _index(tx.list_operator_lines(), None),
}


async def _index(rows: Any, name: str | None) -> Table:
    return {(row if name is None else getattr(row, name)): row for row in await rows}


@contextmanager
def sql_endpoints(folder: Path) -> Iterator[list[DatabaseEndpoint]]:
    """Run a server with a database for each instance of a world."""
    names = [name.lower() for name in INSTANCES]
    with running_databases(folder, *names, forced=False) as endpoints:
        for endpoint in endpoints.values():
            asyncio.run(run_as_owner(endpoint, SCHEMA.read_text(encoding="utf-8")))
        yield [endpoints[name] for name in names]


@asynccontextmanager
async def _opened(endpoints: Sequence[DatabaseEndpoint]) -> AsyncIterator[list[Database]]:
    databases = [Database(endpoint.service_url, pool_size=1) for endpoint in endpoints]
    try:
        yield databases
    finally:
        for database in databases:
            await database.close()


async def simulate_seeds(
    endpoints: Sequence[DatabaseEndpoint], seeds: Sequence[int], report: Callable[[Report], None]
) -> None:
    """Run seeds one after the other over emptied databases."""
    async with _opened(endpoints) as databases:
        for seed in seeds:
            for endpoint in endpoints:
                await run_as_owner(endpoint, f"TRUNCATE {', '.join(TABLES)}")
            with _over_sql(databases), short_hours():
                end = await greenlet_spawn(simulate, seed)
            report(end)


@contextmanager
def _over_sql(databases: Sequence[Database]) -> Iterator[None]:
    """Keep the messaging of worlds in these databases, in the order of `INSTANCES`."""
    free = iter(zip(INSTANCES, databases, strict=True))

    def make(*names: str) -> SqlDatabase:
        return SqlDatabase(*next(free), names)

    with ExitStack() as stack:
        for module in _DRIVING:
            stack.enter_context(patch(f"tests.simulation.streams.{module}.MemoryDatabase", make))
            stack.enter_context(patch(f"tests.simulation.streams.{module}.drive", drive))
        yield


def compare(report: Report) -> bool:
    """Run the seed in memory as well, print both, and return whether they are the same, without a violation."""
    with short_hours():
        expected = simulate(report.seed)
    is_same = (report.count, report.violations) == (expected.count, expected.violations)
    print(report.seed, report.mood, report.violations or "kept", "as in memory" if is_same else expected, flush=True)
    return is_same and not report.violations


def run_sql(seeds: Sequence[int]) -> int:
    """Run seeds over PostgreSQL and in memory; return 1 if a promise was broken, or a count differs."""
    good: list[bool] = []
    with tempfile.TemporaryDirectory() as folder, sql_endpoints(Path(folder)) as endpoints:
        asyncio.run(simulate_seeds(endpoints, seeds, lambda each: good.append(compare(each))))
    print(f"{sum(good)} of {len(good)} seeds kept every promise, as in memory")
    return 0 if all(good) else 1
