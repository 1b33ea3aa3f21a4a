"""Days that were reconciled without a difference: sealed with a digest, and not read again unless they are asked for.

A message belongs to the day of its id. A day can be sealed when it is over for a day, every message of it has its last
fate, and nothing in it differs. What a seal keeps is small: per pair and epoch the numbers that have a fate, as spans.
The file lies beside the site's own (`accounts.json`). Whoever can write it can have a change of a sealed day
overlooked, until `--all` is asked for: then every digest is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from deploy.accounting.messages import AUDITED, Numbers
from deploy.accounting.spans import Spans
from deploy.accounting.streams import Line, Pair
from deploy.site.endpoints import write_private
from shared.kernel.errors import Refused
from shared.kernel.ids import first_uuid7

FILE: Final = "accounts.json"
_FORM: Final = 1


@dataclass(slots=True)
class Sealed:
    """What is known of the days before `until`; `until` None: no day is sealed."""

    until: date | None = None
    days: dict[str, str] = field(default_factory=dict)
    numbers: dict[Pair, Numbers] = field(default_factory=dict)
    edges: dict[str, int] = field(default_factory=dict)
    #: Per topic, its id and the offset up to which audit's entries were compared with Kafka.
    log: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def first(self) -> UUID:
        """The lowest message id that is to be read."""
        return id_at(self.until) if self.until is not None else UUID(int=0)

    def counts(self) -> Counter[tuple[str, ...]]:
        """How many messages of each sender and recipient are sealed."""
        counts: Counter[tuple[str, ...]] = Counter()
        for pair, found in self.numbers.items():
            counts[pair[:2]] += found.fates.total()
        return counts


@dataclass(slots=True)
class Days:
    """The digests of days over what audit has read, which stays: a copy that comes later changes none."""

    _hashes: dict[date, Any] = field(default_factory=dict)

    def add(self, lines: Sequence[Line]) -> None:
        """Take the lines of one number."""
        audited = {(line.message_id, line.digest, line.outcome): line for line in lines if line.book == AUDITED}
        for line in audited.values():
            text = f"{line.sender} {line.recipient} {line.epoch} {line.sequence} {line.message_id} {line.digest}"
            found = self._hashes.setdefault(day_of(line.message_id), hashlib.sha256())
            found.update(f"{text} {line.outcome}\n".encode())

    def digests(self) -> dict[str, str]:
        return {day.isoformat(): found.hexdigest() for day, found in sorted(self._hashes.items())}


def day_of(message_id: UUID) -> date:
    """The day that a message's id names (RFC 9562 §5.7: milliseconds in the first 48 bits), UTC."""
    try:
        return datetime.fromtimestamp((message_id.int >> 80) / 1000, UTC).date()
    except (OverflowError, ValueError, OSError):
        return date.max


def id_at(day: date) -> UUID:
    """The lowest id that a message of this day can have."""
    return first_uuid7(datetime(day.year, day.month, day.day, tzinfo=UTC))


def sealable(now: datetime, oldest_open: UUID | None) -> date:
    """Up to which day, not included, what was read can be sealed."""
    over = (now - timedelta(days=1)).date()
    return over if oldest_open is None else min(over, day_of(oldest_open))


def read_sealed(folder: Path) -> Sealed:
    """What was sealed; nothing where there is no file. Raises `Refused("accounts_malformed")`."""
    file = folder / FILE
    if not file.exists():
        return Sealed()
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["form"] != _FORM:
            raise ValueError
        return Sealed(
            until=date.fromisoformat(told["until"]),
            days=dict(told["days"]),
            numbers={
                (sender, recipient, UUID(epoch)): _numbers(spans, fates)
                for sender, recipient, epoch, spans, fates in told["numbers"]
            },
            edges=dict(told["edges"]),
            log={topic: (str(topic_id), int(offset)) for topic, (topic_id, offset) in told["log"].items()},
        )
    except (ValueError, KeyError, TypeError):
        raise Refused("accounts_malformed", f"remove {FILE}: the next reconciliation reads everything") from None


def write_sealed(folder: Path, sealed: Sealed) -> None:
    """Keep what is sealed; where no day is, nothing."""
    if sealed.until is None:
        return
    told = {
        "form": _FORM,
        "until": sealed.until.isoformat(),
        "days": sealed.days,
        "numbers": [
            (sender, recipient, str(epoch), list(found.seen), dict(found.fates))
            for (sender, recipient, epoch), found in sorted(sealed.numbers.items())
        ],
        "edges": sealed.edges,
        "log": sealed.log,
    }
    write_private(folder / FILE, json.dumps(told, separators=(",", ":")))


def _numbers(spans: Sequence[Sequence[int]], fates: dict[str, int]) -> Numbers:
    found = Numbers(Spans((first, last) for first, last in spans))
    found.fates.update(fates)
    return found
