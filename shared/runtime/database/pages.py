"""Pages of rows in the order of their arrival: the number that a page begins below, as the opaque cursor of a list.

A row is listed from when it has its number in the party's feed (`shared.runtime.database.feed`): so whatever a page
does not show yet will stand above what it shows.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import asyncpg

from shared.contracts.base import NextCursor
from shared.kernel.errors import Refused

_CURSOR_BYTES: Final = 8


def read_cursor(cursor: str | None) -> int | None:
    """The number below which a page begins. Raises `Refused("cursor_invalid")`."""
    if cursor is None:
        return None
    try:
        number = base64.urlsafe_b64decode(cursor + "=")
    except (ValueError, binascii.Error):
        number = b""
    if len(number) != _CURSOR_BYTES or number[0] >= 128:
        raise Refused("cursor_invalid", "begin again without one", field="/cursor", status=400)
    return int.from_bytes(number)


def next_cursor(rows: list[asyncpg.Record], limit: int) -> NextCursor:
    """The opaque cursor of the following page, None on the last; `rows` holds one more than `limit` if there is one."""
    if len(rows) <= limit:
        return None
    number: int = rows[limit - 1]["arrival"]
    return base64.urlsafe_b64encode(number.to_bytes(_CURSOR_BYTES)).decode().rstrip("=")
