"""What wakes an origin by the clock: planned notices are issued in their slots, by any number of workers.

Nothing is issued by a clock that the database's contradicts: then all of it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import Clock
from shared.party.apart import Apart, apart_from_others
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.store.holds import PostgresPlanned
from shared.party.origin.use_cases.again import BATCH, DecideAgain, IssuePlanned, Law
from shared.party.origin.use_cases.holds import Holding
from shared.party.taking import Taking
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.timers.timers import CLOCK_TOLERANCE, Witness, database_time
from shared.runtime.watch.aside import SetAside
from shared.runtime.watch.logs import log

#: How often one looks whether a slot has come.
LOOK_EVERY_S: Final = 2.0


class OriginTimers:
    """The planned notices of one database, of the parties that `scope` has when it is asked."""

    #: A test takes another one, and shows what that breaks.
    store: type[PostgresPlanned] = PostgresPlanned

    def __init__(
        self,
        database: Database,
        *,
        law: Law,
        instance: str,
        kek: KeyEncryptionKey,
        clock: Clock,
        scope: Callable[[], RowScope],
        wake: Callable[[], None] = lambda: None,
        witness: Witness = database_time,
        aside: SetAside | None = None,
    ) -> None:
        self._database = database
        self._law = law
        self._instance = instance
        self._kek = kek
        self._clock = clock
        self._scope = scope
        self._wake = wake
        self._witness = witness
        self._apart = Apart(aside or SetAside(), clock)
        self._again = DecideAgain(law=law, instance=instance, clock=clock)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            looked = 0
            async with apart_from_others("slots", lambda code: log("decision_waits", code=code)):
                looked = await self.look()
            if not looked:
                await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, limit: int = BATCH) -> int:
        """Look once at what is due, at most `limit` notices; how many that were. Raises `Unavailable`."""
        looked = await self._apart.batch("issue_planned", limit, self._issue)
        if looked:
            self._wake()
        return looked

    async def _issue(self, taking: Taking) -> None:
        documents = self._law.now()
        async with self._database.transaction(self._scope()) as session:
            now = self._clock.now()
            if abs(now - await self._witness(session.driver)) > CLOCK_TOLERANCE:
                return
            edges = PostgresEdges(session.driver, self._kek)
            planned = self.store(session.driver, edges)
            holding = Holding(planned, lambda: documents, self._instance, now)
            await IssuePlanned(planned, edges, self._again, holding).issue(taking)
