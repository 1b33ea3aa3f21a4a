"""The HTTP server that runs inside our process, with bounds for heads, connections and time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.kernel.errors import Unavailable

HEAD_TIMEOUT_S: Final = 10.0

HEAD_BYTES_MAX: Final = 16_384

KEEP_ALIVE_S: Final = 30

CONNECTIONS_MAX: Final = 1_000


async def serve_http(app: ASGIApp, host: str, port: int) -> None:
    """Serve until cancelled; requests under way are answered first, for at most 10 s.

    Raises `Unavailable` if the address cannot be had. Signals stay with whoever runs this process.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError:
        raise Unavailable("http_address_taken", "another process listens there, or it is not ours") from None
    server = _Server(
        uvicorn.Config(
            app,
            http=PatientProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=10,
        )
    )
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


class _Server(uvicorn.Server):
    """uvicorn that leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds for the head of a request, which it has none for: size and time."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._have_head()
        super().on_headers_complete()

    def _await_head(self) -> None:
        if self._head_timer is None:
            late = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n"
            self._head_bytes, self._head_timer = 0, self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, late)

    def _have_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, answer: bytes) -> None:
        self._have_head()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
