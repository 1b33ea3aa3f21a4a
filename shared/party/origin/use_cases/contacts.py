"""Suggesting contact: agencies that have accepted the same referral, or the same place, are told of each other.

A step of its own, after the answers and the links that it goes by: each of them leaves word in its own transaction, so
whichever was last is looked at when all are there. It says nothing to who has not opted in, and nothing of who has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.contracts.passing import Contact, ContactSuggestedClear
from shared.contracts.registry import CONTACT_SUGGESTED
from shared.exchange.message import Draft
from shared.party.origin.records import Met
from shared.party.origin.store.contacts import PostgresContacts
from shared.party.origin.use_cases.acting import Letters
from shared.party.taking import Taking
from shared.routing.directory_index import DirectoryIndex


async def suggest_contacts(
    contacts: PostgresContacts, taking: Taking, directory: DirectoryIndex, *, instance: str, at: datetime
) -> None:
    """Tell the agencies of one batch. `instance` serves the origins."""
    due = await contacts.due(taking)
    among = [each for each in directory.contactable if _can_be_told(each, directory, at)]
    if due and among:
        met = await contacts.met(due, among)
        await contacts.send([each for one in met for each in _letters(one, Letters(directory, instance, at))])


def _can_be_told(agency: str, directory: DirectoryIndex, at: datetime) -> bool:
    """Whether there is a key to seal for it: else one agency would hold up what is told all others."""
    instance = directory.instance_of(agency)
    return instance is not None and directory.sealing_key(instance.id, at) is not None


def _letters(met: Met, letters: Letters) -> Sequence[Draft]:
    """One message; none where its origin is served elsewhere now."""
    clear = ContactSuggestedClear(referral_id=met.referral_id, revision=met.revision)
    told = {"agency": met.other, "ground": met.ground, "their_referral_id": met.their_referral_id}
    return letters.tell(
        CONTACT_SUGGESTED,
        clear,
        of=met.referral_id,
        sender=met.party,
        to=met.agency,
        exercise=met.exercise,
        sealed=Contact.model_validate(told).model_dump_json().encode(),
    )
