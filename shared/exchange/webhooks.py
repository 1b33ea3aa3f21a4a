"""Addresses to which a party has its events sent: who may do what with them, and what the feed says of them.

What is sent is what the feed shows, nothing more. Whose receiver is away reads the feed: nothing is kept for it alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from shared.exchange.act import ACTORS, SERVICE, any_of
from shared.exchange.states import LOOKING
from shared.kernel.authority import Permit


class WebhookState(StrEnum):
    """`paused`: its receiver was away for days, or said that it is gone; a replay begins again. `removed` is final."""

    ACTIVE = "active"
    PAUSED = "paused"
    REMOVED = "removed"


#: What there is to act on.
_STANDING: Final = any_of(WebhookState.ACTIVE, WebhookState.PAUSED)
PERMITS: Final = (
    Permit("webhook", "read", LOOKING, any_of(*WebhookState)),
    Permit("webhook", "submit", ACTORS, any_of(WebhookState.ACTIVE)),
    *(Permit("webhook", action, ACTORS, _STANDING) for action in ("remove", "replay", "rotate", "trigger")),
    Permit("webhook", "apply", SERVICE, _STANDING),
)
#: Types of events about an address: the instance has stopped sending there; and one that means nothing, asked for to
#: see whether it arrives.
PAUSED_EVENT: Final = "webhook.paused"
TEST_EVENT: Final = "webhook.test"
