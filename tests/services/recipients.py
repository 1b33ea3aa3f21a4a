"""A recipient's service over a real database: deliver messages, let its parties act, show an item."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.core.acts.act import Subject
from shared.core.acts.states import row
from shared.core.authority import Role
from shared.core.contracts.base import Contract
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.message import Received
from shared.delivery.sending import Settlement, Unit
from shared.features.received.effects import Automation, RecipientHandler, RecipientKind
from shared.features.received.service.items import ActUseCase, ItemActor
from shared.features.received.store.items import PostgresItems
from shared.platform.database.transactions import Database, RowScope
from tests.services.deliveries import AT, directory
from tests.services.doors import ACTOR, as_told

KEK = KeyEncryptionKey(bytes(range(32)))


class Recipients:
    """The sample parties of one kind, served by one instance. The first of them acts unless another is named."""

    subject: Subject
    items: type[PostgresItems]
    parties: tuple[str, ...]
    act_on: ActUseCase
    door: RecipientHandler

    def __init__(self, database: Database) -> None:
        self.database = database
        self.directory = directory()

    def automation(self, recipient: RecipientKind, instance: str, **rest: Any) -> Automation:
        shared = {"database": self.database, "items": self.items, "kek": KEK, "directory": lambda: self.directory}
        return Automation(recipient=recipient, instance=instance, **shared, **rest)

    async def receive(self, *messages: Received) -> list[str | None]:
        """Apply one batch. Return the code of each refused message, and None for each applied one."""
        async with self._applying() as unit:
            refusals = await self.door.apply(unit, messages)
        return [refusals.get(message.message_id) for message in messages]

    async def receipted(self, *told: Settlement) -> None:
        """Report outcomes of messages, as the instances of their recipients do."""
        async with self._applying() as unit:
            await self.door.settled(unit, told)

    @asynccontextmanager
    async def _applying(self) -> AsyncIterator[Unit]:
        async with self.database.transaction(RowScope(self.parties, Role.SERVICE, "apply")) as session:
            yield Unit(session)

    @asynccontextmanager
    async def opened(self, action: str, *, party: str = "", role: Role = Role.ANALYST) -> AsyncIterator[Any]:
        """Open the items for a party while it does `action`."""
        async with self.database.transaction(RowScope([party or self.parties[0]], role, action)) as session:
            yield self.items(session.driver, KEK)

    async def act(
        self,
        name: str,
        said: Contract | None,
        subject_id: UUID,
        *,
        party: str = "",
        role: Role = Role.ANALYST,
        actor: str = ACTOR,
        at: datetime = AT,
    ) -> str:
        """Do one act as the HTTP routes do."""
        async with self.opened(name, party=party, role=role) as items:
            acting = ItemActor(party or self.parties[0], role, actor, items, self.directory, at)
            return await self.act_on(row(self.subject, name), subject_id, said=said, acting=acting)

    async def show(self, subject_id: UUID, *, party: str = "") -> dict[str, Any]:
        async with self.opened("read", party=party) as items:
            return as_told(await items.show(subject_id))
