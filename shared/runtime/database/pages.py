"""Pages of rows in the order of their arrival: the number that a page begins below, as the opaque cursor of a list.

A row is listed from when it has its number in the party's feed (`shared.runtime.database.feed`): so whatever a page
does not show yet will stand above what it shows.

Lists in another order, by a rank and a time, have a place as their cursor.
"""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.base import NextCursor
from shared.kernel.errors import Refused

_CURSOR_BYTES: Final = 8
_PLACE: Final = struct.Struct(">bq16s")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

#: Where a row stands in such a list: its rank (0 to 127), then the time, to the microsecond, then its id.
ListPlace = tuple[int, datetime, UUID]


def read_cursor(cursor: str | None) -> int | None:
    """The number below which a page begins. Raises `Refused("cursor_invalid")`."""
    if cursor is None:
        return None
    try:
        number = base64.urlsafe_b64decode(cursor + "=")
    except (ValueError, binascii.Error):
        number = b""
    if len(number) != _CURSOR_BYTES or number[0] >= 128:
        raise _invalid()
    return int.from_bytes(number)


def next_cursor(rows: list[asyncpg.Record], limit: int) -> NextCursor:
    """The opaque cursor of the following page, None on the last; `rows` holds one more than `limit` if there is one."""
    if len(rows) <= limit:
        return None
    number: int = rows[limit - 1]["arrival"]
    return base64.urlsafe_b64encode(number.to_bytes(_CURSOR_BYTES)).decode().rstrip("=")


def read_place(cursor: str) -> ListPlace:
    """The place behind which a page begins. Raises `Refused("cursor_invalid")`."""
    try:
        rank, at, id_ = _PLACE.unpack(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = rank, _EPOCH + at * _MICROSECOND, UUID(bytes=id_)
    except (ValueError, OverflowError, struct.error, binascii.Error):
        raise _invalid() from None
    if rank < 0:
        raise _invalid()
    return place


def place_cursor(place: ListPlace) -> str:
    """The opaque cursor of what stands behind a place."""
    rank, at, id_ = place
    packed = _PLACE.pack(rank, (at - _EPOCH) // _MICROSECOND, id_.bytes)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _invalid() -> Refused:
    return Refused("cursor_invalid", "begin again without one", field="/cursor", status=400)
