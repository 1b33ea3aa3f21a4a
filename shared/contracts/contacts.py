"""Contact between agencies: an origin tells one that another has accepted the same referral, or the same place.

Both have opted in by the directory. Who the other is stands in the sealed part: the broker sees that an origin tells
its agencies something.
"""

from __future__ import annotations

from shared.contracts.base import Contract, Instant, PartyId, Uuid
from shared.contracts.referral import Revision
from shared.vocabulary.contacts import ContactGround


class ContactSuggestedClear(Contract):
    """The origin tells the agency of another one that has a case like this one."""

    referral_id: Uuid
    revision: Revision


class Contact(Contract):
    """Which agency that is, what the two cases have in common, and the referral that it has: its case, if they meet."""

    agency: PartyId
    ground: ContactGround
    their_referral_id: Uuid


class SuggestedContact(Contact):
    """A contact as the agency was told of it, and when."""

    at: Instant
