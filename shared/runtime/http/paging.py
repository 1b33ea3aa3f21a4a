"""Pages over HTTP: what a list takes of whoever asks."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

#: The highest number that a `bigint` holds: rows of feeds and logs have such.
BIGINT_MAX: Final = 2**63 - 1

#: How many a page holds at most.
Limit = Annotated[int, Query(ge=1, le=200)]

#: Where the page begins: `next` of the one before.
Cursor = Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
