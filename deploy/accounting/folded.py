"""Marks that audit has folded into a row a day, against Kafka, while it has all of that day's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from deploy.accounting.differences import Difference
from services.audit.domain.entries import Entry


class FoldedDay(NamedTuple):
    """What audit keeps of a day's marks in a topic's life: between which offsets, how many, what they add up to."""

    first: int
    last: int
    marks: int
    digests: int


@dataclass(slots=True)
class FoldedMarks:
    """Fed with the marks of one topic as Kafka has them, in their order; `kept` is what audit says of them, by day."""

    kept: Mapping[date, FoldedDay]
    _found: dict[date, tuple[int, int]] = field(default_factory=dict)

    def add(self, mark: Entry) -> bool:
        """Whether audit says anything of its day. What came after its last word is not asked of it."""
        day = mark.broker_time.date()
        kept = self.kept.get(day)
        if kept is not None and mark.offset <= kept.last:
            count, digests = self._found.get(day, (0, 0))
            self._found[day] = count + 1, digests + int(mark.digest[:15], 16)
        return kept is not None

    def differences(self, topic: str, *, first: int) -> Iterator[Difference]:
        """The days of which all was read, from offset `first` on, and that add up to something else."""
        for day, kept in sorted(self.kept.items()):
            if kept.first >= first and self._found.get(day) != (kept.marks, kept.digests):
                yield Difference("II", "audit has folded other marks than Kafka has", f"{topic}, {day.isoformat()}")
