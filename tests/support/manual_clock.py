"""A clock that tests and the simulation move by hand."""

from __future__ import annotations

from datetime import datetime, timedelta


class ManualClock:
    """Tells the time at which it was left."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` (never back)."""
        self._now += timedelta(seconds=max(0.0, seconds))
