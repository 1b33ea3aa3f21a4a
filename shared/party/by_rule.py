"""What a recipient's service does where no person has: an act by a rule, with the same messages as a person's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self

import asyncpg

from shared.contracts.base import Contract
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Act
from shared.kernel.authority import Role
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.party.recipient.domain import Item, ItemKey, RecipientKind
from shared.party.recipient.ports import Acting, Items
from shared.party.recipient.use_cases import carry_out
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.instance.machinery import Machinery

#: So many items in one transaction.
BATCH: Final = 50
LOOK_EVERY_S: Final = 5.0
#: The items of one kind within a transaction.
ItemsOf = Callable[[asyncpg.Connection, KeyEncryptionKey], Items]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByRule:
    """One instance and its parties, for which it acts. Any number of processes may."""

    recipient: RecipientKind
    database: Database
    items: ItemsOf
    kek: KeyEncryptionKey
    instance: str
    directory: Callable[[], DirectoryIndex]
    clock: Clock
    wake: Callable[[], None] = lambda: None

    @classmethod
    def at(cls, machinery: Machinery, recipient: RecipientKind, items: ItemsOf) -> Self:
        return cls(
            recipient=recipient,
            database=machinery.database,
            items=items,
            kek=machinery.keys.kek,
            instance=machinery.instance,
            directory=machinery.directory,
            clock=machinery.clock,
            wake=machinery.wake,
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Ruling]:
        """One transaction in which it acts. Raises `Unavailable`."""
        directory = self.directory()
        scope = RowScope(directory.parties_of(self.instance), Role.SERVICE, "apply")
        async with self.database.transaction(scope) as session:
            yield Ruling(self, session.driver, self.items(session.driver, self.kek), directory)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is done in one transaction."""

    rule: ByRule
    driver: asyncpg.Connection
    items: Items
    directory: DirectoryIndex

    async def act(self, act: Act, due: Sequence[ItemKey], said: Callable[[Item], Contract]) -> int:
        """Do it to each of these, each named once, and tell its origin; how many they were."""
        found = await self.items.find(sorted({subject for subject, _ in due}))
        for key in due:
            item = found[key]
            actor, at = self.rule.kek.actor_id(item.party, b""), self.rule.clock.now()
            acting = Acting(item.party, Role.SERVICE, actor, self.items, self.directory, at)
            await carry_out(act, item, said=said(item), acting=acting)
        return len(due)


async def look_for_ever(look: Callable[[], Awaitable[int]], waits: Callable[[str], None]) -> None:
    """Look again at once where something was done, else after a pause. `waits` is told why it could not, by a code."""
    while True:
        try:
            while await look():
                pass
        except Unavailable as error:
            waits(error.code)
        await asyncio.sleep(LOOK_EVERY_S)
