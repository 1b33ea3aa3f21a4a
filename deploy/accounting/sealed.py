"""The sealed part: accounts that were compared without a difference, read again only with `--all`.

Of a stream: the number up to which all messages have their last fate, the chain there, and the fates. Of edges: the
days whose messages audit has read and whose streams are settled. The file lies next to the site's own
(`accounts.json`). A person who can write it can hide a change of the sealed part until `--all` reads everything again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from pydantic import TypeAdapter

from deploy.accounting.streams import SealedStream, Stream, is_party
from deploy.site.endpoints import write_private
from shared.kernel.errors import Refused
from shared.kernel.ids import first_uuid7

FILE: Final = "accounts.json"
#: The form of the file; the last day; of each stream its end and its fates; the terms of edges; the log.
_Stream = tuple[Stream, int, str, list[tuple[tuple[str, str, str], int]]]
_STORED: Final = TypeAdapter(tuple[Literal[3], date | None, list[_Stream], dict[str, int], dict[str, tuple[str, int]]])


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
        _, until, streams, edges, log = _STORED.validate_json(file.read_bytes())
        kept = {
            stream: SealedStream(number, bytes.fromhex(chain), Counter(dict(fates)))
            for stream, number, chain, fates in streams
        }
    except ValueError:
        raise Refused("accounts_malformed", f"remove {FILE}: the next reconciliation reads everything") from None
    return Sealed(until, kept, edges, log)


def write_sealed(folder: Path, sealed: Sealed) -> None:
    """Store the sealed part."""
    streams = [
        (stream, found.number, found.chain.hex(), sorted(found.fates.items()))
        for stream, found in sorted(sealed.streams.items())
    ]
    write_private(folder / FILE, _STORED.dump_json((3, sealed.until, streams, sealed.edges, sealed.log)).decode())
