"""The act of a contact suggestion. It leaves the case as it is, also after a withdrawal that it crossed."""

from __future__ import annotations

from typing import Final

from shared.core.acts.act import Act, Cause, Offering, Subject, Track, stays
from shared.core.acts.catalog import Feature
from shared.features.contacts.contract import CONTACT_SUGGESTED

_STANDS: Final = stays(Offering.OPEN, Offering.WITHDRAWN)
SUGGEST: Final = Act("contact_suggested", Subject.CASE, Track.OFFER, Cause.ACT, _STANDS, message=CONTACT_SUGGESTED)
CONTACT: Final = Feature("contacts", (CONTACT_SUGGESTED,), (SUGGEST,))
