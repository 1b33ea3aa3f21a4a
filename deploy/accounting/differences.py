"""What a reconciliation finds: differences with their coordinates, the terms of the equations, and notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that does not add up: which equation, what is wrong, and where to look."""

    equation: str
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Both sides of each equation, and every difference. `differences` empty means that the counts add up."""

    referrals: dict[str, int]
    messages: dict[str, int]
    edges: dict[str, int]
    notes: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return {
            "I": self.referrals | {"difference": self._count("I")},
            "II": self.messages | {"difference": self._count("II")},
            "III": self.edges | {"difference": self._count("III")},
            "notes": list(self.notes),
            "differences": [
                {"equation": each.equation, "what": each.what, "where": each.where} for each in self.differences
            ],
        }

    def _count(self, equation: str) -> int:
        return sum(each.equation == equation for each in self.differences)
