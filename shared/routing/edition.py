"""Which edition of a document something is, and for how long it should be decided by. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final


class Age(StrEnum):
    """How near a document is to its end, nearest last; from `ENDS_IN_90D` on an alarm says so."""

    FRESH = "fresh"
    ENDS_IN_90D = "ends_in_90d"
    ENDS_IN_30D = "ends_in_30d"
    ENDS_IN_7D = "ends_in_7d"
    ENDED = "ended"
    EXPIRED = "expired"


_STEPS: Final = ((7, Age.ENDS_IN_7D), (30, Age.ENDS_IN_30D), (90, Age.ENDS_IN_90D))


@dataclass(frozen=True, slots=True)
class Edition:
    """The version, and the first day on which it should have been replaced; senders use it for `grace_days` more."""

    version: int
    valid_until: date
    grace_days: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Edition:
        """Of a document's JSON, valid by its contract."""
        return cls(document["version"], date.fromisoformat(document["valid_until"]), document.get("grace_days", 60))

    def days_left(self, on: date) -> int:
        """Days until `valid_until`; negative after it."""
        return (self.valid_until - on).days

    def age(self, on: date) -> Age:
        """`ENDED` from `valid_until` on, while senders still go on; `EXPIRED` when they must wait."""
        if on >= self.valid_until + timedelta(days=self.grace_days):
            return Age.EXPIRED
        left = self.days_left(on)
        return Age.ENDED if left <= 0 else next((age for days, age in _STEPS if left <= days), Age.FRESH)
