"""When somebody wants to be reminded of a break: kept by their own browser, and by nobody else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

COOKIE: Final = "causeway-break"
#: What may be chosen, in minutes; 0: no reminder.
MINUTES: Final = (0, 30, 50, 90)
_KEPT: Final = re.compile(r"(30|50|90)\.([0-9]{1,11})")


@dataclass(frozen=True, slots=True)
class Rest:
    """A reminder after so many minutes since the last break."""

    minutes: int
    since: datetime

    @classmethod
    def read(cls, cookie: str | None) -> Rest | None:
        """Of the cookie; None where nothing was chosen."""
        found = _KEPT.fullmatch(cookie or "")
        return None if found is None else cls(int(found[1]), datetime.fromtimestamp(int(found[2]), UTC))

    @classmethod
    def chosen(cls, said: str, at: datetime) -> Rest | None:
        """What a form says; None for no reminder, or what is no choice."""
        return cls(int(said), at) if said in {str(each) for each in MINUTES if each} else None

    @property
    def kept(self) -> str:
        """What stands in the cookie."""
        return f"{self.minutes}.{int(self.since.timestamp())}"

    def due(self, now: datetime) -> bool:
        return now - self.since >= timedelta(minutes=self.minutes)
