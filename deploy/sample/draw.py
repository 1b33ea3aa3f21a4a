"""Draws of the sample load: one seeded source of chance, and invented values in reserved ranges only.

The seed is the only randomness of the sample: same seed, same referrals. Nothing here is secret or an identifier.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from deploy.sample.published import Share

_T = TypeVar("_T")

_WORDS = ("album", "board", "catalog", "files", "forum", "gallery", "images", "media", "pictures", "share", "thread")
_SUFFIXES = (".html", ".jpg", ".mp4", ".png", "")
#: RFC 5737 and RFC 3849: addresses for documentation.
_DOCUMENTATION_V4 = ("192.0.2", "198.51.100", "203.0.113")
_ONION_VERSION = b"\x03"


class Draw:
    """Everything that is drawn comes from here, in one order."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - sample data: must repeat, need not be unguessable
        self._cumulated: dict[tuple[Share, ...], list[float]] = {}

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def one_of(self, values: Sequence[_T]) -> _T:
        """Each value equally often."""
        return self._random.choice(values)

    def weighted(self, table: tuple[Share, ...]) -> str:
        """A value of the table, as often as the table counted it."""
        cumulated = self._cumulated.get(table)
        if cumulated is None:
            cumulated = self._cumulated[table] = list(itertools.accumulate(row.weight for row in table))
        return self._random.choices(table, cum_weights=cumulated)[0].value

    def places(self, count: int, chosen: int) -> list[int]:
        """`chosen` different numbers below `count`, in drawn order."""
        return self._random.sample(range(count), chosen)

    def times(self, start: date, end: date, count: int) -> list[datetime]:
        """`count` instants, sorted, evenly drawn from the first moment of `start` to the last of `end` (UTC)."""
        first = datetime.combine(start, time.min, UTC)
        span_s = ((end - start).days + 1) * 86_400
        return sorted(first + timedelta(seconds=self._random.randrange(span_s)) for _ in range(count))

    def number(self, digits: int) -> str:
        """A decimal number of exactly `digits` digits."""
        return str(self._random.randrange(10 ** (digits - 1), 10**digits))

    def hexadecimal(self, octets: int) -> str:
        """Random hexadecimal: where a hash stands, it is of nothing."""
        return self._random.randbytes(octets).hex()

    def url(self, host: str) -> str:
        """An address at `host`, which is below the reserved name `example` (RFC 2606)."""
        path = f"{self.one_of(_WORDS)}/{self.number(6)}/{self.one_of(_WORDS)}-{self.number(3)}{self.one_of(_SUFFIXES)}"
        return f"https://{host}/{path}"

    def site(self) -> str:
        """A host that belongs to no party of the directory."""
        return f"{self.one_of(_WORDS)}-{self.number(4)}.example"

    def onion(self) -> str:
        """A well-formed version 3 onion address (Tor rend-spec-v3, section 6) of a random key: nothing is there."""
        key = self._random.randbytes(32)
        checksum = hashlib.sha3_256(b".onion checksum" + key + _ONION_VERSION).digest()[:2]
        return base64.b32encode(key + checksum + _ONION_VERSION).decode().lower() + ".onion"

    def ip(self) -> str:
        if self.chance(0.2):
            return f"2001:db8::{self._random.randrange(1, 0x10000):x}"
        return f"{self.one_of(_DOCUMENTATION_V4)}.{self._random.randrange(1, 255)}"

    def port(self) -> int:
        return self._random.randrange(1024, 65_536)

    def seconds_before(self, instant: datetime, days: int) -> datetime:
        """An instant up to `days` days earlier."""
        return instant - timedelta(seconds=self._random.randrange(1, days * 86_400))
