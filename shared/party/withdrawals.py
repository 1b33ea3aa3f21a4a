"""Every withdrawal is answered and every keeping ends: what a recipient's service does where no person has.

    taken back   unanswered for so many hours: kept where a rule says so (`shared.exchange.keeping`), else erased
    kept until   the day is over: erased, and its origin told

The same messages as a person's, in a transaction that also moves the item. Any number of processes may look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import asyncpg

from shared.contracts.answers import WithdrawalAnswer
from shared.contracts.base import Contract
from shared.contracts.erasures import Erasure
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.act import Act
from shared.exchange.erasure_acts import ERASE
from shared.exchange.keeping import KEPT_DAYS, reason_to_keep
from shared.exchange.states import row
from shared.kernel.authority import Role
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.party.recipient.domain import Item, ItemKey, RecipientKind
from shared.party.recipient.ports import Acting, Items
from shared.party.recipient.use_cases import carry_out
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.instance.app import App
from shared.runtime.watch.logs import log
from shared.vocabulary.answers import WithdrawalFate
from shared.vocabulary.judgement import RetentionClass

#: The act of a person that the service does instead.
_ANSWER: Final = "acknowledge_withdrawal"
#: So many items in one transaction.
BATCH: Final = 50
LOOK_EVERY_S: Final = 5.0


class Withdrawals:
    """What is owed to withdrawals at one instance, by the parties that it serves. `answer_h`: how long people have."""

    def __init__(
        self,
        recipient: RecipientKind,
        database: Database,
        *,
        items: Callable[[asyncpg.Connection, KeyEncryptionKey], Items],
        kek: KeyEncryptionKey,
        instance: str,
        directory: Callable[[], DirectoryIndex],
        clock: Clock,
        answer_h: float,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._recipient = recipient
        self._database = database
        self._items = items
        self._kek = kek
        self._instance = instance
        self._directory = directory
        self._clock = clock
        self._answer_h = answer_h
        self._wake = wake

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                while await self.look():
                    pass
            except Unavailable as error:
                log("withdrawal_waits", code=error.code)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Answer and erase what is due, a batch of each; how many items that were. Raises `Unavailable`."""
        directory = self._directory()
        scope = RowScope(directory.parties_of(self._instance), Role.SERVICE, "apply")
        async with self._database.transaction(scope) as session:
            items = self._items(session.driver, self._kek)
            answered = await self._answer(items, directory)
        async with self._database.transaction(scope) as session:
            items = self._items(session.driver, self._kek)
            today = self._clock.now().date()
            erased = await self._erase(items, await items.kept_until(today, BATCH), directory)
        if answered + erased:
            self._wake()
        return answered + erased

    async def _answer(self, items: Items, directory: DirectoryIndex) -> int:
        due = await items.taken_back(self._answer_h * 3600, BATCH)

        def said(item: Item) -> WithdrawalAnswer:
            return self._said(item, due[item.subject_id, item.party])

        return await self._each(items, list(due), directory, act=row(self._recipient.subject, _ANSWER), said=said)

    async def _erase(self, items: Items, due: Sequence[ItemKey], directory: DirectoryIndex) -> int:
        act = row(self._recipient.subject, ERASE)
        return await self._each(items, due, directory, act=act, said=lambda _: Erasure(fate=WithdrawalFate.ERASED))

    async def _each(
        self,
        items: Items,
        due: Sequence[ItemKey],
        directory: DirectoryIndex,
        *,
        act: Act,
        said: Callable[[Item], Contract],
    ) -> int:
        found = await items.find(sorted({subject for subject, _ in due}))
        for key in due:
            item = found[key]
            actor, at = self._kek.actor_id(item.party, b""), self._clock.now()
            acting = Acting(item.party, Role.SERVICE, actor, items, directory, at)
            await carry_out(act, item, said=said(item), acting=acting)
        return len(due)

    def _said(self, item: Item, classes: Sequence[str]) -> WithdrawalAnswer:
        """Of several classes the one that lasts longest."""
        known = [each for each in RetentionClass if each.value in classes]
        retention = max(known, key=lambda each: KEPT_DAYS[each], default=None)
        kept = reason_to_keep(self._recipient.subject, item.said, retention=retention, at=self._clock.now())
        return WithdrawalAnswer(fate=WithdrawalFate.ERASED if kept is None else WithdrawalFate.KEPT, kept=kept)


def with_withdrawals(
    app: App, recipient: RecipientKind, items: Callable[[asyncpg.Connection, KeyEncryptionKey], Items]
) -> App:
    """The service with one part more, which answers withdrawals and ends what was kept."""
    machinery = app.machinery
    withdrawals = Withdrawals(
        recipient,
        machinery.database,
        items=items,
        kek=machinery.keys.kek,
        instance=machinery.instance,
        directory=machinery.directory,
        clock=machinery.clock,
        answer_h=machinery.settings.withdrawal_answer_h,
        wake=machinery.wake,
    )
    return replace(app, parts=app.parts | {"withdrawals": withdrawals.run})
