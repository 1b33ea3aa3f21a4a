"""The row of contacts: an origin tells an agency of another that has accepted the same referral, or the same place.

It moves nothing of the case, and asks nothing of the agency: whether it calls is its own affair.
"""

from __future__ import annotations

from typing import Final

from shared.contracts import registry
from shared.exchange.act import SERVICE, Act, Cause, Offered, Subject, Track, stays

#: What is told of a case may cross its withdrawal.
_STANDS: Final = stays(Offered.OPEN, Offered.WITHDRAWN)

SUGGEST: Final = Act(
    "contact_suggested",
    Subject.CASE,
    Track.OFFER,
    Cause.ACT,
    SERVICE,
    _STANDS,
    message=registry.CONTACT_SUGGESTED,
)
ROWS: Final[tuple[Act, ...]] = (SUGGEST,)
