"""PostgreSQL for one service's tests: the owner role migrates; tests use the login role with row-level security."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.devstack.servers import PostgresServer
from deploy.devstack.state import StateDirectory
from deploy.site.access import in_own_thread, prepare_databases
from deploy.site.endpoints import DatabaseEndpoint
from shared.core.protocol.message import Received
from shared.platform.database.migrate import upgrade
from shared.platform.database.transactions import Database
from tests.services.outgoing import keep_sent
from tests.support.run_date import move_databases


@contextmanager
def running_postgres(path: Path, instance: str) -> Iterator[DatabaseEndpoint]:
    """Run a server with the database and roles of one instance, without tables. It does not sync to disk."""
    with running_databases(path, instance, forced=False) as endpoints:
        yield endpoints[instance]


@contextmanager
def running_databases(path: Path, *instances: str, forced: bool = True) -> Iterator[dict[str, DatabaseEndpoint]]:
    """Run one server with the databases of several instances. `forced`: commits are synced to the disk.

    Without `forced` a power failure would lose data. A process that ends, in any way, loses none.
    """
    state = StateDirectory(path)
    state.acquire()
    server = PostgresServer(state, port=state.port("postgres", set()))
    try:
        server.start()
        move_databases(server.admin_url)
        if not forced:
            in_own_thread(_unforced(server.admin_url))
        yield prepare_databases(server.admin_url, instances, state.password)
    finally:
        server.stop()
        state.release()


async def _unforced(admin_url: str) -> None:
    async with connected(admin_url) as connection:
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute("SELECT pg_reload_conf()")


@asynccontextmanager
async def migrated(endpoint: DatabaseEndpoint, service: str) -> AsyncIterator[Database]:
    """Migrate the service's database to its newest tables; yield it as its login role sees it."""
    await asyncio.to_thread(upgrade, service, endpoint.owner_url)
    database = Database(endpoint.service_url, pool_size=4)
    keep_sent(database, service)
    yield database
    await database.close()


def endpoint_fixture(instance: str, *, name: str = "endpoint") -> Callable[..., Any]:
    """Make the fixture of one instance's empty database on a server of its own."""

    @pytest.fixture(scope="session", name=name)
    def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
        with running_postgres(tmp_path_factory.mktemp(instance), instance) as made:
            yield made

    return running


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection to a database, and close it at the end."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def count_rows(endpoint: DatabaseEndpoint) -> None:
    """Let PostgreSQL plan by the present rows of a database, as it does a minute after they were stored."""
    async with connected(endpoint.owner_url) as owner:
        await owner.execute("ANALYZE")


async def until_one_waits_for_a_lock(database: Database) -> None:
    """Return once a transaction of the database waits for another."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while True:
        async with database.transaction() as session:
            if await session.driver.fetchval(waiting):
                return
        await asyncio.sleep(0.01)


async def stored_text(owner_url: str, parties: Sequence[str]) -> str:
    """Return every row of every table as text, with bytes as hexadecimal digits.

    Isolated rows are those of `parties`.
    """
    async with connected(owner_url) as connection, connection.transaction():
        await connection.execute("SELECT set_config('causeway.parties', $1, true)", ",".join(parties))
        await connection.execute("SELECT set_config('causeway.role', 'service', true)")
        await connection.execute("SELECT set_config('causeway.action', 'apply', true)")
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        reads = [f'SELECT t::text AS line FROM "{table["tablename"]}" AS t' for table in tables]
        rows = [row["line"] for read in reads for row in await connection.fetch(read)]
    return "\n".join(rows)


def unencrypted(message: Received, _kek: object) -> tuple[bytes, bytes | None]:
    """Return the result of `seal_record` without encryption, for negative controls."""
    return message.sealed.model_dump_json().encode(), None
