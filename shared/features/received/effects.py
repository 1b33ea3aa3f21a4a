"""Kafka handler of a recipient, and acts that it does by rule.

The handler passes messages to the use cases in the batch's transaction; it decides nothing. Acts by rule are batches of
due items, each one transaction with the item's change. Any number of processes can run them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

import asyncpg

from shared.core.acts.act import Act
from shared.core.authority import Role
from shared.core.clock import Clock
from shared.core.contracts.base import Contract
from shared.core.contracts.registry import Family
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.errors import Refused, Unavailable
from shared.core.protocol.message import Received
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.vocabulary.answers import ReceiptOutcome
from shared.delivery.sending import Settlement, Unit
from shared.features.received.rules import HeldItem, ItemKey, RecipientKind
from shared.features.received.service.items import Hear, ItemActor, OwnEdges, carry_out, not_raised, receive
from shared.features.received.store.items import PostgresItems
from shared.platform.database.changes import Changes
from shared.platform.database.failure_isolation import ClaimedBatch, Isolation
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.observability.retry_backoff import RetryBackoff


class OriginSide(Protocol):
    """The Kafka handler of the origin, if the same service is one."""

    def answers(self, unit: Unit) -> OwnEdges: ...

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None: ...


class PreservationSide(Protocol):
    """The Kafka handler of preservation requests, at the services of agencies and providers."""

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]: ...

    async def refused(self, unit: Unit, codes: Mapping[UUID, str], by: Collection[str]) -> None: ...


class RecipientHandler:
    """The consumer's handler. A recipient that submits no referrals has no `origin`, and no decisions to repeat."""

    def __init__(
        self,
        recipient: RecipientKind,
        *,
        items: Callable[[asyncpg.Connection, KeyEncryptionKey], PostgresItems],
        kek: KeyEncryptionKey,
        origin: OriginSide | None = None,
        asked: PreservationSide | None = None,
        check: Callable[[Received], None] = lambda _: None,
        hear: Sequence[Hear] = (),
    ) -> None:
        """Set up the handler. `check` raises `Refused` for a message that its recipient may not get in any state.

        `hear` are the steps of features for their messages.
        """
        self._recipient = recipient
        self._items = items
        self._kek = kek
        self._origin = origin
        self._asked = asked
        self._check = check
        self._hear = hear

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        items = self._items(unit.connection.driver, self._kek)
        edges = None if self._origin is None else self._origin.answers(unit)
        requests = [each for each in messages if self._asked is not None and each.message.family is Family.PRESERVATION]
        refusals = self._not_to_be_told(messages)
        if self._asked is not None:  # first: requests and removals lock `location_lock_slot` before they lock any item
            refusals |= await self._asked.apply(unit, requests)
        sent = [each for each in messages if each not in requests and each.message_id not in refusals]
        new, hear = unit.are_new, self._hear
        return refusals | await receive(self._recipient, sent, items=items, edges=edges, are_new=new, hear=hear)

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        if self._origin is not None:
            await self._origin.settled(unit, settlements)
        refused = {each.message_id: each.code for each in settlements if each.outcome is ReceiptOutcome.REFUSED}
        codes = {message_id: code for message_id, code in refused.items() if code is not None}
        if not codes:
            return
        by = settlements[0].parties
        await not_raised(codes, self._items(unit.connection.driver, self._kek), by=by)
        if self._asked is not None:
            await self._asked.refused(unit, codes, by)

    def _not_to_be_told(self, messages: Sequence[Received]) -> dict[UUID, str]:
        refusals = {}
        for message in messages:
            try:
                self._check(message)
            except Refused as error:
                refusals[message.message_id] = error.code
        return refusals


#: The most items in one transaction.
BATCH: Final = 50
LOOK_EVERY_S: Final = 5.0
#: The items of one kind within a transaction.
ItemsOf = Callable[[asyncpg.Connection, KeyEncryptionKey], PostgresItems]


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """An instance that acts by rule for its parties. Any number of processes can do this at once."""

    recipient: RecipientKind
    database: Database
    items: ItemsOf
    kek: KeyEncryptionKey
    instance: str
    directory: Callable[[], DirectoryIndex]
    clock: Clock
    aside: RetryBackoff = field(default_factory=RetryBackoff)

    async def batch(
        self, work: str, do: Callable[[AutomatedAct], Awaitable[object]], parties: Sequence[str] | None = None
    ) -> int:
        """Process a batch of due items in one transaction; after a failure, each alone. Return their number.

        The batch covers `parties`; by default all parties that are not suspended. Raises `Unavailable`.
        """
        directory = self.directory()
        of = directory.heard_of(directory.parties_of(self.instance)) if parties is None else parties

        async def in_transaction(taking: ClaimedBatch) -> None:
            async with self.database.transaction(RowScope(of, Role.SERVICE, "apply")) as session:
                await do(AutomatedAct(self, session, self.items(session.driver, self.kek), directory, taking))

        return await Isolation(self.aside, self.clock).batch(work, BATCH, in_transaction)

    def unheard(self) -> Sequence[str]:
        """Return the suspended parties. Other instances refuse all messages from them."""
        directory = self.directory()
        return [each for each in directory.parties_of(self.instance) if directory.is_suspended(each)]


@dataclass(frozen=True, slots=True)
class AutomatedAct:
    """Acts by rule in one transaction, limited to the rows of its `taking`."""

    rule: Automation
    session: Session
    items: PostgresItems
    directory: DirectoryIndex
    taking: ClaimedBatch

    async def act(self, act: Act, due: Sequence[ItemKey], compose_body: Callable[[HeldItem], Contract]) -> None:
        """Do the act on each due item, and inform its origin. Each key occurs once."""
        found = await self.items.find(sorted({subject for subject, _ in due}))
        for key in due:
            item, at = found[key], self.rule.clock.now()
            actor = self.rule.kek.actor_id(item.party, b"")
            acting = ItemActor(item.party, Role.SERVICE, actor, self.items, self.directory, at)
            await carry_out(act, item, said=compose_body(item), acting=acting)

    async def erase(self, due: Sequence[ItemKey]) -> None:
        """Erase the record of each due item without a message."""
        found = await self.items.find(sorted({subject for subject, _ in due}))
        for key in due:
            await self.items.erase(found[key])


async def look_for_ever(changes: Changes, look: Callable[[], Awaitable[int]], waits: Callable[[str], None]) -> None:
    """Call `look` forever: again at once after work was done, else after a pause.

    `waits` is called with a code if the database or a document is unavailable.
    """
    while True:
        try:
            while await look():
                pass
        except Unavailable as error:
            waits(error.code)
        await changes.pause(LOOK_EVERY_S)
