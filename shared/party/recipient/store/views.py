"""What is shown of rows of items: their columns, and the words of their party's acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import asyncpg

from shared.contracts.base import Contract

ViewT = TypeVar("ViewT", bound=Contract)


def words(clear: Contract) -> dict[str, object]:
    """What an act says in the clear, as it is kept: without what names it, and without what it leaves open."""
    return clear.model_dump(mode="json", exclude_none=True, exclude=_NAMING)


#: The subject of an act and its place in the track: what it is about, not what it says.
_NAMING: Final = {"referral_id", "notice_id", "revision", "act", "number"}


def view(kind: type[ViewT], row: asyncpg.Record, **more: object) -> ViewT:
    """A view of a row: `more`, else its columns, else the words of the party's acts; None for what is not there."""
    said: Mapping[str, object] = row.get("said", {})
    known = dict(row) | more
    return kind.model_validate({name: known[name] if name in known else said.get(name) for name in kind.model_fields})
