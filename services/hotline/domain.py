"""The permissions of a hotline on its own referrals and on offers to it."""

from __future__ import annotations

from typing import Final

from shared.exchange import states
from shared.exchange.act import Subject
from shared.exchange.origin import PERMITS
from shared.exchange.states import permits
from shared.kernel.authority import Authority
from shared.party.recipient.domain import RecipientKind

AUTHORITY: Final = Authority((*PERMITS, *permits(Subject.OFFER), states.PERMIT, *states.PERMITS))
#: A second offer of the same referral is refused: `offer_exists`.
HOTLINE: Final = RecipientKind(subject=Subject.OFFER, audience="hotlines", authority=AUTHORITY)
