"""The edition of a document and its period of use. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final


class Age(StrEnum):
    """The remaining time of a document, shortest last. From `ENDS_IN_90D` on there is an alarm."""

    FRESH = "fresh"
    ENDS_IN_90D = "ends_in_90d"
    ENDS_IN_30D = "ends_in_30d"
    ENDS_IN_7D = "ends_in_7d"
    ENDED = "ended"
    EXPIRED = "expired"


_STEPS: Final = ((7, Age.ENDS_IN_7D), (30, Age.ENDS_IN_30D), (90, Age.ENDS_IN_90D))


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """The version, and the first day on which a newer document is overdue.

    Senders use it for `grace_days` more.
    """

    version: int
    valid_until: date
    grace_days: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> DocumentVersion:
        """Return the edition of a document's JSON, valid by its contract."""
        return cls(document["version"], date.fromisoformat(document["valid_until"]), document.get("grace_days", 60))

    def days_left(self, on: date) -> int:
        """Return the days until `valid_until`; negative after it."""
        return (self.valid_until - on).days

    def age(self, on: date) -> Age:
        """Return `ENDED` from `valid_until` on, while senders continue, and `EXPIRED` when they must wait."""
        if on >= self.valid_until + timedelta(days=self.grace_days):
            return Age.EXPIRED
        left = self.days_left(on)
        return Age.ENDED if left <= 0 else next((age for days, age in _STEPS if left <= days), Age.FRESH)
