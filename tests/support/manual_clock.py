"""A clock that tests and the simulation advance by hand."""

from __future__ import annotations

from datetime import datetime, timedelta


class ManualClock:
    """A clock that shows the time to which it was set."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        """Advance by `seconds` (never back)."""
        self._now += timedelta(seconds=max(0.0, seconds))
