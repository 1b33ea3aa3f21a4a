"""Addresses to which a party has its events sent: who may do what with them, and what the feed says of them.

What is sent is what the feed shows, nothing more. Whose receiver is away reads the feed: nothing is kept for it alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from shared.exchange.states import LOOKING
from shared.kernel.authority import Permit, Role


class WebhookState(StrEnum):
    """`paused`: its receiver was away for days, or said that it is gone; a replay begins again. `removed` is final."""

    ACTIVE = "active"
    PAUSED = "paused"
    REMOVED = "removed"


_ANY: Final = frozenset(WebhookState)
#: What there is to act on.
_STANDING: Final = frozenset({WebhookState.ACTIVE.value, WebhookState.PAUSED.value})
#: Those who may register an address, and change what is sent there.
ACTING: Final = frozenset({Role.ANALYST, Role.MACHINE})
PERMITS: Final = (
    Permit("webhook", "read", LOOKING, frozenset(each.value for each in _ANY)),
    Permit("webhook", "submit", ACTING, frozenset({WebhookState.ACTIVE.value})),
    *(Permit("webhook", action, ACTING, _STANDING) for action in ("remove", "replay", "rotate", "trigger")),
    Permit("webhook", "apply", frozenset({Role.SERVICE}), _STANDING),
)
#: Types of events about an address: the instance has stopped sending there; and one that means nothing, asked for to
#: see whether it arrives.
PAUSED_EVENT: Final = "webhook.paused"
TEST_EVENT: Final = "webhook.test"
