"""Whether edges may leave: not while our clock is wrong or our documents are old, or every one would be refused.

Nor does what parties say leave that is dated ahead: its recipient would refuse it for good (`message_time_off`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from shared.contracts.registry import BETWEEN_PARTIES, BY_TYPE
from shared.kernel.clock import parse_rfc3339
from shared.runtime.post.ports import Outgoing

#: How far our clock may be from the broker's: further, and recipients take our decisions for ones of the future.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)
#: What is dated further ahead leaves, and is refused with an alarm: nothing behind it waits for longer.
AHEAD_WAITS: Final = timedelta(hours=3)

#: Why edges may wait, the first of them that holds: our clock, or documents that may not be the newest.
REASONS: Final = ("clock_off", "beat_late")


class Gate:
    """Measures our clock at each append, and asks how fresh the documents are. Open until it knows better."""

    def __init__(self, documents: Callable[[], str] = lambda: "") -> None:
        """`documents` says why those here are not to be trusted, or ""."""
        self._documents = documents
        self._clock_off = self._ahead = False

    def measure(self, began: datetime, ended: datetime, broker_time: datetime | None) -> None:
        """An append that began and ended at these times of ours was taken at `broker_time`.

        How long it took counts for the clock: it is off only if no moment in between is near enough.
        """
        if broker_time is not None:
            self._ahead = began - broker_time > CLOCK_TOLERANCE
            self._clock_off = began - broker_time > CLOCK_TOLERANCE or broker_time - ended > CLOCK_TOLERANCE

    def reason(self) -> str:
        """Why edges wait: `clock_off`, or what is wrong with the documents; "" while they may leave."""
        return "clock_off" if self._clock_off else self._documents()

    def reason_of(self, said_at: datetime, now: datetime) -> str:
        """Why what a party says waits that carries no edge, by its own time and our clock; "" where it may leave."""
        dated_ahead = CLOCK_TOLERANCE < said_at - now <= AHEAD_WAITS
        return "clock_off" if self._ahead or dated_ahead else ""


def said_by_a_party(record: Outgoing) -> datetime | None:
    """The time that a message between parties states; None of what instances state, which nothing is counted from.

    None, too, of what cannot be read: its recipient says so.
    """
    stated = dict(record.headers)
    try:
        message = BY_TYPE.get(stated["ce_type"].decode())
        if message is None or message.family not in BETWEEN_PARTIES:
            return None
        return parse_rfc3339(stated["ce_time"].decode())
    except (KeyError, ValueError):
        return None
