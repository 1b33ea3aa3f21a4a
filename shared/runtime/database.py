"""The database of an instance: pooled engine, and transactions bound to the parties they act for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.kernel.errors import Unavailable

#: Code of `Database.sole` where another process has the lock.
HELD_ELSEWHERE: Final = "held_elsewhere"
_BIND = (
    "SELECT set_config('causeway.parties', $1, true), set_config('causeway.role', $2, true), "
    "set_config('causeway.action', $3, true)"
)


@dataclass(frozen=True, slots=True)
class Scope:
    """On whose behalf a transaction acts. Row-level security compares every row with it.

    `parties` are the ids whose rows may be seen or changed; `role` and `action` narrow what may be done.
    """

    parties: Sequence[str]
    role: str
    action: str


class Session:
    """One transaction: SQLAlchemy Core through `core`, the asyncpg connection beneath it through `driver`.

    Bulk statements use `driver` with one array per column: SQLAlchemy compiles nothing per batch.
    """

    def __init__(self, core: AsyncConnection, driver: asyncpg.Connection) -> None:
        self.core = core
        self.driver = driver


class Database:
    """Pooled access to one PostgreSQL database. Connection trouble surfaces as `Unavailable`."""

    def __init__(self, url: str, *, pool_size: int = 8, statement_timeout_ms: int = 30_000) -> None:
        self._engine: AsyncEngine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            hide_parameters=True,
            json_serializer=_compact,
            connect_args={
                "timeout": 5,
                "server_settings": {
                    "application_name": "causeway",
                    "statement_timeout": str(statement_timeout_ms),
                    "idle_in_transaction_session_timeout": "60000",
                },
            },
        )

    @asynccontextmanager
    async def transaction(self, scope: Scope | None = None) -> AsyncIterator[Session]:
        """Open a transaction, commit on normal exit, roll back on an exception.

        Without a scope only the tables of the runtime are reachable: party tables answer with no rows.
        """
        try:
            async with self._engine.begin() as core:
                yield Session(core, await _begin(core, scope))
        except (exc.InterfaceError, exc.TimeoutError, OSError, TimeoutError, asyncpg.InterfaceError) as error:
            raise Unavailable("database_unavailable") from error
        except (exc.OperationalError, exc.DBAPIError) as error:
            if getattr(error, "connection_invalidated", False) or _is_transient(getattr(error, "orig", None)):
                raise Unavailable("database_unavailable") from error
            raise
        except asyncpg.PostgresError as error:
            if _is_transient(error):
                raise Unavailable("database_unavailable") from error
            raise

    async def driver_connection(self) -> asyncpg.Connection:
        """A connection of its own outside the pool, for session-long advisory locks."""
        url = self._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            return await asyncpg.connect(url, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable("database_unavailable") from error

    @asynccontextmanager
    async def sole(self, lock: int) -> AsyncIterator[None]:
        """Hold a session-long advisory lock of this database; it goes with this process, however that ends.

        Raises `Unavailable("held_elsewhere")` at once where another process holds it.
        """
        connection = await self.driver_connection()
        try:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock):
                raise Unavailable(HELD_ELSEWHERE)
            yield
        finally:
            await connection.close()

    async def close(self) -> None:
        await self._engine.dispose()


async def wait_for_database(database: Database, *, back_off_s: float = 0.5) -> None:
    """Return once the database answers; never gives up."""
    while True:
        try:
            async with database.transaction() as session:
                await session.driver.fetchval("SELECT 1")
                return
        except Unavailable:
            await asyncio.sleep(back_off_s)


async def _begin(core: AsyncConnection, scope: Scope | None) -> asyncpg.Connection:
    raw = await core.get_raw_connection()
    # SQLAlchemy's asyncpg dialect opens the transaction with the first statement it runs itself.
    bound = ("", "", "") if scope is None else (",".join(scope.parties), scope.role, scope.action)
    await core.exec_driver_sql(_BIND, bound)
    driver: asyncpg.Connection = raw.driver_connection
    return driver


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _is_transient(error: BaseException | None) -> bool:
    """Connection loss, shutdown, serialisation failure, out of resources (SQLSTATE classes 08, 40, 53, 57)."""
    state = getattr(error, "sqlstate", None) or ""
    return state[:2] in {"08", "40", "53", "57"}
