"""The doors of a party's feed: where it asks for its events and what falls due, and where it says to have them sent."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from shared.kernel.authority import Authority
from shared.party.due import due_router
from shared.party.events import events_router
from shared.party.recipient.api import Serving
from shared.party.webhooks import webhooks_router
from shared.runtime.http.identity import whoami_router


def feed_routers(serving: Serving, authority: Authority) -> Sequence[APIRouter]:
    """The routes under /v1/events, /v1/due and /v1/webhooks, and /v1/whoami."""
    feeds = events_router(serving, authority), due_router(serving, authority), webhooks_router(serving, authority)
    return *feeds, whoami_router(serving.identified)
