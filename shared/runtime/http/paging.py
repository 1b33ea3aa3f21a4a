"""Pages over HTTP: what a list takes of whoever asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

#: How many a page holds at most.
Limit = Annotated[int, Query(ge=1, le=200)]

#: Where the page begins: `next` of the one before.
Cursor = Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
