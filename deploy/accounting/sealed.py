"""The sealed part: accounts that were compared without a difference, read again only with `--all`.

Of a stream: the number up to which all messages have their last fate, the chain there, and the fates. Of edges: the
days whose messages audit has read and whose streams are settled. The file lies next to the site's own
(`accounts.json`). A person who can write it can hide a change of the sealed part until `--all` reads everything again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from deploy.accounting.streams import SealedStream, Stream, is_party
from deploy.site.endpoints import write_private
from shared.kernel.errors import Refused
from shared.kernel.ids import first_uuid7

FILE: Final = "accounts.json"
_FORM: Final = 2


@dataclass(slots=True)
class Sealed:
    """The sealed part. `until`: the day from which on edges are read; None if no day is sealed.

    `edges`: the terms of the sealed days. `log`: per topic and partition, the topic's id and the offset up to which
    audit's entries were compared with Kafka.
    """

    until: date | None = None
    streams: dict[Stream, SealedStream] = field(default_factory=dict)
    edges: dict[str, int] = field(default_factory=dict)
    log: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def first(self) -> UUID:
        """The lowest message id of an edge that is to be read."""
        return id_at(self.until) if self.until is not None else UUID(int=0)

    def counts(self) -> Counter[tuple[str, ...]]:
        """Return how many messages of each sender and recipient are sealed."""
        counts: Counter[tuple[str, ...]] = Counter()
        for stream in self.streams.values():
            for (sender, recipient, _), count in stream.fates.items():
                if is_party(sender) and is_party(recipient):
                    counts[sender, recipient] += count
        return counts


def day_of(message_id: UUID) -> date:
    """The day that a message's id names (RFC 9562 §5.7: milliseconds in the first 48 bits), UTC."""
    try:
        return datetime.fromtimestamp((message_id.int >> 80) / 1000, UTC).date()
    except (OverflowError, ValueError, OSError):
        return date.max


def id_at(day: date) -> UUID:
    """The lowest id that a message of this day can have."""
    return first_uuid7(datetime(day.year, day.month, day.day, tzinfo=UTC))


def sealable(now: datetime, *oldest: UUID | None) -> date:
    """Return the day before which edges can be sealed. `oldest`: messages that are not final."""
    return min(((now - timedelta(days=1)).date(), *(day_of(each) for each in oldest if each is not None)))


def read_sealed(folder: Path) -> Sealed:
    """Return the sealed part; an empty one without a file. Raises `Refused("accounts_malformed")`."""
    file = folder / FILE
    if not file.exists():
        return Sealed()
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["form"] != _FORM:
            raise ValueError
        return Sealed(
            until=date.fromisoformat(told["until"]) if told["until"] else None,
            streams=dict(map(_stream, told["streams"])),
            edges=dict(told["edges"]),
            log={where: (str(topic_id), int(offset)) for where, (topic_id, offset) in told["log"].items()},
        )
    except (ValueError, KeyError, TypeError):
        raise Refused("accounts_malformed", f"remove {FILE}: the next reconciliation reads everything") from None


def write_sealed(folder: Path, sealed: Sealed) -> None:
    """Store the sealed part."""
    told = {
        "form": _FORM,
        "until": sealed.until.isoformat() if sealed.until else None,
        "streams": [
            ((writer, addressee, str(incarnation), lane), found.number, found.chain.hex(), _fates(found))
            for (writer, addressee, incarnation, lane), found in sorted(sealed.streams.items())
        ],
        "edges": sealed.edges,
        "log": sealed.log,
    }
    write_private(folder / FILE, json.dumps(told, separators=(",", ":")))


def _fates(stream: SealedStream) -> list[tuple[str, str, str, int]]:
    return [(*key, count) for key, count in sorted(stream.fates.items())]


def _stream(told: Sequence[Any]) -> tuple[Stream, SealedStream]:
    (writer, addressee, incarnation, lane), number, chain, fates = told
    counted = Counter({(sender, recipient, fate): count for sender, recipient, fate, count in fates})
    stream = Stream(writer, addressee, UUID(incarnation), int(lane))
    return stream, SealedStream(int(number), bytes.fromhex(chain), counted)
