"""The Kafka door of an origin: what comes back moves its edges, and what went stale is decided again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.prepare import Documents
from shared.exchange.record_table import DECIDE_AGAIN
from shared.kernel.clock import Clock
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.use_cases.again import DecideAgain
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.post.ports import OutboxRow, Settlement, Unit


class OriginBus:
    """What a service that originates hands answers, settlements and stale messages to."""

    def __init__(
        self,
        database: Database,
        *,
        documents: Callable[[], Documents],
        instance: str,
        kek: KeyEncryptionKey,
        clock: Clock,
    ) -> None:
        self._database = database
        self._again = DecideAgain(documents=documents, instance=instance, clock=clock)
        self._kek = kek
        self._clock = clock

    def answers(self, unit: Unit) -> EdgeAnswers:
        """The edges that answers move, within the batch's transaction."""
        return EdgeAnswers(PostgresEdges(unit.connection.driver, self._kek), self._clock.now())

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """Decide again what its recipient refused because it had gone stale."""
        stale = [entry.message_id for entry in settlements if entry.code in DECIDE_AGAIN]
        if stale:
            await self._again.messages(PostgresEdges(unit.connection.driver, self._kek), stale)

    async def stale(self, rows: Sequence[OutboxRow]) -> None:
        """For the relay: none of `rows` has been stamped, so nobody has seen them."""
        # Bound to who filed them: one that has left the directory meanwhile is no longer among those we serve.
        scope = RowScope(sorted({row.draft.sender for row in rows}), "service", "apply")
        async with self._database.transaction(scope) as session:
            edges = PostgresEdges(session.driver, self._kek)
            await self._again.messages(edges, [row.draft.message_id for row in rows])
