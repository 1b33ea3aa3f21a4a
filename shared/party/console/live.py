"""What tells an open page that something is new: the party's feed, as server-sent events (HTML standard, §9.2)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from shared.kernel.errors import Refused
from shared.party.events import Asked as AskedOfFeed
from shared.party.events import Events
from shared.runtime.console.asked import Asked
from shared.runtime.console.frame import HEADERS, Frame
from shared.runtime.http.identity import Identity

#: A page's question is held open so long; then the browser asks again by itself, after the pause that it is told.
WAIT_S: Final = 25
RETRY_MS: Final = 2000
_EVENTS_MAX: Final = 50


class Live:
    """The stream, and where a page begins to listen."""

    def __init__(self, frame: Frame, events: Events) -> None:
        self._events = events
        frame.stream("/live", self._stream)

    async def last(self, identity: Identity) -> int | None:
        """The number of the party's last event: a page that is made now shows all up to it. None: nothing to hear."""
        try:
            return (await self._events.page(identity, AskedOfFeed(limit=1))).last
        except Refused:
            return None

    async def _stream(self, asked: Asked) -> Response:
        said = asked.request.headers.get("last-event-id") or asked.query("after") or "0"
        after = int(said) if said.isascii() and said.isdecimal() and len(said) < 19 else 0
        try:
            found = await self._events.page(asked.identity, AskedOfFeed(after=after, limit=_EVENTS_MAX, wait=WAIT_S))
            news = "".join(f"id: {each.number}\nevent: news\ndata: {each.subject}\n\n" for each in found.items)
        except Refused as error:
            if error.code != "feed_began_anew":
                raise
            news = "id: 0\nevent: news\ndata: all\n\n"
        headers = dict(HEADERS) | {"Cache-Control": "no-store"}
        return Response(f"retry: {RETRY_MS}\n\n{news}", media_type="text/event-stream", headers=headers)
