"""Reading books row by row, several at once in one order: what is compared is never in memory as a whole."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import asyncpg

from shared.kernel.errors import Unavailable

CONNECT_S_MAX: Final = 10.0
#: Rows that a cursor brings at once.
ROWS: Final = 1000
_Row = TypeVar("_Row")
#: Sender, recipient and epoch: numbers are dense within it.
Pair = tuple[str, str, UUID]


class Line(NamedTuple):
    """One message as one book has it. `outcome` is None where the book does not say, `place` empty beyond audit's."""

    sender: str
    recipient: str
    epoch: UUID
    sequence: int
    message_id: UUID
    digest: str
    type: str
    outcome: str | None
    place: str
    book: str

    @property
    def pair(self) -> Pair:
        return self.sender, self.recipient, self.epoch


class Book:
    """One database in one snapshot: within it nothing moves from the outbox to the receipts."""

    def __init__(self, connection: asyncpg.Connection, *, kind: str, name: str = "") -> None:
        self.kind, self.name = kind, name
        self._connection = connection

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows: for what grows with the parties, not with their messages."""
        rows: list[asyncpg.Record] = await self._connection.fetch(query, *arguments)
        return rows

    async def rows(self, query: str, *arguments: object) -> AsyncIterator[asyncpg.Record]:
        """One row after the other."""
        async for row in self._connection.cursor(query, *arguments, prefetch=ROWS):
            yield row

    async def lines(self, query: str, first: UUID, *, book: str) -> AsyncIterator[Line]:
        """The rows of a query of numbered messages (`views`), from a message id on."""
        async for row in self.rows(query, first):
            yield Line._make((*row, book))


@asynccontextmanager
async def opened(url: str, *, kind: str, name: str = "") -> AsyncIterator[Book]:
    """The database of the instance `name` as its accountant. Raises `Unavailable`."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S_MAX)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        raise Unavailable("database_unavailable") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield Book(connection, kind=kind, name=name)
    finally:
        await connection.close()


async def grouped(streams: Sequence[AsyncIterator[_Row]], key: Callable[[_Row], Any]) -> AsyncIterator[Sequence[_Row]]:
    """Rows of one key at a time, from streams that are each in the order of the key."""
    heap: list[tuple[Any, int, _Row]] = []
    for number, stream in enumerate(streams):
        await _push(heap, number, stream, key=key)
    while heap:
        found, group = heap[0][0], []
        while heap and heap[0][0] == found:
            _, number, row = heapq.heappop(heap)
            group.append(row)
            await _push(heap, number, streams[number], key=key)
        yield group


async def _push(
    heap: list[tuple[Any, int, _Row]], number: int, stream: AsyncIterator[_Row], *, key: Callable[[_Row], Any]
) -> None:
    row = await anext(stream, None)
    if row is not None:
        heapq.heappush(heap, (key(row), number, row))
