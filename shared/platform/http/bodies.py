"""Limits of request bodies: their size, their speed, and how many of one principal may arrive at once.

A body that has not arrived yet holds a place of its key, session or source address. So a client that announces bodies
and does not send them delays only its own further requests, and not those of other clients.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.core.errors import CausewayError, Refused
from shared.core.guard.envelope_limits import BODY_BYTES_MAX
from shared.platform.admission.budgets import PlacePool, Shares, read_principal
from shared.platform.http.problems import problem
from shared.platform.http.server import CONNECTION, RequestConnection

BATCH_ITEMS_MAX: Final = 100
BATCH_BODY_BYTES_MAX: Final = BATCH_ITEMS_MAX * BODY_BYTES_MAX
BATCH_SUFFIXES: Final = (":batch", ":check")

#: A body is refused after this time without a byte. After that time it is also refused below this average rate.
IDLE_S: Final = 10.0
BYTES_PER_S_MIN: Final = 256
#: Bodies that may arrive at once. Further ones of a key wait for a second, unread, and are then answered with 429.
BODIES_OF_KEY: Final = 8
BODIES_OF_PARTY: Final = 32
BODIES: Final = Shares(BODIES_OF_KEY, BODIES_OF_PARTY, of_instance=256, waiting=120, wait_s=1.0)


def body_places() -> PlacePool:
    """Return the places of bodies of one server."""
    return PlacePool("bodies", BODIES)


class BodyBound:
    """A middleware that limits the size and slowness of a body, and the number of arriving bodies of one principal.

    `scope["body_bytes_max"]` has the size limit of this request for the inner application.
    """

    def __init__(self, app: ASGIApp, places: PlacePool, *, idle_s: float = IDLE_S) -> None:
        self._app = app
        self._places = places
        self._idle_s = idle_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bound = BATCH_BODY_BYTES_MAX if scope["path"].endswith(BATCH_SUFFIXES) else BODY_BYTES_MAX
        scope["body_bytes_max"] = bound
        headers = Headers(scope=scope)
        announced = headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > bound:
            await closing(too_large(bound))(scope, receive, send)
            return
        has_body = announced != "0" or "transfer-encoding" in headers
        body = _ArrivingBody(scope, receive, places=self._places, idle_s=self._idle_s, is_complete=not has_body)

        async def send_closing(message: Message) -> None:
            # The rest of a body that no route reads must not be parsed as the next request.
            if message["type"] == "http.response.start" and not body.is_complete:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        async with body.holding:
            await self._app(scope, body.receive, send_closing)


class _ArrivingBody:
    """One body while it arrives; `holding` has its place."""

    def __init__(self, scope: Scope, receive: Receive, *, places: PlacePool, idle_s: float, is_complete: bool) -> None:
        self._scope = scope
        self._receive = receive
        self._places = places
        self._idle_s = idle_s
        self.is_complete = is_complete
        self.holding = AsyncExitStack()
        self._received_bytes = 0
        self._began_s: float | None = None
        self._last_byte_s = 0.0

    async def receive(self) -> Message:
        """Return the next message. Raises `BudgetExceeded`, `Refused("body_too_slow")`, `Refused("body_too_large")`."""
        if self.is_complete:
            return await self._receive()  # only a disconnect can come now
        if self._began_s is None:
            await self._begin()
        try:
            async with asyncio.timeout_at(self._due_s()):
                message = await self._receive()
        except TimeoutError:
            rule = f"send a byte every {self._idle_s:g} s, and {BYTES_PER_S_MIN} bytes a second after that"
            raise Refused("body_too_slow", rule, status=408) from None
        part = message.get("body", b"")
        self._received_bytes += len(part)
        if part:
            self._last_byte_s = asyncio.get_running_loop().time()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.is_complete = True
            await self.holding.aclose()
        if self._received_bytes > self._scope["body_bytes_max"]:
            raise too_large(self._scope["body_bytes_max"])
        return message

    async def _begin(self) -> None:
        """Take a place, unless the body is here already. Meanwhile the client's socket is not read."""
        connection: RequestConnection | None = self._scope.get(CONNECTION)
        if connection is None or not connection.has_body():
            if connection is not None:
                connection.pause()
            await self.holding.enter_async_context(self._places.place(read_principal(self._scope)))
        self._began_s = self._last_byte_s = asyncio.get_running_loop().time()

    def _due_s(self) -> float:
        """Return the time, by the loop's clock, at which the body is too slow without another byte."""
        assert self._began_s is not None
        slowest_s = self._began_s + max(self._idle_s, self._received_bytes / BYTES_PER_S_MIN)
        return min(self._last_byte_s + self._idle_s, slowest_s)


def too_large(bound: int) -> Refused:
    return Refused("body_too_large", f"at most {bound} bytes", status=413)


def closing(error: CausewayError) -> Response:
    """Return the answer for an error after which the connection is closed."""
    return problem(error, {"Connection": "close"})
