"""The gate before the relay: states are not appended while the clock or the documents here cannot be trusted.

A recipient judges the decision of an edge by the broker's time, and would refuse each of them. An answer that is dated
ahead waits, too: its recipient would refuse it for good (`message_time_off`). The urgent lane waits for the clock
alone: a document never delays a withdrawal that follows a state, because the recipient can wait for the document.
Acknowledgements and the protocol's own messages are always sent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from shared.core.clock import parse_rfc3339
from shared.messaging.segments import OutgoingMessage, Segment
from shared.messaging.streams import CONTROL_ROLES, Lane, WireRole

#: The largest difference between the clock here and the broker's. Beyond it, decisions appear to be in the future.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
#: A message that is dated further ahead is sent, and refused with an alarm: later messages need not wait longer.
AHEAD_WAITS: Final = timedelta(hours=3)

#: The reasons why states wait; the first that applies counts: the clock, or documents that may not be the newest.
REASONS: Final = ("clock_off", "beat_late")


class SendGate:
    """The gate: it measures the clock at each append and checks the documents' age. It is open before the first one."""

    def __init__(self, documents: Callable[[], str] = lambda: "") -> None:
        """`documents` returns the reason why those here cannot be trusted, or ""."""
        self._documents = documents
        self._is_clock_off = self._is_ahead = False

    def measure(self, began_at: datetime, ended_at: datetime, broker_at: datetime | None) -> None:
        """Note an append that lasted from `began_at` to `ended_at`, by the clock here, and the broker's time of it.

        The clock is off only if no moment of the append is near enough to the broker's time.
        """
        if broker_at is not None:
            self._is_ahead = began_at - broker_at > CLOCK_TOLERANCE
            self._is_clock_off = self._is_ahead or broker_at - ended_at > CLOCK_TOLERANCE

    def reason(self) -> str:
        """Return why states wait: `clock_off`, or the reason of the documents; "" while they may be sent."""
        return "clock_off" if self._is_clock_off else self._documents()

    def reason_of(self, segment: Segment, now: datetime) -> str:
        """Return why a segment waits, or "" if it may be appended now."""
        if any(message.role is WireRole.STATE for message in segment.messages):
            reason = self.reason()
            if reason and (self._is_clock_off or segment.lane is not Lane.URGENT):
                return reason
        ahead = (_is_dated_ahead(message, now, is_ahead=self._is_ahead) for message in segment.messages)
        return "clock_off" if any(ahead) else ""


def _is_dated_ahead(message: OutgoingMessage, now: datetime, *, is_ahead: bool) -> bool:
    """Return whether a party's message states a time after the broker's. `is_ahead`: the clock here is."""
    if message.role is WireRole.FACT or message.role in CONTROL_ROLES:
        return False
    try:
        stated_at = parse_rfc3339(dict(message.record.headers)["ce_time"].decode())
    except (KeyError, ValueError):
        return False
    return is_ahead or CLOCK_TOLERANCE < stated_at - now <= AHEAD_WAITS
