"""What each store of a party does within its transaction, beside reading and writing its own rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from shared.contracts.facts import RecordRevealedClear
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.clocks import Clocked, Happened
from shared.exchange.events import Event
from shared.exchange.message import Draft
from shared.party.opened import ShownLook, looks_at, note_look
from shared.runtime.database.feed import note_acts
from shared.runtime.delivery.sending import send
from shared.runtime.timers.steps import clock


class PartyStore:
    """A store within one transaction, which is bound to whoever acts."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def send(self, drafts: Sequence[Draft]) -> None:
        """Send messages when this transaction commits."""
        send(self._driver, drafts)

    async def note(self, events: Sequence[Event]) -> None:
        """Tell parties of this instance what happened, once this transaction has committed."""
        note_acts(self._driver, events)

    async def note_look(self, subject: UUID, opened: RecordRevealedClear, at: datetime) -> None:
        """Keep for the people of the party that a record was opened."""
        await note_look(self._driver, subject, opened, at=at)

    async def clock(self, begun: Sequence[Clocked], steps: Sequence[Happened]) -> None:
        """Begin the clocks of new edges, and keep what has happened to edges, for their clocks."""
        await clock(self._driver, begun, steps)


class RecordStore(PartyStore):
    """A store that opens and protects records: under data keys that this key wraps."""

    def __init__(self, driver: asyncpg.Connection, kek: KeyEncryptionKey) -> None:
        super().__init__(driver)
        self._kek = kek

    async def looks_at(self, party: str, subject: UUID) -> Sequence[ShownLook]:
        """Who of the party has opened it."""
        return await looks_at(self._driver, self._kek, party=party, subject=subject)
