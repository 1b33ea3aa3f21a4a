"""The database of one instance, read by its accountant in one snapshot, and the results of a comparison.

Results are differences with coordinates, terms of the equations, and notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple, Self, TypeVar
from uuid import UUID

import asyncpg

from shared.core.errors import Unavailable

CONNECT_S_MAX: Final = 10.0
#: Rows of one fetch of a cursor.
ROWS: Final = 1000
_Row = TypeVar("_Row")


class Snapshot:
    """One database in one snapshot: nothing in it changes between two queries."""

    def __init__(self, connection: asyncpg.Connection, *, kind: str, name: str = "") -> None:
        self.kind, self.name = kind, name
        self._connection = connection

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Return all rows. Use it for tables that grow with the parties, not with their messages."""
        rows: list[asyncpg.Record] = await self._connection.fetch(query, *arguments)
        return rows

    async def rows(self, query: str, *arguments: object) -> AsyncIterator[asyncpg.Record]:
        """Yield one row after the other."""
        async for row in self._connection.cursor(query, *arguments, prefetch=ROWS):
            yield row


@asynccontextmanager
async def open_snapshot(url: str, *, kind: str, name: str = "") -> AsyncIterator[Snapshot]:
    """Open the database of the instance `name` as its accountant. Raises `Unavailable`."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S_MAX)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        raise Unavailable("database_unavailable") from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield Snapshot(connection, kind=kind, name=name)
    finally:
        await connection.close()


async def group(streams: Sequence[AsyncIterator[_Row]], key: Callable[[_Row], UUID]) -> AsyncIterator[Sequence[_Row]]:
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


#: Maximum number of listed differences. If everything differs, more of them do not help, and memory is bounded.
FOUND_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One difference: the equation, the fault, and its coordinates.

    `parties`: the two parties of the pair, or the origin, if known.
    """

    equation: str
    what: str
    where: str
    parties: tuple[str, ...] = field(default=(), compare=False)


class DifferenceList:
    """Differences without repetitions. At most `most` are listed; the rest is only counted."""

    def __init__(self, most: int = FOUND_MAX) -> None:
        self._most = most
        self._found: set[Difference] = set()
        self._more = 0

    def __iadd__(self, differences: Iterable[Difference]) -> Self:
        for each in differences:
            if len(self._found) < self._most or each in self._found:
                self._found.add(each)
            else:
                self._more += 1
        return self

    def sorted(self) -> tuple[Difference, ...]:
        rest = [Difference("II", "more differences than are listed", "more")] if self._more else []
        return (*sorted(self._found), *rest)


class SumTerms(NamedTuple):
    """The terms of an equation for one origin (I), or for one sender and recipient (II).

    `sealed`: the number of its messages in sealed days.
    """

    parties: tuple[str, ...]
    terms: Mapping[str, int]
    sealed: int = 0


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Both sides of each equation, and every difference. The counts match if `differences` is empty.

    `accepted`: those of them that two persons have accepted. `origins` and `pairs` have the terms of (I) and (II) by
    party. Days before `sealed_until` are sealed.
    """

    referrals: dict[str, int]
    messages: dict[str, int]
    edges: dict[str, int]
    notes: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = field(default=())
    origins: tuple[SumTerms, ...] = ()
    pairs: tuple[SumTerms, ...] = ()
    sealed_until: date | None = None
    effects: dict[str, int] = field(default_factory=dict)
    accepted: frozenset[Difference] = frozenset()

    @property
    def open(self) -> tuple[Difference, ...]:
        """The differences that two persons have not accepted."""
        return tuple(each for each in self.differences if each not in self.accepted)

    def as_json(self) -> dict[str, Any]:
        counts = Counter(each.equation for each in self.open)
        sides = {"I": self.referrals, "II": self.messages, "III": self.edges, "IV": self.effects}
        spelt = {each: {"equation": each.equation, "what": each.what, "where": each.where} for each in self.differences}
        compared = {name: terms | {"difference": counts[name]} for name, terms in sides.items()}
        listed = [spelt[each] for each in self.open]
        accepted = [each for key, each in spelt.items() if key in self.accepted]
        return {**compared, "notes": list(self.notes), "differences": listed, "accepted": accepted}
