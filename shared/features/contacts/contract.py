"""The message of a contact suggestion: an origin names to an agency another agency with a related case."""

from __future__ import annotations

from typing import Final

from shared.core.contracts.base import Contract, Instant, PartyId, Uuid
from shared.core.contracts.referral import AboutReferral
from shared.core.contracts.registry import Family, Meter, message_type
from shared.core.vocabulary.agencies import ContactGround


class ContactSuggestedClear(AboutReferral):
    """The origin names to the agency another agency with a related case."""


class Contact(Contract):
    """A suggested agency, the feature that both cases share, and that agency's referral."""

    agency: PartyId
    ground: ContactGround
    their_referral_id: Uuid


class SuggestedContact(Contact):
    """A contact suggestion as the agency received it, with the time."""

    at: Instant


CONTACT_SUGGESTED: Final = message_type(Family.REFERRAL, Meter.FREE, ContactSuggestedClear, sealed=Contact)
