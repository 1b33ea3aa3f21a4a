"""The findings of a reconciliation: differences with coordinates, terms of the equations, and notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple, Self

#: Differences that are listed. If everything differs, more of them are no help, and memory is bounded.
FOUND_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One difference: the equation, the fault, and its coordinates.

    `parties`: the two parties of the pair, or the origin, as far as they are known.
    """

    equation: str
    what: str
    where: str
    parties: tuple[str, ...] = field(default=(), compare=False)


class Found:
    """Differences as they are found, each once. At most `most` are listed; the rest is only counted."""

    def __init__(self, most: int = FOUND_MAX) -> None:
        self._most = most
        self._found: set[Difference] = set()
        self._more = 0

    def __iadd__(self, differences: Iterable[Difference]) -> Self:
        for each in differences:
            if len(self._found) < self._most or each in self._found:
                self._found.add(each)
            else:
                self._more += 1
        return self

    def sorted(self) -> tuple[Difference, ...]:
        rest = [Difference("II", "differences beside those that are listed", "more")] if self._more else []
        return (*sorted(self._found), *rest)


class Terms(NamedTuple):
    """The terms of an equation for one origin (I), or for one sender and recipient (II).

    `sealed`: how many of its messages lie in days that are sealed.
    """

    parties: tuple[str, ...]
    terms: Mapping[str, int]
    sealed: int = 0


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Both sides of each equation, and every difference. `differences` empty means that the counts add up.

    `origins` and `pairs` are the terms of (I) and (II) by whose they are. Days before `sealed_until` are sealed.
    """

    referrals: dict[str, int]
    messages: dict[str, int]
    edges: dict[str, int]
    notes: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = field(default=())
    origins: tuple[Terms, ...] = ()
    pairs: tuple[Terms, ...] = ()
    sealed_until: date | None = None

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
