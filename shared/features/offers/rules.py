"""The permissions of a hotline on its own referrals and on offers to it."""

from __future__ import annotations

from typing import Final

from shared.core.acts import states
from shared.core.acts.act import Subject
from shared.core.acts.states import permits
from shared.core.authority import Authority
from shared.core.protocol.origin import PERMITS
from shared.features.received.rules import RecipientKind

AUTHORITY: Final = Authority((*PERMITS, *permits(Subject.OFFER), states.PERMIT, *states.PERMITS))
#: A second offer of the same referral is refused: `offer_exists`.
HOTLINE: Final = RecipientKind(subject=Subject.OFFER, audience="hotlines", authority=AUTHORITY)
