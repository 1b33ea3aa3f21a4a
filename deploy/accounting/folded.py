"""Records without a number, which audit counts by the day, against Kafka while it has all records of that day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date
from typing import NamedTuple

from deploy.accounting.differences import Difference
from services.audit.domain.entries import Entry


class FoldedDay(NamedTuple):
    """Audit's counts for one day of a topic: first offset, number of records, and sum of digests.

    The counts are over all reasons, because a key that was revoked since changes a record's reason.
    """

    first: int
    records: int
    digests: int


@dataclass(slots=True)
class Folded:
    """Compares the counted records of one topic, fed in order, with audit's counts by day in `kept`.

    `read_to` is the offset up to which, not included, audit has read: all before it is counted.
    """

    kept: Mapping[date, FoldedDay]
    read_to: int
    _found: dict[date, tuple[int, int]] = field(default_factory=dict)

    def add(self, record: Entry) -> bool:
        """Count a record; return False if audit has not read up to it. Later records are not compared."""
        if record.offset >= self.read_to:
            return False
        day = record.broker_time.astimezone(UTC).date()
        count, digests = self._found.get(day, (0, 0))
        self._found[day] = count + 1, digests + int(record.digest[:15], 16)
        return True

    def differences(self, topic: str, *, first: int) -> Iterator[Difference]:
        """Yield the days with other sums, if all records of the day, from offset `first` on, were read."""
        for day in sorted(self.kept.keys() | self._found.keys()):
            kept = self.kept.get(day, FoldedDay(first, 0, 0))
            if kept.first >= first and self._found.get(day, (0, 0)) != (kept.records, kept.digests):
                yield Difference("II", "audit has counted other records than Kafka has", f"{topic}, {day.isoformat()}")
