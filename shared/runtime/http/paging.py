"""Pages: what a list takes and says of the page that follows."""

from __future__ import annotations

import base64
from typing import Annotated
from uuid import UUID

import asyncpg
from fastapi import Query

from shared.contracts.base import NextCursor
from shared.kernel.errors import Refused

#: How many a page holds at most.
Limit = Annotated[int, Query(ge=1, le=200)]

#: Where the page begins: `next` of the one before.
Cursor = Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


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
