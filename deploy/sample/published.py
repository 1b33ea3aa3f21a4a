"""The published tables that the sample set is drawn from. Their sources and uses: `tables/README.md`.

Invented values are in reserved ranges only. The seed is the only randomness of the sample: the same seed gives the same
referrals. Nothing here is secret or an identifier.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import itertools
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from shared.core.vocabulary.jurisdiction import TREE

_TABLES = Path(__file__).with_name("tables")


class Share(NamedTuple):
    """One row of a table: a value, and its count."""

    value: str
    weight: float


class ProviderRow(NamedTuple):
    """One name of a provider: `stated_as` is its former name if the table has that, else the party id."""

    rank: int
    party: str
    stated_as: str
    reports: int


@cache
def user_countries() -> tuple[Share, ...]:
    """Return reports by country of the reported user, 2023, most first.

    The value "" means no country listed.
    """
    rows = _rows("user_countries_2023")
    return tuple(Share(_alpha2(row["alpha3"]) if row["alpha3"] else "", int(row["reports"])) for row in rows)


@cache
def us_states() -> tuple[Share, ...]:
    """Return reports by state of the reported user, 2023.

    The value `US` means that the state is not specified.
    """
    rows = _rows("us_states_2023")
    return tuple(
        Share("US" if row["state"] == "Unspecified" else f"US-{row['state']}", int(row["reports"])) for row in rows
    )


@cache
def providers() -> tuple[ProviderRow, ...]:
    """Return the 50 largest providers by reports filed in 2023.

    A provider that changed its name has two rows.
    """
    return tuple(
        ProviderRow(int(row["rank"]), row["party"], row["stated_as"] or row["party"], int(row["reports"]))
        for row in _rows("providers_2023")
    )


@cache
def hosting_countries() -> tuple[Share, ...]:
    """Return confirmed addresses by hosting country, 2024, most first. The value "" means onion services."""
    return tuple(Share(row["alpha2"], int(row["urls"])) for row in _rows("hosting_countries_2024"))


@cache
def hotline_countries() -> tuple[str, ...]:
    """Return the countries whose hotline has an identifier in ICCAM, sorted."""
    return tuple(row["alpha2"] for row in _rows("hotlines_2024"))


@cache
def shares(table: str, value: str, count: str) -> tuple[Share, ...]:
    """Return any other table as (value, count) rows, named by its two columns."""
    return tuple(Share(row[value], float(row[count])) for row in _rows(table))


@cache
def assumed(table: str) -> tuple[Share, ...]:
    """Return an unpublished table: the stated assumptions of `assumed.csv`, as shares of 1."""
    return tuple(Share(row["value"], float(row["share"])) for row in _rows("assumed") if row["table"] == table)


def _rows(table: str) -> list[dict[str, str]]:
    with (_TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _alpha2(alpha3: str) -> str:
    code = TREE.alpha2(alpha3)
    if code is None:
        raise ValueError("a published table has a country that the tree lacks")
    return code


_T = TypeVar("_T")

_WORDS = ("album", "board", "catalog", "files", "forum", "gallery", "images", "media", "pictures", "share", "thread")
_SUFFIXES = (".html", ".jpg", ".mp4", ".png", "")
#: RFC 5737 and RFC 3849: addresses for documentation.
_DOCUMENTATION_V4 = ("192.0.2", "198.51.100", "203.0.113")
_ONION_VERSION = b"\x03"


class SeededRandom:
    """The source of all random draws, in one order."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - sample data: must repeat, need not be unguessable
        self._cumulated: dict[tuple[Share, ...], list[float]] = {}

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def one_of(self, values: Sequence[_T]) -> _T:
        """Draw a value, each equally often."""
        return self._random.choice(values)

    def weighted(self, table: tuple[Share, ...]) -> str:
        """Draw a value of the table, in proportion to its count."""
        cumulated = self._cumulated.get(table)
        if cumulated is None:
            cumulated = self._cumulated[table] = list(itertools.accumulate(row.weight for row in table))
        return self._random.choices(table, cum_weights=cumulated)[0].value

    def places(self, count: int, chosen: int) -> list[int]:
        """Draw `chosen` different numbers below `count`, in drawn order."""
        return self._random.sample(range(count), chosen)

    def times(self, start: date, end: date, count: int) -> list[datetime]:
        """Draw `count` sorted instants, evenly from the first moment of `start` to the last of `end` (UTC)."""
        first = datetime.combine(start, time.min, UTC)
        span_s = ((end - start).days + 1) * 86_400
        return sorted(first + timedelta(seconds=self._random.randrange(span_s)) for _ in range(count))

    def number(self, digits: int) -> str:
        """Draw a decimal number of exactly `digits` digits."""
        return str(self._random.randrange(10 ** (digits - 1), 10**digits))

    def hexadecimal(self, octets: int) -> str:
        """Draw random hexadecimal; as a hash it belongs to no file."""
        return self._random.randbytes(octets).hex()

    def url(self, host: str) -> str:
        """Draw an address at `host`, which is below the reserved name `example` (RFC 2606)."""
        path = f"{self.one_of(_WORDS)}/{self.number(6)}/{self.one_of(_WORDS)}-{self.number(3)}{self.one_of(_SUFFIXES)}"
        return f"https://{host}/{path}"

    def site(self) -> str:
        """Draw a host that belongs to no party of the directory."""
        return f"{self.one_of(_WORDS)}-{self.number(4)}.example"

    def onion(self) -> str:
        """Draw a well-formed version 3 onion address (Tor rend-spec-v3, section 6) of a random key, unused."""
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
        """Draw an instant up to `days` days earlier."""
        return instant - timedelta(seconds=self._random.randrange(1, days * 86_400))
