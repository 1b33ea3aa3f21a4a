"""What needs a person of those that a party has filed itself, at whichever service originates."""

from __future__ import annotations

from typing import Final

from shared.exchange.origin import ReferralState
from shared.party.attention import Source
from shared.party.origin.store.attention import origin_waits, unclaimed_waits
from shared.party.origin.store.holds import expired_holds
from shared.party.questions.store import asked_waits

ORIGIN_WAITS: Final = (
    Source("referral", ReferralState.ROUTED, origin_waits),
    Source("referral", ReferralState.ROUTED, unclaimed_waits),
    Source("referral", ReferralState.ROUTED, expired_holds),
    Source("referral", ReferralState.ROUTED, asked_waits),
)
