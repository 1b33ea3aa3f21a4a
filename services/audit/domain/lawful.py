"""What the documents in force let be said: whether an agency has opted in, and under which instrument it asks. Pure.

Audit judges by the rules that the parties' own instances judge by. It sees what travels in the clear: of a contact who
is told, not of whom; of a preservation agency, provider and instrument.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from shared.contracts.base import Contract
from shared.contracts.passing import ContactSuggestedClear
from shared.contracts.preservation import PreservationRequestedClear
from shared.contracts.registry import CONTACT_SUGGESTED, PRESERVATION_REQUESTED
from shared.envelope.headers import Attributes
from shared.kernel.errors import Refused, Unavailable
from shared.party.preservation.domain import check_may_ask
from shared.routing.shelf import DocumentShelf

#: What the documents in force may forbid.
JUDGED: Final = frozenset({CONTACT_SUGGESTED, PRESERVATION_REQUESTED})


def unlawful(said: Contract, attributes: Attributes, *, shelf: DocumentShelf, at: datetime) -> str | None:
    """Which rule forbids its sender to say this to its recipient, as a code; None where none does.

    By the documents in force when the broker took it, `at`, and by those of when it was said: so nobody is
    named whose message was on its way as they changed.
    """
    codes = [_broken(said, attributes, shelf, when=when) for when in (at, attributes.time)]
    return None if None in codes else codes[0]


def _broken(said: Contract, attributes: Attributes, shelf: DocumentShelf, *, when: datetime) -> str | None:
    try:
        directory = shelf.directories.active(when)
        if isinstance(said, ContactSuggestedClear):
            return None if attributes.recipient in directory.contactable else "contact_not_agreed"
        if isinstance(said, PreservationRequestedClear):
            parties, policy = (attributes.sender, attributes.recipient), shelf.policies.active(when)
            check_may_ask(*parties, said, directory=directory, policy=policy, on=when.date())
    except Unavailable:
        return None  # nothing was in force that could forbid it
    except Refused as error:
        return error.code
    return None
