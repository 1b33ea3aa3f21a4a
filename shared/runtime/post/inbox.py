"""The inbox in PostgreSQL: the transaction in which a consumed batch takes effect exactly once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Draft, Record
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.post import admitted, awaiting, cursors, outbox, parking
from shared.runtime.post.arrivals import Admission, Arrival, Awaited, Held, Outcome, Parked, Step
from shared.runtime.post.awaiting import Meets, Room
from shared.runtime.post.ports import Settled, Settlement, TakenBook
from shared.runtime.post.sent_book import PostgresSentBook
from shared.runtime.post.taken import PostgresTaken


@dataclass(frozen=True, slots=True)
class Keeping:
    """How an inbox keeps what it cannot apply yet: under which key, how much of it, and what is there by now."""

    kek: KeyEncryptionKey
    meets: Meets
    room: Room = field(default_factory=Room)


class PostgresUnit:
    """One transaction of one batch. Nothing of it is visible, or will ever be, unless all of it is."""

    def __init__(self, session: Session, keeping: Keeping) -> None:
        self.connection = session
        self._numbers = PostgresTaken(session.driver, keeping.meets)
        self.taken: TakenBook = self._numbers
        self._driver = session.driver
        self._keeping = keeping

    async def advance(self, steps: Sequence[Step]) -> None:
        await cursors.advance(self._driver, steps)

    async def admit(self, arrivals: Sequence[Arrival]) -> Admission:
        return await admitted.admit(self._driver, arrivals)

    async def withdrawn(self, arrivals: Sequence[Arrival]) -> frozenset[str]:
        return await admitted.withdrawn(self._driver, arrivals)

    async def held(self, arrivals: Sequence[Arrival]) -> dict[str, Held]:
        return await admitted.held(self._driver, arrivals)

    async def end_open(self, withdrawals: Sequence[Arrival]) -> list[Arrival]:
        return await admitted.end_open(self._driver, withdrawals)

    async def take(self, arrivals: Sequence[Arrival]) -> None:
        await self._numbers.take(arrivals)

    async def record_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        await admitted.record_outcomes(self._driver, outcomes)

    async def keep_waiting(self, waiting: Sequence[Awaited]) -> frozenset[UUID]:
        keeping = self._keeping
        return await awaiting.keep_waiting(self._driver, waiting, kek=keeping.kek, room=keeping.room)

    async def release(self, needs: Sequence[str]) -> None:
        await awaiting.release(self._driver, needs)

    @property
    def sent_book(self) -> PostgresSentBook:
        return PostgresSentBook(self._driver)

    async def enqueue(self, drafts: Sequence[Draft]) -> None:
        await outbox.enqueue(self._driver, drafts)

    async def settle(self, settlements: Sequence[Settlement]) -> Settled:
        return await outbox.settle(self._driver, settlements)

    async def park(self, parked: Sequence[Parked]) -> list[Parked]:
        return await parking.park(self._driver, parked, kek=self._keeping.kek)


class PostgresInbox:
    """Opens the transaction of each batch under a scope that sees all parties of the instance."""

    def __init__(
        self, database: Database, *, scope: Callable[[], RowScope], keeping: Keeping, wake: Callable[[], None]
    ) -> None:
        self._database = database
        self._scope = scope
        self._keeping = keeping
        self._wake = wake

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[PostgresUnit]:
        async with self._database.transaction(self._scope()) as session:
            yield PostgresUnit(session, self._keeping)
            sends = bool(session.driver.gathered)
        if sends:  # committed: the relay may look at once instead of at its next poll
            self._wake()

    async def due(self, limit: int) -> list[Record]:
        if not await self._database.fetch(awaiting.ANY):
            return []
        async with self._database.transaction() as session:
            return await awaiting.due(session.driver, limit, kek=self._keeping.kek, meets=self._keeping.meets)
