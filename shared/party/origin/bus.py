"""The Kafka door of an origin: what comes back moves its edges, and what went stale is decided again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.prepare import Documents
from shared.exchange.reads import PeerReads
from shared.exchange.record_table import DECIDE_AGAIN
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.use_cases.again import DecideAgain
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.post.arrivals import FINAL
from shared.runtime.post.ports import OutboxRow, Settlement, Unit

#: How soon, in seconds, what waited is sent after it has become known that it can be read.
ISSUE_POLL_S: Final = 2.0


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
        self._documents = documents
        self._again = DecideAgain(documents=documents, instance=instance, clock=clock)
        self._kek = kek
        self._clock = clock

    def answers(self, unit: Unit) -> EdgeAnswers:
        """The edges that answers move, within the batch's transaction."""
        return EdgeAnswers(PostgresEdges(unit.connection.driver, self._kek), self._clock.now())

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """Decide again what its recipient refused because it had gone stale."""
        edges = PostgresEdges(unit.connection.driver, self._kek)
        await edges.note_receipted(
            {entry.message_id: entry.outcome.value for entry in settlements if entry.outcome not in FINAL},
            [entry.message_id for entry in settlements if entry.outcome in FINAL],
        )
        stale = [entry.message_id for entry in settlements if entry.code in DECIDE_AGAIN]
        if stale:
            await self._again.messages(PostgresEdges(unit.connection.driver, self._kek), stale)

    async def issue_waiting(self, parties: Callable[[], Sequence[str]], wake: Callable[[], None]) -> None:
        """For ever: whenever the documents, or what others read, have changed, send what waited and can be read now.

        `parties` are those that this instance serves; `wake` tells the relay that there is news.
        """
        looked: tuple[str, str, PeerReads] | None = None
        while True:
            with suppress(Unavailable):  # no documents, or no database: later
                documents = self._documents()
                present = (documents.directory.digest, documents.policy.digest, documents.reads)
                if present != looked:
                    await self._issue(RowScope(parties(), "service", "apply"))
                    looked = present
                    wake()
            await asyncio.sleep(ISSUE_POLL_S)

    async def _issue(self, scope: RowScope) -> None:
        after: UUID | None = UUID(int=0)
        while after is not None:
            async with self._database.transaction(scope) as session:
                after = await self._again.issue(PostgresEdges(session.driver, self._kek), after)

    async def stale(self, rows: Sequence[OutboxRow]) -> None:
        """For the relay: none of `rows` has been stamped, so nobody has seen them."""
        # Bound to who filed them: one that has left the directory meanwhile is no longer among those we serve.
        scope = RowScope(sorted({row.draft.sender for row in rows}), "service", "apply")
        async with self._database.transaction(scope) as session:
            edges = PostgresEdges(session.driver, self._kek)
            await self._again.messages(edges, [row.draft.message_id for row in rows])
