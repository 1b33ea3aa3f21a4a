"""The day on which tests run: the machine's, or the one that the environment names.

    TESTS_DAY=2028-02-29T12:00:00Z python -m pytest tests/services/retention

The clock of such a run starts at that time and continues. It is the clock of the product in this process, and of the
PostgreSQL servers that tests start. Kafka and separate programs keep the machine's time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Final
from unittest.mock import patch

import asyncpg

from deploy.site.access import in_own_thread
from deploy.site.settings import inherited_environment
from shared.core import ids
from shared.core.clock import SystemClock, parse_rfc3339

#: The environment variable with the time at which the clock starts. No setting of the product has this prefix.
DAY: Final = "TESTS_DAY"
#: PostgreSQL calls its built-in functions by number, but its planner expands a function that is written in SQL.
_MOVES: Final = """
CREATE OR REPLACE FUNCTION pg_catalog.now() RETURNS timestamptz LANGUAGE sql STABLE
AS 'SELECT transaction_timestamp() + interval ''{seconds} s''';
CREATE OR REPLACE FUNCTION pg_catalog.machine_clock() RETURNS timestamptz LANGUAGE internal VOLATILE
AS 'clock_timestamp';
CREATE OR REPLACE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
AS 'SELECT machine_clock() + interval ''{seconds} s''';
CREATE OR REPLACE FUNCTION pg_catalog.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE
AS 'SELECT uuidv7(interval ''{seconds} s'')'
"""
_right = SystemClock.now


def ahead_of(begins: str | None) -> timedelta:
    """Return how far a time is ahead of the machine's clock, or zero if none is named."""
    return timedelta() if begins is None else parse_rfc3339(begins) - _right(SystemClock())


_AHEAD: Final = ahead_of(inherited_environment().get(DAY))


def move_clock() -> None:
    """Let the product in this process read the time of the named day, if there is one."""
    if not _AHEAD:
        return

    def now(self: SystemClock) -> datetime:
        return _right(self) + _AHEAD

    def time_ns() -> int:
        return time.time_ns() + _AHEAD // timedelta(microseconds=1) * 1000

    patch.object(SystemClock, "now", now).start()
    patch.object(ids, "time", SimpleNamespace(time_ns=time_ns)).start()


@contextmanager
def machine_time() -> Iterator[None]:
    """Read the machine's time within the block, also for the validity of certificates."""
    with patch.object(SystemClock, "now", _right):
        yield


def move_databases(admin_url: str) -> None:
    """Let the existing and future databases of a server read that time, too, if a day is named."""
    if _AHEAD:
        in_own_thread(_move(admin_url))


async def _move(admin_url: str) -> None:
    admin = await asyncpg.connect(admin_url)
    try:
        # The databases of instances are created from this template.
        await admin.execute("ALTER DATABASE template0 ALLOW_CONNECTIONS true")
        for row in await admin.fetch("SELECT datname AS name FROM pg_database"):
            database = await asyncpg.connect(admin_url, database=row["name"])
            try:
                await database.execute(_MOVES.format(seconds=_AHEAD.total_seconds()))
            finally:
                await database.close()
        await admin.execute("ALTER DATABASE template0 ALLOW_CONNECTIONS false")
    finally:
        await admin.close()
