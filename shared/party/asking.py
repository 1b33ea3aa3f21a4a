"""What a recipient's service does with what its parties ask: it stands on their lists, and lapses in its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import asyncpg

from shared.contracts.questions import LapsedQuestion
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.question_acts import LAPSE
from shared.exchange.states import may_come_in, row
from shared.kernel.authority import Role
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.party.attention import Source
from shared.party.questions.store import PostgresQuestions, raised_waits
from shared.party.recipient.domain import RecipientKind
from shared.party.recipient.ports import Acting, Items
from shared.party.recipient.store.items import ItemTable
from shared.party.recipient.use_cases import carry_out
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.instance.app import App
from shared.runtime.watch.logs import log

#: So many questions in one transaction.
BATCH: Final = 50
LOOK_EVERY_S: Final = 5.0


class Lapses:
    """What parties of one instance have asked and nobody has answered in its time. Any number of processes may look."""

    def __init__(
        self,
        recipient: RecipientKind,
        database: Database,
        *,
        table: ItemTable,
        items: Callable[[asyncpg.Connection, KeyEncryptionKey], Items],
        kek: KeyEncryptionKey,
        instance: str,
        directory: Callable[[], DirectoryIndex],
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._recipient = recipient
        self._database = database
        self._table = table
        self._items = items
        self._kek = kek
        self._instance = instance
        self._directory = directory
        self._clock = clock
        self._wake = wake
        self._act = row(recipient.subject, LAPSE)
        self._open_in = sorted(may_come_in(self._act))

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                while await self.look():
                    pass
            except Unavailable as error:
                log("question_waits", code=error.code)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Say of a batch that it lapsed; how many questions that were. Raises `Unavailable`."""
        directory = self._directory()
        scope = RowScope(directory.parties_of(self._instance), Role.SERVICE, "apply")
        async with self._database.transaction(scope) as session:
            due = await PostgresQuestions(session.driver).lapsed(
                self._clock.now(),
                table=self._table.name,
                key=self._table.subject,
                open_in=self._open_in,
                limit=BATCH,
            )
            items = self._items(session.driver, self._kek)
            for party, subject, number in due:
                item = (await items.find([subject]))[subject, party]
                actor, at = self._kek.actor_id(party, b""), self._clock.now()
                acting = Acting(party, Role.SERVICE, actor, items, directory, at)
                await carry_out(self._act, item, said=LapsedQuestion(question=number), acting=acting)
        if due:
            self._wake()
        return len(due)


def with_lapses(
    app: App,
    recipient: RecipientKind,
    *,
    table: ItemTable,
    items: Callable[[asyncpg.Connection, KeyEncryptionKey], Items],
) -> App:
    """The service with one part more, by which questions lapse."""
    machinery = app.machinery
    lapses = Lapses(
        recipient,
        machinery.database,
        table=table,
        items=items,
        kek=machinery.keys.kek,
        instance=machinery.instance,
        directory=machinery.directory,
        clock=machinery.clock,
        wake=machinery.wake,
    )
    return replace(app, parts=app.parts | {"lapses": lapses.run})


def own_questions(recipient: RecipientKind, table: ItemTable) -> Source:
    """What stands on the lists of those who have raised it."""
    subject = recipient.subject
    open_in = sorted(may_come_in(row(subject, LAPSE)))
    look = partial(raised_waits, table=table.name, key=table.subject, subject=subject, open_in=open_in)
    return Source(subject.value, recipient.first, look)
