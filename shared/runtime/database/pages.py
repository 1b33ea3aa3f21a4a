"""Pages of rows: the id that a page begins after, as the opaque cursor that a list hands out."""

from __future__ import annotations

import base64
from uuid import UUID

import asyncpg

from shared.contracts.base import NextCursor
from shared.kernel.errors import Refused


def read_cursor(cursor: str | None) -> UUID | None:
    """The id a page begins after. Raises `Refused("cursor_invalid")`."""
    if cursor is None:
        return None
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except ValueError:
        raise Refused("cursor_invalid", field="/cursor", status=400) from None


def next_cursor(rows: list[asyncpg.Record], limit: int, column: str) -> NextCursor:
    """The opaque cursor of the following page, None on the last; `rows` holds one more than `limit` if there is one."""
    if len(rows) <= limit:
        return None
    return base64.urlsafe_b64encode(rows[limit - 1][column].bytes).decode().rstrip("=")
