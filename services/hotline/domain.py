"""What a hotline decides: who may do what with its own referrals and with those that others offer to it."""

from __future__ import annotations

from typing import Final

from shared.exchange import states
from shared.exchange.act import Subject
from shared.exchange.origin import PERMITS
from shared.exchange.states import permits
from shared.kernel.authority import Authority
from shared.party.recipient.domain import RecipientKind

AUTHORITY: Final = Authority((*PERMITS, *permits(Subject.OFFER), states.PERMIT, *states.PERMITS))
#: Whoever offers the same referral twice is refused: `offer_exists`.
HOTLINE: Final = RecipientKind(subject=Subject.OFFER, audience="hotlines", authority=AUTHORITY)
