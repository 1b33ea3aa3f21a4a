"""Erasures that hold: each is in the journal before it commits, and is done again in a database that was restored.

    erase     the key goes, in its transaction · gathered · as the last step: a line in the journal, on disk · commit
    restore   the database's place in the journal is an older one: what stands behind it is erased before all else

A transaction that fails after its line was written has erased nothing yet; the next start does. Whoever asked was
entitled to it, and nothing but the commit itself could fail after that. Where its party says `kept` before that start,
a line that takes the other back is on disk before that commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.runtime.database.journal import Erased, Journal, Line, Place
from shared.runtime.database.transactions import Database, LastStep, RowScope

_PLACE: Final = "SELECT lines, digest FROM erasure_place FOR UPDATE"
_MOVE: Final = "UPDATE erasure_place SET lines = $1, digest = $2"
_KEEP: Final = """
INSERT INTO erased_record (subject, party) SELECT * FROM unnest($1::uuid[], $2::text[]) ON CONFLICT DO NOTHING
"""
#: So many records are erased anew in one statement.
_AT_ONCE: Final = 500


class Erasures:
    """The erasures of one instance. `again` erases by kind: a statement that takes subjects and their parties."""

    def __init__(self, journal: Journal, again: Mapping[str, str], clock: Clock) -> None:
        self._journal = journal
        self._again = again
        self._clock = clock

    def before_commit(self, then: LastStep) -> LastStep:
        """The last step of the instance's transactions: what `then` does, and after it the journal."""

        async def last_step(driver: asyncpg.Connection, gathered: Sequence[Any]) -> None:
            lines = [each for each in gathered if isinstance(each, Line)]
            others = [each for each in gathered if not isinstance(each, Line)]
            if others:
                await then(driver, others)
            if lines:
                await self._note(driver, lines)

        return last_step

    async def _note(self, driver: asyncpg.Connection, lines: Sequence[Line]) -> None:
        """Nobody else commits an erasure meanwhile: so the place in the database never passes over a line."""
        known = Place(*await driver.fetchrow(_PLACE))
        erased = [each for each in lines if isinstance(each, Erased)]
        await driver.execute(_KEEP, [each.subject for each in erased], [each.party for each in erased])
        try:
            if not erased and await asyncio.to_thread(self._journal.end) == known:
                return  # every line has committed: there is nothing to take back
            before, after = await asyncio.to_thread(self._journal.append, lines, self._clock.now())
        except OSError:
            raise Unavailable("erasure_journal_unwritable") from None
        if before.lines < known.lines:
            raise Unavailable("erasure_journal_lost")
        if before == known:  # else a line before ours was never committed: the next start has it done
            await driver.execute(_MOVE, *after)

    async def apply(self, database: Database) -> int:
        """Erase what the journal says behind this database's place in it; how many records that names.

        Raises `Refused` as `Journal.after` does, and `Unavailable`.
        """
        async with database.transaction() as session:
            place = Place(*await session.driver.fetchrow(_PLACE))
            erased, end = await asyncio.to_thread(self._journal.after, place)
            for kind, statement in self._again.items():
                of_kind = [each for each in erased if each.kind == kind]
                for start in range(0, len(of_kind), _AT_ONCE):
                    part = of_kind[start : start + _AT_ONCE]
                    subjects, parties = [each.subject for each in part], [each.party for each in part]
                    await session.bind(RowScope(sorted(set(parties)), "service", "apply"))
                    await session.driver.execute(statement, subjects, parties)
                    await session.driver.execute(_KEEP, subjects, parties)
            if end != place:
                await session.driver.execute(_MOVE, *end)
        return len(erased)
