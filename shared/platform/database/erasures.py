"""Durable erasures: each is in the journal before its commit, and is repeated in a restored database.

    erase     the key is deleted in the transaction · gathered · last step: a line in the journal, on disk · commit
    restore   the database has an older place in the journal: the lines after it are applied first

A transaction that fails after its line was written has erased nothing; the next start does it. The erasure was already
authorized, and only the commit itself could fail after that point. If the party retains the record before that start, a
line `kept` is on disk before the commit and cancels the other line. No line cancels an erasure that has committed.

Ended access rights are handled in the same way. Endings by the operator's verbs wait in `access_end` for the running
instance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from shared.core.clock import Clock
from shared.core.errors import Refused, Unavailable
from shared.platform.database.journal import AccessEnd, ErasedRecord, ErasureNote, Journal, JournalEnd, KeptRecord, Line
from shared.platform.database.transactions import Database, LastStep, RowScope, gather, write_late

_PLACE: Final = "SELECT line_count, digest FROM erasure_journal_position FOR UPDATE"
_MOVE: Final = "UPDATE erasure_journal_position SET line_count = $1, digest = $2"
_KEEP: Final = """
INSERT INTO erased_record (subject, party) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING
"""
#: A transaction can retain only records whose rows it can see.
_GONE: Final = """
SELECT e.subject, e.party FROM erased_record AS e JOIN unnest($1::uuid[], $2::text[]) AS k (subject, party)
    USING (subject, party)
"""
_WAITS: Final = "SELECT EXISTS (SELECT FROM access_end) AS waits"
_TAKE: Final = "DELETE FROM access_end RETURNING kind, subject, party"
#: The number of records that one statement erases again.
_AT_ONCE: Final = 500


class Erasures:
    """The erasures of one instance. `again` has a statement for each kind, which takes subjects and their parties."""

    def __init__(self, journal: Journal, again: Mapping[str, str], clock: Clock) -> None:
        self._journal = journal
        self._again = again
        self._clock = clock

    def before_commit(self, then: LastStep) -> LastStep:
        """Return the last step of transactions: `then`, which also gets the erasures, and then the journal."""

        async def last_step(driver: asyncpg.Connection, gathered: Sequence[Any]) -> None:
            lines = [each for each in gathered if isinstance(each, Line)]
            others = [each for each in gathered if not isinstance(each, Line)]
            others += _forgotten(lines)
            if others:
                await then(driver, others)
            if lines:
                await write_late(driver)
                await self._note(driver, lines)

        return last_step

    async def _note(self, driver: asyncpg.Connection, lines: Sequence[Line]) -> None:
        """Write lines to the journal and move the place. The lock on the place keeps other erasures from committing."""
        known = JournalEnd(*await driver.fetchrow(_PLACE))
        lines = await _without_gone(driver, lines)
        erased = [each for each in lines if isinstance(each, ErasedRecord)]
        if erased:
            await driver.execute(_KEEP, [each.subject for each in erased], [each.party for each in erased])
        try:
            if (
                all(isinstance(each, KeptRecord) for each in lines)
                and await asyncio.to_thread(self._journal.end) == known
            ):
                return  # every line has committed, so there is none to cancel
            before, after = await asyncio.to_thread(self._journal.append, lines, self._clock.now())
        except OSError:
            raise Unavailable("erasure_journal_unwritable") from None
        except Refused:  # a fault of the journal, and not of these records
            raise Unavailable("erasure_journal_altered") from None
        if before.lines < known.lines:
            raise Unavailable("erasure_journal_lost")
        if before == known:  # otherwise an earlier line was never committed; the next start applies it
            await driver.execute(_MOVE, *after)

    async def apply(self, database: Database) -> int:
        """Apply the journal's lines after this database's place, and return their number.

        Raises `Refused` as `Journal.after` does, and `Unavailable`.
        """
        async with database.transaction() as session:
            place = JournalEnd(*await session.driver.fetchrow(_PLACE))
            said, end = await asyncio.to_thread(self._journal.after, place)
            for kind, statement in self._again.items():
                of_kind = [each for each in said if each.kind == kind]
                for start in range(0, len(of_kind), _AT_ONCE):
                    part = of_kind[start : start + _AT_ONCE]
                    subjects, parties = [each.subject for each in part], [each.party for each in part]
                    await session.bind(RowScope(sorted(set(parties)), "service", "apply"))
                    await session.driver.execute(statement, subjects, parties)
                    if isinstance(part[0], ErasedRecord):
                        await session.driver.execute(_KEEP, subjects, parties)
                    gather(session.driver, _forgotten(part))
            if end != place:
                await session.driver.execute(_MOVE, *end)
        return len(said)


def _forgotten(lines: Sequence[Line]) -> list[ErasureNote]:
    """Return the erasures among the lines, for the tracks and exceptions of messaging."""
    return [ErasureNote(each.subject, each.party) for each in lines if isinstance(each, ErasedRecord)]


async def _without_gone(driver: asyncpg.Connection, lines: Sequence[Line]) -> Sequence[Line]:
    """Return the lines without those `kept` for records that this database has erased."""
    kept = [each for each in lines if isinstance(each, KeptRecord)]
    if not kept:
        return lines
    rows = await driver.fetch(_GONE, [each.subject for each in kept], [each.party for each in kept])
    gone = {(row["subject"], row["party"]) for row in rows}
    return [each for each in lines if not isinstance(each, KeptRecord) or (each.subject, each.party) not in gone]


async def journal_endings(database: Database) -> int:
    """Write the endings of the operator's verbs to the journal, and return their number. Raises `Unavailable`."""
    if not (await database.fetch(_WAITS))[0]["waits"]:
        return 0
    async with database.transaction() as session:
        ended = [AccessEnd(*row) for row in await session.driver.fetch(_TAKE)]
        gather(session.driver, ended)
    return len(ended)
