"""What a recipient's service does where no person has: an act by a rule, with the same messages as a person's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self

import asyncpg

from shared.contracts.base import Contract
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Act
from shared.kernel.authority import Role
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.party.apart import set_aside
from shared.party.recipient.domain import Item, ItemKey, RecipientKind
from shared.party.recipient.ports import Acting, Items
from shared.party.recipient.use_cases import carry_out
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.instance.machinery import Machinery
from shared.runtime.watch.aside import SetAside

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
    aside: SetAside = field(default_factory=SetAside)

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
            aside=machinery.aside,
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Ruling]:
        """One transaction in which it acts, for all that are not suspended. Raises `Unavailable`."""
        directory = self.directory()
        scope = RowScope(directory.heard_of(directory.parties_of(self.instance)), Role.SERVICE, "apply")
        async with self.database.transaction(scope) as session:
            yield Ruling(self, session, self.items(session.driver, self.kek), directory)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is done in one transaction."""

    rule: ByRule
    session: Session
    items: Items
    directory: DirectoryIndex

    def aside(self, act: Act) -> Sequence[ItemKey]:
        """What is not to be tried now: it failed."""
        return self.rule.aside.waiting(act.name, self.rule.clock.now())

    def looked(self, act: Act, but: Sequence[ItemKey], found: Sequence[ItemKey]) -> None:
        """What a look has passed over, and what it has found: unless its batch is full, nothing else is due."""
        if len(found) < BATCH:
            self.rule.aside.only(act.name, {*but, *found})

    async def act(self, act: Act, due: Sequence[ItemKey], said: Callable[[Item], Contract]) -> int:
        """Do it to each of these, each named once, and tell its origin; how many they were.

        One that fails is set aside with all that was done of it, and the others go on. Raises `Unavailable`.
        """
        found = await self.items.find(sorted({subject for subject, _ in due}))
        for key in due:
            try:
                async with self.session.savepoint(Exception):
                    await self._do(act, found[key], said)
            except Unavailable:
                raise
            except Exception as error:  # whatever it is, no other subject waits for this one
                set_aside(self.rule.aside, act.name, key, clock=self.rule.clock, error=error)
            else:
                self.rule.aside.done(act.name, key)
        return len(due)

    async def _do(self, act: Act, item: Item, said: Callable[[Item], Contract]) -> None:
        actor, at = self.rule.kek.actor_id(item.party, b""), self.rule.clock.now()
        acting = Acting(item.party, Role.SERVICE, actor, self.items, self.directory, at)
        await carry_out(act, item, said=said(item), acting=acting)


async def look_for_ever(look: Callable[[], Awaitable[int]], waits: Callable[[str], None]) -> None:
    """Look again at once where something was done, else after a pause. `waits` is told why it could not, by a code."""
    while True:
        try:
            while await look():
                pass
        except Unavailable as error:
            waits(error.code)
        await asyncio.sleep(LOOK_EVERY_S)
