"""The journal of acts: one row for each act that is shown to a party, numbered densely for each party.

    act's transaction    gather the acts · last step: lock the feed rows, number the acts, insert into `act` · commit

The row of a feed stays locked until the commit. So a reader that has seen number n has seen all numbers below it.
The numbers are given in the last step, before streams are locked: subjects, then feeds by party, then streams.
A number is given once in an epoch. Another system id, timeline or file of `feed` than before begins a new epoch.

The reading side of the feeds: a party's events above a number, and the wait for further ones.

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
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.core.acts.states import Event
from shared.core.errors import Unavailable
from shared.platform.database.columns import join
from shared.platform.database.transactions import Database, LateRow, gather_late, take_parts

#: Places of one party, and of all. A request for one more ends the longest wait.
PLACES_MAX_OF_ONE: Final = 8
PLACES_MAX: Final = 256
#: The pause before a listener without a connection tries again.
LISTEN_AGAIN_S: Final = 1.0
#: The time for which numbers are collected before one notification to other processes.
NOTIFY_PAUSE_S: Final = 0.1
#: The channel of a feed's new last number: `PARTY NUMBER`.
NUMBERED_CHANNEL: Final = "causeway_numbered"
_WAKE: Final = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"

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
    return [FeedEvent(*row.values()) for row in await driver.fetch(_OF_SUBJECT, party, subject, above, limit)]


class FeedListener:
    """The readers of this process that wait for a party's next event, and the one connection that listens for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: By party, the longest wait first: the number above which each reader waits.
        self._places: dict[str, dict[asyncio.Event, int]] = {}
        #: The party of each reader, and its key or session.
        self._all: dict[asyncio.Event, tuple[str, str]] = {}
        self._ending = False
        #: By party, the last number that other processes do not know.
        self._unsent: dict[str, int] = {}
        self._notifying: asyncio.Task[None] | None = None

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
    def place(self, party: str, holder: str, *, above: int) -> Iterator[asyncio.Event]:
        """Take a place for a waiting reader. It is set if the feed may be above the number, or if the wait must end.

        Without a free place, the longest wait of the key or session with most waiting readers ends.
        """
        mine = asyncio.Event()
        places = self._places.setdefault(party, {})
        crowd = places if len(places) >= PLACES_MAX_OF_ONE else self._all if len(self._all) >= PLACES_MAX else {}
        if crowd:
            counts = Counter([(party, holder), *(self._all[each] for each in crowd)])
            first = max(crowd, key=lambda each: counts[self._all[each]])
            self._leave(first)
            first.set()
        self._places.setdefault(party, places)[mine] = above
        self._all[mine] = party, holder
        if self._ending:
            mine.set()
        try:
            yield mine
        finally:
            self._leave(mine)

    def announce(self, numbered: Mapping[str, int]) -> None:
        """Wake the readers here that wait for these numbers, and notify the other processes soon."""
        for party, last in numbered.items():
            self._wake(party, last)
        self._unsent.update(numbered)
        if self._notifying is None or self._notifying.done():
            self._notifying = asyncio.create_task(self._notify_others())

    async def _notify_others(self) -> None:
        while self._unsent:
            await asyncio.sleep(NOTIFY_PAUSE_S)
            ends, self._unsent = self._unsent, {}
            with suppress(Unavailable, asyncpg.PostgresError):
                await self._database.fetch(_WAKE, NUMBERED_CHANNEL, [f"{party} {last}" for party, last in ends.items()])

    async def _listen(self) -> None:
        async with self._database.own_connection() as connection:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda *_: lost.set())
            await connection.add_listener(NUMBERED_CHANNEL, self._on_notification)
            self._wake_all()  # notifications were lost while there was no listener
            self._database.changes.note()
            self._database.changes.hears_others = True
            await lost.wait()

    def _on_notification(self, *arguments: Any) -> None:
        """Handle a notification. Only the last of its arguments is used: the payload."""
        party, _, last = str(arguments[-1]).rpartition(" ")
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
        if place in self._all:
            party, _ = self._all.pop(place)
            del self._places[party][place]
            if not self._places[party]:
                del self._places[party]


# The control file names the timeline of the last checkpoint; the name of the WAL file names the present one. Loading a
# dump changes neither the timeline nor the system id, but creates another file for each table.
_HERE: Final = """
(SELECT system_identifier AS system_id,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline,
        pg_relation_filenode('feed')::bigint AS file_node
 FROM pg_control_system()) AS here
"""
#: The part of a WITH list that begins a new epoch in another database. It must be the first one: PostgreSQL runs parts
#: whose result is not read in reverse order, so feeds are locked first.
BEGIN_ELSEWHERE: Final = f"""
epoch AS (
    UPDATE feed_epoch AS e SET epoch = CASE WHEN e.system_id IS NULL THEN e.epoch ELSE uuidv7() END,
        system_id = here.system_id, timeline = here.timeline, file_node = here.file_node
    FROM {_HERE}
    WHERE (e.system_id, e.timeline, e.file_node) IS DISTINCT FROM (here.system_id, here.timeline, here.file_node)
)"""
_BEGIN: Final = "UPDATE feed_epoch SET epoch = uuidv7()"


def numbering(acts: str) -> str:
    """Return the parts of a WITH list that number the rows of `acts` and add them to the journal.

    `acts` has the columns party, type, subject, detail, and the order `place`. `numbered` has the number, too.
    """
    return f"""{BEGIN_ELSEWHERE}, counted AS (
    INSERT INTO feed AS f (party, last_number) SELECT party, count(*) FROM {acts} GROUP BY party ORDER BY party
    ON CONFLICT (party) DO UPDATE SET last_number = f.last_number + excluded.last_number
    RETURNING party, last_number
), numbered AS MATERIALIZED (
    SELECT a.*, c.last_number + 1 - row_number() OVER (PARTITION BY a.party ORDER BY a.place DESC) AS number
    FROM {acts} AS a JOIN counted AS c USING (party)
), journal AS (
    INSERT INTO act (party, number, type, subject, at, detail)
    SELECT party, number, type, subject, now(), detail FROM numbered
)"""


_NUMBER: Final = f"""
WITH acts AS MATERIALIZED (
    SELECT a.party, a.type, a.subject, a.detail::jsonb AS detail, a.place
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[])
        WITH ORDINALITY AS a (party, type, subject, detail, place)
), {numbering("acts")}
SELECT party, last_number FROM counted
"""


def note_acts(driver: asyncpg.Connection, acts: Sequence[Event]) -> None:
    """Gather acts of the transaction. They are numbered in its last step."""
    if acts:
        gather_late(driver, LateRow.ACTS, acts, write=write_acts)


def note_filing(driver: asyncpg.Connection, given: Iterable[tuple[str, int]]) -> None:
    """Record that a statement of the transaction has given these numbers, by party. Its end checks them, too."""
    driver.numbered.update(sorted(given))
    gather_late(driver, LateRow.ACTS, (), write=write_acts)


async def write_acts(driver: asyncpg.Connection, acts: Sequence[Event]) -> None:
    """Number these acts and add them to the journal. Locks the feed rows of their parties until the commit."""
    if not acts:
        return
    states = [{"state": each.state, "by": each.by} for each in acts]
    details = [to_json({word: code for word, code in each.items() if code is not None}).decode() for each in states]
    columns = [each.party for each in acts], [each.type for each in acts], [each.subject for each in acts]
    driver.numbered.update(await driver.fetch(*join(take_parts(driver), _NUMBER, *columns, details)))


async def begin_epoch(driver: asyncpg.Connection) -> None:
    """Begin a new epoch of all feeds, because this database is an earlier state of the one that gave numbers."""
    await driver.execute(_BEGIN)
