"""The reading side of the feeds: a party's events above a number, and the wait for further ones.

    poller   take a place · read · wait on the place if there is no event · read again
    act      commit · wake readers of this process at once · notify the other processes by one NOTIFY soon

No act's transaction notifies, because PostgreSQL commits transactions with a NOTIFY one at a time.

A place is taken before the first read, so that a number given after that read ends the wait. A waiting request holds no
connection; all places of a process share the one that listens. A wait also ends by its time limit, and then the feed is
read again, so an act without a notification is shown late.
Trust: a client that can log in to the database can wake waiting readers; they read, and find no event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.core.errors import Unavailable
from shared.platform.database.transactions import Database

#: Places of one party, and of all. A request for one more ends the longest wait.
PLACES_MAX_OF_ONE: Final = 8
PLACES_MAX: Final = 256
#: The pause before a listener without a connection tries again.
LISTEN_AGAIN_S: Final = 1.0
#: The time for which numbers are collected before one notification to other processes.
TELL_PAUSE_S: Final = 0.1
#: The channel of a feed's new last number: `PARTY NUMBER`.
NUMBERED_CHANNEL: Final = "causeway_numbered"
_TELL: Final = "SELECT pg_notify($1, told) FROM unnest($2::text[]) AS told"

# One statement, so that epoch, end and events are of one moment. It names the party, in addition to row-level security,
# so that an index returns the rows in order.
_ABOVE = """
SELECT f.epoch, coalesce((SELECT last_number FROM feed WHERE party = $1), 0) AS last,
       e.number, e.type, e.subject, e.at, e.detail ->> 'state' AS state, e.detail ->> 'by' AS by
FROM feed_epoch AS f LEFT JOIN LATERAL (
    SELECT number, type, subject, at, detail FROM act WHERE party = $1 AND number > $2 ORDER BY number LIMIT $3
) AS e ON true
ORDER BY e.number
"""

_OF_SUBJECT = """
SELECT number, type, subject, at, detail ->> 'state' AS state, detail ->> 'by' AS by
FROM act WHERE party = $1 AND subject = $2 AND number > $3 ORDER BY number LIMIT $4
"""


class FeedEvent(NamedTuple):
    """An event with its number. `at` is the time at which the transaction of its act began."""

    number: int
    type: str
    subject: UUID
    at: datetime
    state: str | None
    by: str | None


class FeedPage(NamedTuple):
    """The events of a feed above a number. `last` is the highest number of the party in this epoch."""

    epoch: UUID
    last: int
    events: Sequence[FeedEvent]


async def read_feed(driver: asyncpg.Connection, party: str, *, above: int, limit: int) -> FeedPage:
    """Return at most `limit` events of the party above a number, in order."""
    rows = await driver.fetch(_ABOVE, party, above, limit)
    events = [FeedEvent(*(row[name] for name in FeedEvent._fields)) for row in rows if row["number"] is not None]
    return FeedPage(rows[0]["epoch"], rows[0]["last"], events)


async def read_subject(
    driver: asyncpg.Connection, party: str, subject: UUID, *, above: int, limit: int
) -> list[FeedEvent]:
    """Return at most `limit` events of the party about one subject above a number, in order."""
    rows = await driver.fetch(_OF_SUBJECT, party, subject, above, limit)
    return [FeedEvent(*row.values()) for row in rows]


class FeedListener:
    """The readers of this process that wait for a party's next event, and the one connection that listens for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: By party, the longest wait first: the number above which each reader waits.
        self._places: dict[str, dict[asyncio.Event, int]] = {}
        self._all: dict[asyncio.Event, str] = {}
        self._ending = False
        #: By party, the last number that other processes do not know.
        self._untold: dict[str, int] = {}
        self._telling: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Listen until cancelled; after that no reader waits."""
        self._ending = False
        try:
            while True:
                with suppress(Unavailable, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await self._listen()
                self._database.changes.hears_others = False
                await asyncio.sleep(LISTEN_AGAIN_S)
        finally:
            self._database.changes.hears_others, self._ending = False, True
            self._wake_all()

    @contextmanager
    def place(self, party: str, *, above: int) -> Iterator[asyncio.Event]:
        """Take a place for a waiting reader. It is set if the feed may be above the number, or if the wait must end."""
        mine = asyncio.Event()
        places = self._places.setdefault(party, {})
        crowd = places if len(places) >= PLACES_MAX_OF_ONE else self._all if len(self._all) >= PLACES_MAX else {}
        if crowd:
            first = next(iter(crowd))
            self._leave(first)
            first.set()
        self._places.setdefault(party, places)[mine] = above
        self._all[mine] = party
        if self._ending:
            mine.set()
        try:
            yield mine
        finally:
            self._leave(mine)

    def tell(self, numbered: Mapping[str, int]) -> None:
        """Wake the readers here that wait for these numbers, and notify the other processes soon."""
        for party, last in numbered.items():
            self._wake(party, last)
        self._untold.update(numbered)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_others())

    async def _tell_others(self) -> None:
        while self._untold:
            await asyncio.sleep(TELL_PAUSE_S)
            told, self._untold = self._untold, {}
            with suppress(Unavailable, asyncpg.PostgresError):
                await self._database.fetch(_TELL, NUMBERED_CHANNEL, [f"{party} {last}" for party, last in told.items()])

    async def _listen(self) -> None:
        async with self._database.own_connection() as connection:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda *_: lost.set())
            await connection.add_listener(NUMBERED_CHANNEL, self._heard)
            self._wake_all()  # notifications were lost while there was no listener
            self._database.changes.note()
            self._database.changes.hears_others = True
            await lost.wait()

    def _heard(self, *told: Any) -> None:
        """Handle a notification. Only the last of its arguments is used: the payload."""
        party, _, last = str(told[-1]).rpartition(" ")
        self._wake(party, int(last))
        self._database.changes.note()

    def _wake(self, party: str, last: int) -> None:
        for place, above in self._places.get(party, {}).items():
            if last > above:
                place.set()

    def _wake_all(self) -> None:
        for place in self._all:
            place.set()

    def _leave(self, place: asyncio.Event) -> None:
        party = self._all.pop(place, None)
        if party is not None:
            del self._places[party][place]
            if not self._places[party]:
                del self._places[party]
