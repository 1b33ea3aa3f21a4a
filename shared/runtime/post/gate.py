"""Whether edges may leave: not while our clock is wrong or our documents are old, or every one would be refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

#: How far our clock may be from the broker's: further, and recipients take our decisions for ones of the future.
CLOCK_TOLERANCE: Final = timedelta(seconds=60)


class Gate:
    """Measures our clock at each append, and asks how fresh the documents are. Open until it knows better."""

    def __init__(self, documents: Callable[[], str] = lambda: "") -> None:
        """`documents` says why those here are not to be trusted, or ""."""
        self._documents = documents
        self._clock_off = False

    def measure(self, began: datetime, ended: datetime, broker_time: datetime | None) -> None:
        """An append that began and ended at these times of ours was taken at `broker_time`.

        How long it took counts for the clock: it is off only if no moment in between is near enough.
        """
        if broker_time is not None:
            self._clock_off = began - broker_time > CLOCK_TOLERANCE or broker_time - ended > CLOCK_TOLERANCE

    def reason(self) -> str:
        """Why edges wait: `clock_off`, or what is wrong with the documents; "" while they may leave."""
        return "clock_off" if self._clock_off else self._documents()
