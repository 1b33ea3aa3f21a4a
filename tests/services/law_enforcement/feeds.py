"""The feed route, and pollers that read it while writers commit out of order, with pauses and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.acts.states import Event
from shared.core.authority import Role
from shared.core.ids import uuid4, uuid7
from shared.features.events.api import events_router
from shared.platform.database.feed import FeedListener, note_acts
from shared.platform.database.transactions import Database, RowScope
from tests.contracts.described import Described
from tests.services.deliveries import directory
from tests.services.doors import asking, door, serving
from tests.services.law_enforcement.agency import KEK

PARTY = "polled.example"
WRITERS = 8
_DESCRIBED = Described("law_enforcement")
#: Adds acts to the journal in the caller's transaction.
Note = Callable[[asyncpg.Connection, Sequence[Event]], Awaitable[None]]
#: Reads a feed after a place: (place, subject) of each event, in order. It may wait.
Look = Callable[[int], Awaitable[Sequence[tuple[int, UUID]]]]


def acting_for(*parties: str) -> RowScope:
    """Return the scope in which an instance notes acts of these parties."""
    return RowScope(parties, Role.SERVICE, "apply")


async def noted(database: Database, party: str, count: int = 1) -> list[Event]:
    """Note acts that concern a party, in one transaction."""
    made = [Event(party, "case.accept", uuid7(), state="accepted") for _ in range(count)]
    async with database.transaction(acting_for(party)) as session:
        note_acts(session.driver, made)
    return made


class Watched(FeedListener):
    """A listener that records the event of every place. An event is set if its reader was woken."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.taken: list[asyncio.Event] = []

    @contextmanager
    def place(self, party: str, holder: str, *, above: int) -> Iterator[asyncio.Event]:
        with super().place(party, holder, above=above) as mine:
            self.taken.append(mine)
            yield mine

    def woken(self) -> list[bool]:
        return [each.is_set() for each in self.taken]

    async def until_waiting(self, count: int = 1) -> None:
        """Return once this many readers have read and are waiting."""
        while True:
            if sum(bool(each._waiters) for each in self._all) >= count:
                return
            await asyncio.sleep(0.01)


class Door:
    """The feed route of one process, and the party whose feed is read."""

    def __init__(self, database: Database, http: httpx.AsyncClient, listener: Watched) -> None:
        self.database, self.http, self.listener = database, http, listener
        self.party = f"{uuid4().hex[:8]}.example"
        self.listening: asyncio.Task[None] | None = None

    async def end(self) -> None:
        """Stop listening, like a service that ends."""
        if self.listening is not None:
            self.listening.cancel()
            await asyncio.gather(self.listening, return_exceptions=True)

    async def note(self, count: int = 1, *, party: str | None = None) -> list[str]:
        return [str(each.subject) for each in await noted(self.database, party or self.party, count)]

    async def get(self, *, role: Role = Role.VIEWER, **query: Any) -> httpx.Response:
        return await self.http.get("/v1/events", params=query, headers=asking(self.party, role=role))

    async def read(self, **query: Any) -> dict[str, Any]:
        answer = await self.get(**query)
        assert answer.status_code == 200, answer.text
        assert _DESCRIBED.differences(answer) == []
        return answer.json()

    async def subjects(self, **query: Any) -> list[str]:
        return [each["subject"] for each in (await self.read(**query))["items"]]


@asynccontextmanager
async def opened(endpoint: DatabaseEndpoint, *, listens: bool = True, pool_size: int = 4) -> AsyncIterator[Door]:
    database = Database(endpoint.service_url, pool_size=pool_size)
    listener = Watched(database)
    database.tell_numbered = listener.announce
    stood = serving(database, "law_enforcement", kek=KEK, directory=directory(), listener=listener)
    async with door(events_router(stood)) as http:
        made = Door(database, http, listener)
        if listens:
            with FeedListener.place(listener, made.party, "key", above=0) as listening:
                made.listening = asyncio.create_task(listener.run())
                await listening.wait()
        yield made
        await made.end()
    await database.close()


def by_number(feed: Door) -> Look:
    async def look(place: int) -> Sequence[tuple[int, UUID]]:
        page = await feed.read(after=place, limit=200, wait=1)
        return [(each["number"], UUID(each["subject"])) for each in page["items"]]

    return look


@dataclass
class Poller:
    """A poller's events and its place in the feed. Both are stored in one step, and survive a restart."""

    look: Look
    place: int = 0
    taken: list[UUID] = field(default_factory=list)
    restarts: int = 0

    async def run(self) -> None:
        """Read events until stopped, at any point."""
        while True:
            found = await self.look(self.place)
            if found:
                self.taken += [subject for _, subject in found]
                self.place = found[-1][0]

    async def run_with_restarts(self, draw: Random, ended: asyncio.Event) -> None:
        """Stop and restart with pauses until writing has ended; then read the remaining events."""
        while not ended.is_set():
            await self._run_for(draw.uniform(0, 0.2))
            self.restarts += 1
            await asyncio.sleep(draw.uniform(0, 0.1))
        while found := await self.look(self.place):
            self.taken += [subject for _, subject in found]
            self.place = found[-1][0]

    async def _run_for(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.run()


async def note_late(driver: asyncpg.Connection, acts: Sequence[Event]) -> None:
    """Note acts as services do: they are numbered in the last step of the transaction."""
    note_acts(driver, acts)


async def write(database: Database, count: int, seed: int, *, note: Note = note_late) -> set[UUID]:
    """Commit `count` acts in transactions of various durations.

    The first stays open until all others have committed.
    """
    draw, written = Random(seed), set[UUID]()
    left = count

    async def one(events: int) -> None:
        made = [Event(PARTY, "case.accept", uuid4(), state="accepted") for _ in range(events)]
        async with database.transaction(acting_for(PARTY)) as session:
            await note(session.driver, made)
            await asyncio.sleep(draw.choice((0, 0, 0.001, 0.03)))
        written.update(event.subject for event in made)

    async def writer() -> None:
        nonlocal left
        while left:
            events = min(left, draw.randint(1, 40))
            left -= events
            await one(events)

    late = [Event(PARTY, "case.decline", uuid4(), state="declined") for _ in range(7)]
    left -= len(late)
    async with database.transaction(acting_for(PARTY)) as session:
        await note(session.driver, late)
        await asyncio.gather(*(writer() for _ in range(WRITERS)))
    return written | {event.subject for event in late}


async def polled(
    writing: Database, look: Look, *, count: int, seed: int, note: Note = note_late
) -> tuple[set[UUID], list[Poller]]:
    """Write acts; return all of them, and three pollers that read the feed meanwhile."""
    pollers = [Poller(look) for _ in range(3)]
    ended = asyncio.Event()
    reading = [
        asyncio.create_task(each.run_with_restarts(Random(f"{seed}.{number}"), ended))
        for number, each in enumerate(pollers)
    ]
    written = await write(writing, count, seed, note=note)
    ended.set()
    await asyncio.gather(*reading)
    return written, pollers
