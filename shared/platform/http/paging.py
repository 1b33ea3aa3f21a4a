"""Pages over HTTP: the parameters of a list."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query

#: The highest value of a `bigint`, the type of row numbers in feeds and logs.
BIGINT_MAX: Final = 2**63 - 1

#: The greatest number of items on a page.
Limit = Annotated[int, Query(ge=1, le=200)]

#: The start of the page: `next` of the previous page.
Cursor = Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
