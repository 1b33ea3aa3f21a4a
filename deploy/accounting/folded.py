"""Records without a number, which audit counts by the day, against Kafka while it has all records of that day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date
from typing import NamedTuple

from deploy.accounting.differences import Difference
from services.audit.domain.entries import Entry


class FoldedDay(NamedTuple):
    """What audit counts of a day in a topic's life: from which offset on, how many, what their digests add up to.

    Under whatever reason: a key that was revoked since makes another of it.
    """

    first: int
    records: int
    digests: int


@dataclass(slots=True)
class Folded:
    """Fed with what is counted of one topic as Kafka has it, in order; `kept` is what audit says of it, by day.

    `read_to` is the offset up to which, not included, audit has read: all before it is counted.
    """

    kept: Mapping[date, FoldedDay]
    read_to: int
    _found: dict[date, tuple[int, int]] = field(default_factory=dict)

    def add(self, record: Entry) -> bool:
        """Whether audit has read so far. What has come since is not asked of it."""
        if record.offset >= self.read_to:
            return False
        day = record.broker_time.astimezone(UTC).date()
        count, digests = self._found.get(day, (0, 0))
        self._found[day] = count + 1, digests + int(record.digest[:15], 16)
        return True

    def differences(self, topic: str, *, first: int) -> Iterator[Difference]:
        """The days of which all was read, from offset `first` on, and that add up to something else."""
        for day in sorted(self.kept.keys() | self._found.keys()):
            kept = self.kept.get(day, FoldedDay(first, 0, 0))
            if kept.first >= first and self._found.get(day, (0, 0)) != (kept.records, kept.digests):
                yield Difference("II", "audit has counted other records than Kafka has", f"{topic}, {day.isoformat()}")
