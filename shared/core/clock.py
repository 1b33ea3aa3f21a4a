"""The clock: only this module reads the time. All other code gets a `Clock` or an instant."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from math import ceil
from typing import Final, Protocol

COARSE_S: Final = 10
#: A time before every stored one: the start of slot numbers and of lists.
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """A source of the present time as an aware UTC `datetime`."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def coarse(instant: datetime) -> datetime:
    """Cut `instant` to ten seconds, the precision of times in messages, so that times do not link two messages."""
    return instant.replace(second=instant.second // COARSE_S * COARSE_S, microsecond=0)


@lru_cache(4096)  # a few instants are formatted often; equal instants have one text
def rfc3339(instant: datetime) -> str:
    """Format `instant` as RFC 3339 UTC with milliseconds and `Z`: fixed width, sorts as text.

    A naive `datetime` is a programming error and raises `ValueError`.
    """
    if instant.tzinfo is None:
        raise ValueError("naive datetime")
    # `isoformat` cuts finer fractions off; its offset is always `+00:00` here.
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """Parse the format of `rfc3339`, also with fewer fraction digits or an offset. Raises `ValueError`."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("naive time")
    return instant.astimezone(UTC)


def seconds_to_midnight(at: datetime) -> int:
    """Return the seconds from `at` until the next day (UTC), rounded up."""
    midnight = datetime.combine(at.astimezone(UTC) + timedelta(days=1), time(), UTC)
    return ceil((midnight - at).total_seconds())
