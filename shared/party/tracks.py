"""Subjects that messaging asks a service to send again, where the service cannot: the operator's list names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import asyncpg

from shared.messaging.ports import OperatorKind
from shared.messaging.streams import Place

#: The subject of messages, and the other party on its track.
TrackItem = tuple[UUID, str]

_LIST: Final = """
INSERT INTO operator_line (kind, peer, subject) SELECT $1, $2, * FROM unnest($3::uuid[])
ON CONFLICT ON CONSTRAINT operator_line_once DO UPDATE SET opened_at = now(), closed_at = NULL, closed_by = NULL
WHERE operator_line.closed_at IS NOT NULL
"""


async def list_items(driver: asyncpg.Connection, items: Sequence[UUID], peer: str) -> None:
    """Put subjects whose state at this peer a person must look at on the operator's list."""
    if items:
        await driver.execute(_LIST, OperatorKind.UNDECIDABLE, peer, sorted({*items}))


class ListedTracks:
    """The tracks of a service whose own subjects are not issued again: each goes on the operator's list."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def mark_missing(self, items: Sequence[TrackItem], peer: str) -> None:
        """The peer lacks these subjects, or part of them."""
        await self._list(items, peer)

    async def mark_untold(self, items: Sequence[TrackItem], peer: str) -> None:
        """The peer does not know that these subjects were withdrawn."""
        await self._list(items, peer)

    async def taken_back_there(self, items: Sequence[TrackItem], peer: str) -> None:
        """The peer knows that these subjects were withdrawn, and this database does not."""
        await self._list(items, peer)

    async def note_places(self, places: Mapping[str, Mapping[UUID, Place]]) -> None:
        """No row of this service states the place of a message."""

    async def _list(self, items: Sequence[TrackItem], peer: str) -> None:
        await list_items(self._driver, [item for item, _ in items], peer)
