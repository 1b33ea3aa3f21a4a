"""What has happened to one subject: its timeline, as a party's service shows it."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from uuid import UUID

from pydantic import JsonValue

from client.api import CausewayClient
from client.calls import PAGE_MAX
from client.problem import ApiProblem
from client.views import Event, View

#: Where a party may have what it asks the timeline of: its own referrals, what it was offered, its notices, and what it
#: wants kept or is asked to keep.
_COLLECTIONS: Final = ("referrals", "inbox", "notices", "preservations")


class Entry(Event):
    """An act on the subject, and the codes it said, where they are kept act by act."""

    said: dict[str, JsonValue] | None = None


class Timeline(View):
    """One page of what has happened to a subject; `next` is the number to ask on after."""

    items: tuple[Entry, ...]
    next: int | None = None


async def timeline_of(client: CausewayClient, subject: UUID) -> Sequence[Entry]:
    """All that has happened to a referral, offer, case, notice or preservation, by the id that the party knows it by.

    Raises `ApiProblem("not_found")` where it knows none of it.
    """
    for collection in _COLLECTIONS:
        try:
            return await _whole(client, f"/v1/{collection}/{subject}/timeline")
        except ApiProblem as problem:
            if problem.status != HTTPStatus.NOT_FOUND:
                raise
    raise ApiProblem("not_found", status=HTTPStatus.NOT_FOUND)


async def _whole(client: CausewayClient, path: str) -> Sequence[Entry]:
    found: list[Entry] = []
    after: int | None = 0
    while after is not None:
        page = await client.read(path, Timeline, after=str(after), limit=str(PAGE_MAX))
        found += page.items
        after = page.next
    return found
