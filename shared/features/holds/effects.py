"""The sending of planned notices in their slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.features.filing.effects import OriginHandler
from shared.features.filing.store.edges import PostgresEdges
from shared.features.holds.service import BATCH, HoldAnswers, IssuePlanned
from shared.features.holds.store import PostgresPlanned
from shared.platform.database.failure_isolation import ClaimedBatch, apart_from_others
from shared.platform.database.transactions import RowScope, Session
from shared.platform.observability.logs import log
from shared.platform.timers.timers import CLOCK_TOLERANCE, Witness, database_time

#: Seconds between two searches for notices whose slot has come.
SLOTS_EVERY_S: Final = 2.0


class OriginTimers:
    """The sending of planned notices in their slots, by any number of workers, for the parties of `scope`.

    If the process clock and the database clock disagree, no notice is sent.
    """

    #: A test replaces the store to show which failure it prevents.
    store: type[PostgresPlanned] = PostgresPlanned

    def __init__(self, bus: OriginHandler, scope: Callable[[], RowScope], *, witness: Witness = database_time) -> None:
        self._bus = bus
        self._scope = scope
        self._witness = witness

    async def run(self) -> None:
        """Search for due notices endlessly."""
        while True:
            looked = 0
            async with apart_from_others("slots", lambda code: log("decision_waits", code=code)):
                looked = await self.look()
            if not looked:
                await self._bus.database.changes.pause(SLOTS_EVERY_S)

    async def look(self, limit: int = BATCH) -> int:
        """Process at most `limit` due notices once. Return their number. Raises `Unavailable`."""
        return await self._bus.process("issue_planned", self._scope(), self._issue, limit=limit)

    async def _issue(self, session: Session, taking: ClaimedBatch) -> None:
        bus, now = self._bus, self._bus.clock.now()
        documents = bus.law.now()
        if abs(now - await self._witness(session.driver)) > CLOCK_TOLERANCE:
            return
        edges = PostgresEdges(session.driver, bus.kek)
        planned = self.store(session.driver, edges)
        holding = HoldAnswers(planned, lambda: documents, bus.instance, now)
        await IssuePlanned(planned, edges, bus.redecider, holding).issue(taking)
