"""The database of an instance: pooled connections, and transactions bound to the parties they act for."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any, Final

import asyncpg
from asyncpg.protocol import protocol

from shared.core.errors import Defect, Unavailable
from shared.core.routing.clocks import LawAt
from shared.platform.database.changes import Changes
from shared.platform.database.columns import StatementPart, join
from shared.platform.database.failure_isolation import translate_errors
from shared.platform.database.time_limits import TimeLimits

#: What asyncpg takes for an array, or for one within one. It asks of each element, and by abstract classes that is half
#: of what binding a text costs. Whatever else is given as an array is refused by the driver (`DataError`).
ARRAYS: Final[tuple[type[object], ...]] = (list, tuple, set, frozenset, deque, type({}.keys()), type({}.values()))
protocol.IterableABC = protocol.SizedABC = ARRAYS

#: The form of parties, roles and actions in a scope. It has no character that could end a literal.
_BOUND_TEXT = re.compile(r"[a-z0-9._,-]*")


@dataclass(frozen=True, slots=True)
class RowScope:
    """The parties, role and action of a transaction. Row-level security compares every row with it.

    `parties` are the ids whose rows may be seen or changed; `role` and `action` limit the possible changes.
    """

    parties: Sequence[str]
    role: str
    action: str


class LateRow(IntEnum):
    """A kind of rows that a transaction writes in its last step before it locks streams, in this order."""

    #: Steps of due times: their subjects are locked.
    STEPS = 0
    #: Acts of parties: the rows of their feeds are locked.
    ACTS = 1
    #: Rows that state the place of a message. The feature inserts them as its messages get places (`take_placed`).
    PLACED = 2


#: Writes entries that a transaction has gathered, right before its commit.
LastStep = Callable[[asyncpg.Connection, Sequence[Any]], Awaitable[None]]


class GatheringConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that gathers entries for the last step of its transaction: see `Database.transaction`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Messages, and lines of the erasure journal.
        self.gathered: list[Any] = []
        self.late: dict[LateRow, list[Any]] = {}
        self.late_writers: dict[LateRow, LastStep] = {}
        #: The last number that the transaction has given, by party.
        self.numbered: dict[str, int] = {}
        #: The segments that the transaction has placed in streams.
        self.placed: list[Any] = []
        self.scope: RowScope | None = None
        #: Bound statements that run together with a later one: see `gather_part`.
        self.parts: list[StatementPart] = []
        #: The open savepoints.
        self.savepoints: list[str] = []
        self.limits = TimeLimits()
        #: Set as the connection opens.
        self.database: Database

    def act_for(self, scope: RowScope | None) -> None:
        """Set the scope of the transaction. The pool's proxy of a connection forwards calls, not assignments."""
        self.scope = scope

    # All statements of asyncpg pass through these three.
    async def execute(self, *args: object, **options: object) -> str:
        return await self.limits.wait_for(super().execute(*args, **options))

    async def _execute(self, *args: object, **options: object) -> object:
        return await self.limits.wait_for(super()._execute(*args, **options))

    async def _executemany(self, *args: object, **options: object) -> object:
        return await self.limits.wait_for(super()._executemany(*args, **options))


class Session:
    """One transaction. Statements go to the driver with one array per column: nothing is compiled for a batch."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self.driver = driver

    async def bind(self, scope: RowScope) -> None:
        """Replace the scope of the transaction from here on."""
        await bind(self.driver, scope)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Open a savepoint. An error that leaves it undoes its changes and gathered entries, and is raised further.

        Its limit of time is `Database.work_s_max` / 4: divided by 4 for each savepoint around it, and by 4 once more
        after a savepoint of this transaction has hung. A connection error is raised as `Unavailable`, because it
        concerns no single subject.
        """
        gathered, late = len(self.driver.gathered), {kind: len(each) for kind, each in self.driver.late.items()}
        scope = self.driver.scope
        # The commit releases it. A savepoint around it has another name.
        around: list[str] = self.driver.savepoints
        around.append(name := f"aside_{len(around)}")

        async def undo() -> None:
            await self.driver.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            self.driver.act_for(scope)
            del self.driver.gathered[gathered:], self.driver.parts[:]
            for kind, each in self.driver.late.items():
                del each[late.get(kind, 0) :]

        try:
            with translate_errors():
                # Entries gathered before the savepoint are written first, so it sees them and does not undo them.
                await write_parts(self.driver)
                await self.driver.execute(f"SAVEPOINT {name}")
                limits, limit_s = self.driver.limits, self.driver.database.work_s_max
                part_s = limit_s and limit_s / 4 ** (len(around) + (limits.has_hung))
                async with limits.limit_work(part_s, undo, on=Exception):
                    yield
                    await write_parts(self.driver)
        finally:
            around.pop()


class Database:
    """Pooled access to one PostgreSQL database. Connection errors are raised as `Unavailable`."""

    def __init__(self, url: str, *, pool_size: int = 8, statement_timeout_ms: int = 30_000) -> None:
        self._url = url
        self._pool: asyncpg.Pool | None = None
        #: Seconds in which the work of a transaction ends, or it is undone; None: no limit.
        self.work_s_max: float | None = None
        #: Set once, by the module that owns the gathered entries (`shared.delivery.sending`).
        self.last_step: LastStep | None = None
        #: Raises `Unavailable` while no message may be sent and no number given.
        self.check_session: Callable[[], None] = lambda: None
        #: Called after the commit with the last number of each party that the transaction numbered.
        self.tell_numbered: Callable[[Mapping[str, int]], None] = lambda _: None
        #: Called after the commit with the segments that the transaction placed.
        self.hand_over: Callable[[Sequence[Any]], None] = lambda _: None
        #: The documents for deadlines. While it is None, the scheduler computes them later.
        self.law_at: LawAt | None = None
        #: Rises with each database session: when a connection opens and no other one was open.
        self.session_number = 0
        #: Called when a database session begins.
        self.begin_session: Callable[[], None] = lambda: None
        self.changes = Changes()
        self._open_count = 0
        self._pool_options = {
            "connection_class": GatheringConnection,
            "min_size": 0,
            "max_size": pool_size,
            "max_inactive_connection_lifetime": 0,
            "init": self._begin_connection,
            "reset": _nothing_to_reset,
            "timeout": _CONNECT_S_MAX,
            # Each statement is prepared once a connection, whatever its size and age.
            "max_cached_statement_lifetime": 0,
            "max_cacheable_statement_size": 0,
            "server_settings": {
                "application_name": "causeway",
                # Days that a statement adds to a time have 24 hours, wherever the server is.
                "timezone": "UTC",
                "statement_timeout": str(statement_timeout_ms),
                "idle_in_transaction_session_timeout": "60000",
                # A statement is planned once per connection, possibly over an empty table. So it must use an index, or
                # it would scan the table for every row once the table is full.
                "plan_cache_mode": "force_generic_plan",
                "enable_seqscan": "off",
            },
        }

    @asynccontextmanager
    async def transaction(self, scope: RowScope | None = None, *, keeps_plans: bool = False) -> AsyncIterator[Session]:
        """Open a transaction, commit on normal exit, roll back on an exception.

        It ends after `work_s_max`, as `TimeLimits` says. Without a scope party tables return no rows.
        `last_step` handles the entries of `gather` right before the commit, so that contended locks are held for the
        shortest time. Entries of `gather_late` are written before `last_step` locks streams, or at the end. With
        `keeps_plans`, statements are planned once and not each time: for frequent statements that find rows by keys.
        """
        async with self._connection() as driver:
            driver.gathered.clear()
            driver.late.clear()
            driver.parts.clear()
            driver.numbered.clear()
            driver.placed.clear()
            driver.limits.has_hung = False
            driver.act_for(scope)
            # One round trip opens it and binds it.
            await driver.execute(_begin(scope, keeps_plans=keeps_plans))
            async with driver.limits.limit_work(self.work_s_max, partial(_roll_back, driver), on=BaseException):
                yield Session(driver)
                if is_change := bool(driver.gathered or driver.late or driver.parts):
                    await self._finish(driver)
                ended = await driver.execute("COMMIT")
            if ended != "COMMIT":
                # A statement had failed and its error was suppressed: PostgreSQL has rolled everything back.
                raise Defect("transaction_aborted")
            if is_change:
                self.changes.note()
            if driver.numbered:
                self.tell_numbered(driver.numbered)
            if driver.placed:
                self.hand_over(driver.placed)

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Run one statement in its own transaction, in one round trip, planned once. For tables without an owner."""
        async with self._connection() as driver:
            rows: list[asyncpg.Record] = await driver.fetch(statement, *arguments)
            return rows

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Open a session in which each statement is its own transaction. For tables without an owner."""
        async with self._connection() as driver:
            driver.parts.clear()
            yield Session(driver)

    async def _finish(self, driver: asyncpg.Connection) -> None:
        self.check_session()
        if driver.gathered:
            if self.last_step is None:
                raise Defect("nobody_sends")
            await self.last_step(driver, driver.gathered)
        await write_late(driver)
        if driver.late.get(LateRow.PLACED):
            raise Defect("gathered_unknown")
        await write_parts(driver)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        if self._pool is None:
            self._pool = asyncpg.create_pool(self._url, **self._pool_options)
            await self._pool  # connects nothing yet
        with translate_errors():
            async with self._pool.acquire(timeout=_POOL_S_MAX) as driver:
                yield driver

    async def _begin_connection(self, driver: asyncpg.Connection) -> None:
        if self._open_count == 0:
            self.session_number += 1
            self.begin_session()
        self._open_count += 1
        driver.add_termination_listener(self._end_connection)
        driver.database = self
        for kind in ("json", "jsonb"):  # converted from and to Python values
            await driver.set_type_codec(kind, schema="pg_catalog", encoder=_compact, decoder=json.loads)

    def _end_connection(self, _: asyncpg.Connection) -> None:
        self._open_count -= 1

    @asynccontextmanager
    async def own_connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Open a connection outside the pool, to listen on. It is closed without an answer of the server.

        The server ends its statements after 0.8 s, also those that wait for a lock.
        """
        with translate_errors():
            settings = {"statement_timeout": "800"}
            connection = await asyncpg.connect(self._url, timeout=_CONNECT_S_MAX, server_settings=settings)
            try:
                yield connection
            finally:
                connection.terminate()

    async def close(self) -> None:
        """Close the connections. Those still in use after a while are ended, and PostgreSQL rolls them back."""
        if self._pool is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S_MAX):
                    await self._pool.close()


def gather(driver: asyncpg.Connection, what: Sequence[Any]) -> None:
    """Add entries for the last step of the transaction, in order."""
    driver.gathered.extend(what)


def gather_late(driver: asyncpg.Connection, kind: LateRow, entries: Sequence[Any], *, write: LastStep) -> None:
    """Gather rows that `write` adds in the last step of the transaction, before streams are locked."""
    driver.late_writers[kind] = write
    driver.late.setdefault(kind, []).extend(entries)


def gather_placed(driver: asyncpg.Connection, entries: Sequence[Any]) -> None:
    """Gather rows for messages of the transaction. It fails unless `take_placed` takes them in its last step."""
    driver.late.setdefault(LateRow.PLACED, []).extend(entries)


def take_placed(driver: asyncpg.Connection) -> list[Any]:
    """Return the entries of `gather_placed`. The caller inserts them."""
    taken: list[Any] = driver.late.pop(LateRow.PLACED, [])
    return taken


def gather_part(driver: asyncpg.Connection, part: StatementPart) -> None:
    """Gather a statement that runs together with a later one: see `join`, also for its limits.

    A loader that may read its rows calls `write_parts` first.
    """
    driver.parts.append(part)


def take_parts(driver: asyncpg.Connection) -> list[StatementPart]:
    """Return the statements of `gather_part`. The caller joins them with its own."""
    taken: list[StatementPart] = [*driver.parts]
    driver.parts.clear()
    return taken


async def write_parts(driver: asyncpg.Connection) -> None:
    """Run the statements of `gather_part`."""
    if driver.parts:
        await driver.execute(*join(take_parts(driver), "SELECT"))


async def write_late(driver: asyncpg.Connection) -> None:
    """Write the entries of `gather_late`, kind by kind. From here on the transaction locks only streams."""
    for kind in (LateRow.STEPS, LateRow.ACTS):
        if entries := driver.late.pop(kind, None):
            await driver.late_writers[kind](driver, entries)


async def bind(driver: asyncpg.Connection, scope: RowScope) -> None:
    """Bind the transaction to `scope` from here on."""
    await driver.execute(f"SELECT {_bound(scope)}")
    driver.act_for(scope)


async def wait_for_database(database: Database, *, back_off_s: float = 0.5) -> None:
    """Wait until the database answers, without a time limit."""
    while True:
        try:
            await database.fetch("SELECT 1")
            return
        except Unavailable:
            await asyncio.sleep(back_off_s)


_CONNECT_S_MAX: Final = 5.0
_POOL_S_MAX: Final = 5.0
_CLOSE_S_MAX: Final = 2.0
_PLANNED_EACH_TIME: Final = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on"


async def _roll_back(driver: asyncpg.Connection) -> None:
    """Roll back. A connection that cannot do that is ended, and PostgreSQL rolls back for it."""
    try:
        if not driver.is_closed():
            await driver.execute("ROLLBACK")
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        driver.terminate()


async def _nothing_to_reset(_: asyncpg.Connection) -> None:
    """Reset nothing. A transaction's bindings end with it, and the driver's own reset would cost a round trip."""


def _begin(scope: RowScope | None, *, keeps_plans: bool) -> str:
    """Return the statements that open a transaction with `scope`."""
    opened = "BEGIN" if keeps_plans else f"BEGIN; {_PLANNED_EACH_TIME}"
    return opened if scope is None else f"{opened}; SELECT {_bound(scope)}"


def _bound(scope: RowScope) -> str:
    """Return the calls that bind a transaction to `scope`."""
    bound = {"parties": ",".join(scope.parties), "role": scope.role, "action": scope.action}
    if not all(map(_BOUND_TEXT.fullmatch, bound.values())):
        raise Defect("scope_malformed")
    return ", ".join(f"set_config('causeway.{name}', '{text}', true)" for name, text in bound.items())


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
