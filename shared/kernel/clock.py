"""The one place that reads the time. Everything else is handed a `Clock` or an instant."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol

COARSE_S: Final = 10
#: Before any time that is kept: from here slots are counted, and lists begin.
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tells the time as an aware UTC `datetime`."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def coarse(instant: datetime) -> datetime:
    """`instant` cut to ten seconds: as near as a message says when it was written, so that times link no two."""
    return instant.replace(second=instant.second // COARSE_S * COARSE_S, microsecond=0)


@lru_cache(4096)  # the same few are written again and again; equal instants have one text
def rfc3339(instant: datetime) -> str:
    """Write `instant` as RFC 3339 UTC with milliseconds and `Z`: fixed width, sorts as text.

    A naive `datetime` is a programming error and raises `ValueError`.
    """
    if instant.tzinfo is None:
        raise ValueError("naive datetime")
    # `isoformat` cuts finer fractions off; its offset is always `+00:00` here.
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """Read what `rfc3339` writes (also with fewer fraction digits, or an offset). Raises `ValueError`."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("naive time")
    return instant.astimezone(UTC)
