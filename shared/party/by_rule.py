"""What a recipient's service does where no person has: an act by a rule, with the same messages as a person's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import asyncpg

from shared.contracts.base import Contract
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Act
from shared.kernel.authority import Role
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.party.apart import Apart
from shared.party.recipient.domain import Item, ItemKey, RecipientKind
from shared.party.recipient.store.items import PostgresItems
from shared.party.recipient.use_cases import Acting, carry_out
from shared.party.taking import Taking
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.instance.machinery import Machinery
from shared.runtime.watch.aside import SetAside

#: So many items in one transaction.
BATCH: Final = 50
LOOK_EVERY_S: Final = 5.0
#: The items of one kind within a transaction.
ItemsOf = Callable[[asyncpg.Connection, KeyEncryptionKey], PostgresItems]


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
            aside=machinery.aside,
        )

    async def batch(
        self, work: str, do: Callable[[Ruling], Awaitable[object]], parties: Sequence[str] | None = None
    ) -> int:
        """Do a batch of what is due in one transaction; how many items. Where that fails each is done alone (`Apart`).

        For these `parties`; if none are named, for all that are not suspended. Raises `Unavailable`.
        """
        directory = self.directory()
        of = directory.heard_of(directory.parties_of(self.instance)) if parties is None else parties

        async def in_transaction(taking: Taking) -> None:
            async with self.database.transaction(RowScope(of, Role.SERVICE, "apply")) as session:
                await do(Ruling(self, session, self.items(session.driver, self.kek), directory, taking))

        return await Apart(self.aside, self.clock).batch(work, BATCH, in_transaction)

    def unheard(self) -> Sequence[str]:
        """The parties that are suspended: nobody hears what is said for them."""
        directory = self.directory()
        return [each for each in directory.parties_of(self.instance) if directory.is_suspended(each)]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is done in one transaction, of what its `taking` allows."""

    rule: ByRule
    session: Session
    items: PostgresItems
    directory: DirectoryIndex
    taking: Taking

    async def act(self, act: Act, due: Sequence[ItemKey], said: Callable[[Item], Contract]) -> None:
        """Do it to each of these, each named once, and tell its origin."""
        found = await self.items.find(sorted({subject for subject, _ in due}))
        for key in due:
            await self._do(act, found[key], said)

    async def erase(self, due: Sequence[ItemKey]) -> None:
        """Erase the record of each of these, and tell nobody yet."""
        found = await self.items.find(sorted({subject for subject, _ in due}))
        for key in due:
            await self.items.erase(found[key])

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
