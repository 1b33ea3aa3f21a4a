"""The journal of acts: one row for each act that is shown to a party, numbered densely for each party.

    act's transaction    gather the acts · last step: lock the feed rows, number the acts, insert into `act` · commit

The row of a feed stays locked until the commit. So a reader that has seen number n has seen all numbers below it.
The numbers are given in the last step, before streams are locked: subjects, then feeds by party, then streams.
A number is given once in an epoch. Another system id, timeline or file of `feed` than before begins a new epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg
from pydantic_core import to_json

from shared.core.acts.states import Event
from shared.platform.database.columns import join
from shared.platform.database.transactions import LateRow, gather_late, take_parts

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
    said = [{"state": each.state, "by": each.by} for each in acts]
    details = [to_json({word: code for word, code in each.items() if code is not None}).decode() for each in said]
    columns = [each.party for each in acts], [each.type for each in acts], [each.subject for each in acts]
    driver.numbered.update(await driver.fetch(*join(take_parts(driver), _NUMBER, *columns, details)))


async def begin_epoch(driver: asyncpg.Connection) -> None:
    """Begin a new epoch of all feeds, because this database is an earlier state of the one that gave numbers."""
    await driver.execute(_BEGIN)
