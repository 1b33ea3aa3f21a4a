"""The database of one instance, read by its accountant in one snapshot, row by row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from uuid import UUID

import asyncpg

from shared.kernel.errors import Unavailable

CONNECT_S_MAX: Final = 10.0
#: Rows of one fetch of a cursor.
ROWS: Final = 1000
_Row = TypeVar("_Row")


class Book:
    """One database in one snapshot: nothing in it changes between two queries."""

    def __init__(self, connection: asyncpg.Connection, *, kind: str, name: str = "") -> None:
        self.kind, self.name = kind, name
        self._connection = connection

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Return all rows. For tables that grow with the parties, not with their messages."""
        rows: list[asyncpg.Record] = await self._connection.fetch(query, *arguments)
        return rows

    async def rows(self, query: str, *arguments: object) -> AsyncIterator[asyncpg.Record]:
        """Yield one row after the other."""
        async for row in self._connection.cursor(query, *arguments, prefetch=ROWS):
            yield row


@asynccontextmanager
async def opened(url: str, *, kind: str, name: str = "") -> AsyncIterator[Book]:
    """Open the database of the instance `name` as its accountant. Raises `Unavailable`."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S_MAX)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        raise Unavailable("database_unavailable") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield Book(connection, kind=kind, name=name)
    finally:
        await connection.close()


async def grouped(streams: Sequence[AsyncIterator[_Row]], key: Callable[[_Row], UUID]) -> AsyncIterator[Sequence[_Row]]:
    """Yield the rows of one key at a time, from streams that are each in the order of the key."""
    heads = {stream: row for stream in streams if (row := await anext(stream, None)) is not None}
    while heads:
        found, group = min(map(key, heads.values())), list[_Row]()
        for stream in list(heads):
            while stream in heads and key(heads[stream]) == found:
                group.append(heads.pop(stream))
                if (row := await anext(stream, None)) is not None:
                    heads[stream] = row
        yield group
