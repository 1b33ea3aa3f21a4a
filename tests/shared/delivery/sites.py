"""Instances of a world over migrated databases, with features that record their calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import asyncpg

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.protocol.message import Draft
from shared.delivery.sending import send
from shared.delivery.subjects import TrackItem
from shared.messaging.streams import StreamPlace
from tests.support.consuming import Site
from tests.support.messaging_stores import TABLES, run_as_owner

HOTLINE_INSTANCE: Final = "hotline"
AGENCIES: Final = "law_enforcement"
_EMPTIED: Final = (*TABLES, "track", "peer", "daily_quota_usage")


class NotedTracks:
    """Feature tracks that record each call: its name, its items or message ids, and the peer."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[object, ...], str]] = []
        self.places: dict[UUID, StreamPlace] = {}

    def __call__(self, driver: asyncpg.Connection) -> NotedTracks:
        return self

    async def mark_missing(self, items: Sequence[TrackItem], peer: str) -> None:
        self.calls.append(("mark_missing", tuple(items), peer))

    async def mark_untold(self, items: Sequence[TrackItem], peer: str) -> None:
        self.calls.append(("mark_untold", tuple(items), peer))

    async def taken_back_there(self, items: Sequence[TrackItem], peer: str) -> None:
        self.calls.append(("taken_back_there", tuple(items), peer))

    async def note_places(self, places: Mapping[str, Mapping[UUID, StreamPlace]]) -> None:
        for of_peer in places.values():
            self.places |= of_peer


async def send_from(site: Site, *drafts: Draft) -> None:
    """Send messages in one transaction."""
    async with site.database.transaction() as session:
        send(session.driver, drafts)


async def empty(endpoint: DatabaseEndpoint) -> None:
    """Empty the tables of delivery."""
    await run_as_owner(endpoint, f"TRUNCATE {', '.join(_EMPTIED)}")
