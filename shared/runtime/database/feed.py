"""The feed of each party: acts add unnumbered events, and one numberer numbers those that were committed.

    act's transaction    INSERT INTO event_unnumbered            one statement, nothing locked that another act wants
    numberer             lock its row · take what is committed · count on per party · move it to `event` · commit

Numbers are dense per party, and an event gets one only when its act is visible: a reader that has seen number n has
missed nothing below. What an event began (a referral, an offer, a case, a notice) gets the same number as `arrival`, by
which lists go. Numbers given in an act's own transaction would miss what commits late (identity columns) or make acts
wait for each other (counters); what is below the oldest snapshot stands still as long as anybody holds one.

The lock of the numberer's row lasts for its transaction, so nobody else numbers meanwhile, and a process that hangs or
dies with it is ended by PostgreSQL (`idle_in_transaction_session_timeout`).
Trust: whoever can write these tables can hide from a party that something happened, not that it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg
from pydantic_core import to_json

from shared.exchange.events import Event
from shared.runtime.database.columns import Columns, insert
from shared.runtime.database.transactions import Database, RowScope, Session

#: So many events are numbered in one transaction.
NUMBERED_MAX: Final = 1000
#: How long an event may wait for others to be numbered with it, unless somebody asks for a list or the feed, and how
#: often one looks for those that other processes committed.
GATHER_S: Final = 0.2
POLL_S: Final = 1.0
#: By it PostgreSQL says how far a party's feed goes now: `PARTY NUMBER`.
NUMBERED_CHANNEL: Final = "causeway_numbered"
#: A list waits so long for a numberer that is at work, then shows what is numbered.
_LOCK_WAIT_MS: Final = 250

_EVENT = Columns.of(Event, without=("state", "by"), detail="jsonb")
_ADD = insert("event_unnumbered", _EVENT)
# The timeline in which this database writes now: the control file would name that of the last checkpoint. A dump that
# is loaded changes neither it nor the system's id, but makes another file of each table.
_HERE = """
(SELECT system_identifier AS system_id,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint AS timeline,
        pg_relation_filenode('feed')::bigint AS file
 FROM pg_control_system()) AS here
"""
_WAITING = f"""
SELECT (f.system_id, f.timeline, f.file) IS DISTINCT FROM (here.system_id, here.timeline, here.file)
       OR EXISTS (SELECT FROM event_unnumbered AS e WHERE e.xact >= f.seen_below)
FROM feed_numberer AS f, {_HERE}
"""
# Another database than the one that numbered last counts transactions otherwise: it looks at every row once.
_BEGIN = f"""
SET LOCAL lock_timeout = {_LOCK_WAIT_MS};
WITH mine AS MATERIALIZED (SELECT system_id, timeline, file FROM feed_numberer FOR UPDATE)
UPDATE feed_numberer AS f SET system_id = here.system_id, timeline = here.timeline, file = here.file, seen_below = '0',
       epoch = CASE WHEN f.system_id IS NULL THEN f.epoch ELSE uuidv7() END
FROM {_HERE}, mine
WHERE (mine.system_id, mine.timeline, mine.file) IS DISTINCT FROM (here.system_id, here.timeline, here.file)
"""
# All that was committed when this statement began, in one order for everybody. A transaction that is open then has a
# number at or above the oldest open one, and adds nothing below it: what is below has been seen, if nothing was left.
# That is noted now and then: as long as anybody holds a snapshot, every version of that row would be looked at.
# By its commit whoever listens is told how far each feed goes (`shared.runtime.database.feed_reading`).
_NUMBER = f"""
WITH taken AS MATERIALIZED (
    SELECT e.xact, e.id, e.party, e.type, e.subject, e.at, e.detail FROM event_unnumbered AS e
    WHERE e.xact >= (SELECT seen_below FROM feed_numberer) ORDER BY e.xact, e.id LIMIT $1
), counted AS (
    INSERT INTO feed AS f (party, last) SELECT party, count(*) FROM taken GROUP BY party ORDER BY party
    ON CONFLICT (party) DO UPDATE SET last = f.last + excluded.last
    RETURNING party, last, pg_notify('{NUMBERED_CHANNEL}', f.party || ' ' || f.last)
), numbered AS MATERIALIZED (
    SELECT t.*, c.last + 1 - row_number() OVER (PARTITION BY party ORDER BY t.xact DESC, t.id DESC) AS number
    FROM taken AS t JOIN counted AS c USING (party)
), moved AS (
    INSERT INTO event (party, number, type, subject, at, detail)
    SELECT party, number, type, subject, at, detail FROM numbered
), gone AS (
    DELETE FROM event_unnumbered AS e USING taken AS t WHERE e.xact = t.xact AND e.id = t.id
), seen AS (
    UPDATE feed_numberer SET seen_below = pg_snapshot_xmin(pg_current_snapshot())
    WHERE (SELECT count(*) FROM taken) < $1
      AND pg_snapshot_xmin(pg_current_snapshot())::text::bigint - seen_below::text::bigint >= 32
)
SELECT party, number, type, subject FROM numbered ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A table whose rows a kind of event begins: they get its number. `key` is the column of the event's subject."""

    table: str
    key: str

    @property
    def arrive(self) -> str:
        """Numbers rows, each once: what is begun again keeps its place.

        Its party is no key here: over a table that was empty once, the planner would read all that the party has.
        """
        return (
            f"UPDATE {self.table} AS t SET arrival = n.number"
            " FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS n (subject, party, number)"
            f" WHERE t.{self.key} = n.subject AND t.party || '' = n.party AND t.arrival IS NULL"
        )


async def note_events(driver: asyncpg.Connection, events: Sequence[Event]) -> None:
    """Add events within the transaction of their acts. They are numbered once it has committed."""
    if events:
        said = [{"state": each.state, "by": each.by} for each in events]
        details = [to_json({word: code for word, code in each.items() if code is not None}).decode() for each in said]
        await driver.execute(*_ADD.bind(rows=_EVENT.rows(events, detail=details)))


class Numberer:
    """Numbers the events of one database. Any number of them may run: their transactions follow one another."""

    def __init__(self, database: Database, listed: Mapping[str, Listed]) -> None:
        """`listed`: type of event → the table whose rows it begins."""
        self._database = database
        self._listed = listed
        self._news = asyncio.Event()

    def wake(self) -> None:
        """An act has committed in this process."""
        self._news.set()

    async def run(self) -> None:
        """Number what is committed until cancelled. Raises `Unavailable` when the database is."""
        while True:
            await self.number()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()
                await asyncio.sleep(GATHER_S)
            except TimeoutError:
                pass  # another process may have committed something
            self._news.clear()

    async def number(self) -> int:
        """Number everything that was committed before this call; how many that was.

        Gives up where another numberer is at work for long: then what it has not committed is not numbered yet.
        """
        if not (await self._database.fetch(_WAITING))[0][0]:
            return 0
        total = 0
        try:
            while (count := await self._number()) == NUMBERED_MAX:
                total += count
        except asyncpg.LockNotAvailableError:
            return total
        return total + count

    async def _number(self) -> int:
        async with self._database.transaction(RowScope((), "service", "number"), keeps_plans=True) as session:
            await session.driver.execute(_BEGIN)
            rows = await session.driver.fetch(_NUMBER, NUMBERED_MAX)
            begun = [row for row in rows if row["type"] in self._listed]
            if begun:
                await self._arrive(session, begun)
            return len(rows)

    async def _arrive(self, session: Session, begun: Sequence[asyncpg.Record]) -> None:
        """Number what the events began, whether or not its party is served here still."""
        await session.bind(RowScope(sorted({row["party"] for row in begun}), "service", "apply"))
        for kind, listed in self._listed.items():
            if of_kind := [row for row in begun if row["type"] == kind]:
                await session.driver.execute(listed.arrive, *_columns(of_kind))


def _columns(rows: Collection[asyncpg.Record]) -> tuple[list[UUID], list[str], list[int]]:
    return [row["subject"] for row in rows], [row["party"] for row in rows], [row["number"] for row in rows]
