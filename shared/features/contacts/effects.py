"""The periodic suggestion of contact to agencies."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shared.features.contacts.acts import CONTACT
from shared.features.contacts.service import ContactQueue, suggest_again, suggest_contacts
from shared.features.contacts.store import PostgresContacts, note_contacts
from shared.features.filing.api.act_handlers import feature_of
from shared.features.filing.effects import OriginHandler
from shared.features.received.api import RecipientFeature
from shared.platform.database.failure_isolation import ClaimedBatch
from shared.platform.database.transactions import RowScope, Session


async def suggest(bus: OriginHandler, scope: RowScope) -> int:
    """Suggest contact to agencies with a common case or location. Return the count. Raises `Unavailable`."""

    async def suggest(session: Session, taking: ClaimedBatch) -> None:
        contacts, directory = PostgresContacts(session.driver), bus.law.now().directory
        await suggest_contacts(contacts, taking, directory, instance=bus.instance, at=bus.clock.now())

    return await bus.process_all("suggest_contact", scope, suggest)


#: At origins: the queue of accepted cases, and suggestions again for cases that are sent again.
CONTACTS: Final = feature_of()._replace(
    feature=CONTACT,
    schema=Path(__file__).with_name("schema.sql"),
    follow=lambda driver, *_: ContactQueue(PostgresContacts(driver)),
    sent_again=suggest_again,
)
#: At agencies: the suggestions that have arrived.
SUGGESTED: Final = RecipientFeature(CONTACT, note_contacts)
