"""The Kafka door of a recipient: messages go to the use cases in the batch's transaction. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

import asyncpg

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Received
from shared.exchange.record_table import DECIDE_AGAIN
from shared.party.recipient.domain import Recipient
from shared.party.recipient.ports import Edges, Items
from shared.party.recipient.use_cases import receive
from shared.runtime.post.ports import Settlement, Unit


class Again(Protocol):
    """Decides edges again, in the transaction that settles their messages."""

    async def messages(self, driver: asyncpg.Connection, message_ids: Sequence[UUID]) -> None: ...


class RecipientDoor:
    """The consumer's handler. `edges` and `again` are there where the service is an origin too."""

    def __init__(
        self,
        recipient: Recipient,
        *,
        items: Callable[[asyncpg.Connection, KeyEncryptionKey], Items],
        kek: KeyEncryptionKey,
        edges: Callable[[asyncpg.Connection], Edges] | None = None,
        again: Again | None = None,
    ) -> None:
        self._recipient = recipient
        self._items = items
        self._kek = kek
        self._edges = edges
        self._again = again

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        driver = unit.connection.driver
        edges = None if self._edges is None else self._edges(driver)
        return await receive(self._recipient, messages, items=self._items(driver, self._kek), edges=edges)

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        """A recipient that files nothing sends no decision that could be decided again."""
        stale = [entry.message_id for entry in settlements if entry.code in DECIDE_AGAIN]
        if stale and self._again is not None:
            await self._again.messages(unit.connection.driver, stale)
