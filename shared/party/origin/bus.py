"""The Kafka door of an origin: what comes back moves its edges, and what went stale is decided again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.prepare import Documents
from shared.exchange.record_table import DECIDE_AGAIN
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.party.origin.store.edges import PostgresEdges
from shared.party.origin.use_cases.again import MOVED_AT_ONCE, DecideAgain
from shared.party.origin.use_cases.answers import EdgeAnswers
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.post.ports import OutboxRow, Settlement, Unit
from shared.vocabulary.answers import ReceiptOutcome

#: How soon a new directory is noticed, and after how many seconds of it what has moved is looked for.
LOOK_EVERY_S: Final = 0.5
FOLLOWED_S: Final = (0.0, 10.0, 60.0, 300.0)


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
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._documents = documents
        self._instance = instance
        self._wake = wake
        self._again = DecideAgain(documents=documents, instance=instance, clock=clock)
        self._kek = kek
        self._clock = clock

    def answers(self, unit: Unit) -> EdgeAnswers:
        """The edges that answers move, within the batch's transaction."""
        edges = PostgresEdges(unit.connection.driver, self._kek)
        return EdgeAnswers(edges, self._clock.now(), retell=self._again.known)

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """Decide again what its recipient refused because it had gone stale, and what it is elsewhere for now."""
        edges = PostgresEdges(unit.connection.driver, self._kek)
        stale = [entry.message_id for entry in settlements if entry.code in DECIDE_AGAIN]
        if stale:
            await self._again.messages(edges, stale)
        moved = [entry.message_id for entry in settlements if entry.outcome is ReceiptOutcome.MOVED]
        if moved:
            await self._again.moved(edges, moved)

    async def follow_moves(self) -> None:
        """Issue anew, for ever, what lies where its recipient was before it moved: at the start, at each directory.

        And a few times after: what was filed by the directory before may only now have been committed.
        """
        followed, began, due = "", self._clock.now(), list[float]()
        while True:
            try:
                directory = self._documents().directory
                if followed != directory.digest:
                    followed, began, due = directory.digest, self._clock.now(), list(FOLLOWED_S)
                if due and (self._clock.now() - began).total_seconds() >= due[0]:
                    await self.follow(directory)
                    del due[0]
            except Unavailable:
                pass  # no documents yet, or no database: nothing is sent meanwhile either
            await asyncio.sleep(LOOK_EVERY_S)

    async def follow(self, directory: DirectoryIndex) -> None:
        """Issue anew what this directory has moved, a batch a transaction. It ends when nothing is left behind."""
        scope = RowScope(directory.parties_of(self._instance), "service", "apply")
        for party in directory.moved:
            for instance in party.instances_before:
                found = MOVED_AT_ONCE
                while found:
                    async with self._database.transaction(scope) as session:
                        edges = PostgresEdges(session.driver, self._kek)
                        found = await self._again.left_behind(edges, party.id, instance)
                    if found:
                        self._wake()

    async def stale(self, rows: Sequence[OutboxRow]) -> None:
        """For the relay: none of `rows` has been stamped, so nobody has seen them."""
        # Bound to who filed them: one that has left the directory meanwhile is no longer among those we serve.
        scope = RowScope(sorted({row.draft.sender for row in rows}), "service", "apply")
        async with self._database.transaction(scope) as session:
            edges = PostgresEdges(session.driver, self._kek)
            await self._again.messages(edges, [row.draft.message_id for row in rows])
