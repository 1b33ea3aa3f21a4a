"""Pages of rows in the order of arrival. The opaque cursor of a list is the number below which a page begins.

A row is listed once it has its number in the party's feed (`shared.platform.database.feed`). So a row that a page does
not show yet will be above the rows that it shows.

A search for a period uses the numbers that were given in it. Rows are numbered in the order of their commits. So an
earlier row also has the lower number, except for differences up to the duration of a transaction.

Lists in another order, by a rank and a time, have a place as their cursor.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from struct import Struct
from typing import Final
from uuid import UUID

import asyncpg

from shared.core.clock import EPOCH
from shared.core.contracts.base import NextCursor
from shared.core.errors import Refused
from shared.core.ids import first_uuid7

_NUMBER_BYTES: Final = 8
_PLACE: Final = Struct(">bq16s")
_ROW: Final = Struct(">q16s")
_MICROSECOND: Final = timedelta(microseconds=1)

#: Longer than any transaction, because PostgreSQL ends it before (`shared.platform.database.transactions`).
_COMMIT_MAX: Final = timedelta(minutes=5)
_LONG: Final = f"interval '{_COMMIT_MAX.seconds} seconds'"
#: Above any number that a feed gives.
NUMBER_MAX: Final = 2**61

#: The place of a row in such a list: its rank (0 to 127), then the time, to the microsecond, then its id.
ListPlace = tuple[int, datetime, UUID]


def read_cursor(cursor: str | None) -> int | None:
    """Parse the number below which a page begins. Raises `Refused("cursor_invalid")`."""
    return None if cursor is None else int.from_bytes(_decode(cursor, _NUMBER_BYTES))


def next_cursor(rows: list[asyncpg.Record], limit: int) -> NextCursor:
    """Return the opaque cursor of the next page, None on the last. `rows` has one more than `limit` if there is one."""
    if len(rows) <= limit:
        return None
    return cursor_of(rows[limit - 1]["arrival"])


def cursor_of(number: int) -> str:
    """Return the opaque cursor of the rows below a number."""
    return _encode(number.to_bytes(_NUMBER_BYTES))


def bounds_of_period(table: str, time: str) -> str:
    """Return a query for the numbers between which are the rows of a party in a period, and few others.

    Its parameters are party, beginning and end (None: open). `time` is the column of the period. The caller must still
    compare the times of rows between the numbers (`within`).
    """
    # The numbers of the last row that is certainly before the period, and of the first that is certainly after it.
    row = f"SELECT arrival FROM {table} WHERE party = $1 AND arrival IS NOT NULL AND {time}"
    before = f"{row} < $2::timestamptz - {_LONG} ORDER BY {time} DESC LIMIT 1"
    behind = f"{row} >= $3::timestamptz + {_LONG} ORDER BY {time} LIMIT 1"
    return f"SELECT coalesce(({before}), 0) AS low, coalesce(({behind}), {NUMBER_MAX}) AS high"


def ids_of_period(since: datetime | None, until: datetime | None) -> tuple[UUID | None, UUID | None]:
    """Return the bounds of a period as ids, for rows whose ids have their time: the lowest, and the first beyond it."""
    return (
        None if since is None else first_uuid7(since - _COMMIT_MAX),
        None if until is None else first_uuid7(until + _COMMIT_MAX),
    )


def within(time: str, *, since: str, until: str) -> str:
    """Return an SQL condition for a time in a period, either of whose ends may be open.

    It is written so that the planner uses no index of times, which would read the whole period and sort it. The planner
    also expects it to be true for nearly all rows, which is correct between the numbers that bound the period.
    """
    return (
        f"({since} IS NULL OR sign(extract(epoch FROM {time} - {since})) <> -1)"
        f" AND ({until} IS NULL OR sign(extract(epoch FROM {until} - {time})) NOT IN (-1, 0))"
    )


def read_place(cursor: str) -> ListPlace:
    """Parse the place after which a page begins. Raises `Refused("cursor_invalid")`."""
    rank, at, id_ = _PLACE.unpack(_decode(cursor, _PLACE.size))
    try:
        return rank, EPOCH + at * _MICROSECOND, UUID(bytes=id_)
    except OverflowError:
        raise _invalid() from None


def place_cursor(place: ListPlace) -> str:
    """Return the opaque cursor of the rows after a place."""
    rank, at, id_ = place
    return _encode(_PLACE.pack(rank, (at - EPOCH) // _MICROSECOND, id_.bytes))


def read_row(cursor: str) -> tuple[int, UUID]:
    """Return place and subject of the row behind which a page begins. Raises `Refused("cursor_invalid")`."""
    place, subject = _ROW.unpack(_decode(cursor, _ROW.size))
    return place, UUID(bytes=subject)


def row_cursor(row: asyncpg.Record) -> str:
    """Return the opaque cursor of the rows behind this one."""
    return _encode(_ROW.pack(row["sort_key"], row["subject"].bytes))


def _encode(packed: bytes) -> str:
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _decode(cursor: str, size: int) -> bytes:
    """Return so many bytes, which begin with no negative number. Raises `Refused("cursor_invalid")`."""
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise _invalid() from None
    if len(packed) != size or packed[0] >= 128:
        raise _invalid()
    return packed


def _invalid() -> Refused:
    return Refused("cursor_invalid", "start again without a cursor", field="/cursor", status=400)
