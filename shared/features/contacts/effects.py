"""The periodic suggestion of contact to agencies."""

from __future__ import annotations

from shared.features.contacts.service import suggest_contacts
from shared.features.contacts.store import PostgresContacts
from shared.features.filing.effects import OriginHandler
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.database.transactions import RowScope, Session


async def suggest(bus: OriginHandler, scope: RowScope) -> int:
    """Suggest contact to agencies with a common case or location. Return the count. Raises `Unavailable`."""

    async def suggest(session: Session, taking: ClaimedBatch) -> None:
        contacts, directory = PostgresContacts(session.driver), bus.law.now().directory
        await suggest_contacts(contacts, taking, directory, instance=bus.instance, at=bus.clock.now())

    return await bus.process_all("suggest_contact", scope, suggest)
