"""The listener of an instance for probes and metrics.

It has a thread of its own, so it answers while the event loop is blocked.

/livez     200 while the event loop runs, 503 once it has not run for `LOOP_BLOCKED_S`. Asks no database and no broker.
/readyz    as on the API's port, or 503 `loop_busy`
/metrics   the text format of Prometheus
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple, TypeVar, cast

from pydantic_core import to_json

from shared.core.errors import Unavailable
from shared.platform.http.edge import SECURITY_HEADERS
from shared.platform.observability.health import Check, LoopWatch, readiness_body
from shared.platform.observability.metrics import CONTENT_TYPE, exposition

JSON: Final = "application/json"
#: Open connections. A further one ends the oldest. With twice as many, it is refused.
PLACES: Final = 8
#: Seconds for a client's request line, and for work in the event loop.
TAKE_S: Final = 5.0

_Value = TypeVar("_Value")
_Request = socket.socket | tuple[bytes, socket.socket]


class ProbeAnswer(NamedTuple):
    """An answer: its status, media type and body."""

    status: int
    media_type: str
    body: bytes


class ProbeListener(ThreadingHTTPServer):
    """Answers probes in threads. `read` and `measure` run in the event loop; without it, gauges keep their values."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        watch: LoopWatch,
        *,
        read: Callable[[], Coroutine[None, None, list[Check]]],
        measure: Callable[[], Coroutine[None, None, None]],
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, ProbeHandler)
        self.answers: dict[str, Callable[[], ProbeAnswer]] = {
            "/livez": self._alive,
            "/readyz": self._ready,
            "/metrics": self._metrics,
        }
        self._watch, self._read, self._measure = watch, read, measure
        self._loop = asyncio.get_running_loop()
        #: The open connections, oldest first.
        self._open: list[_Request] = []
        self._is_ended = False

    async def run(self) -> None:
        """Answer until cancelled."""
        threading.Thread(target=self._serve, name="probes", daemon=True).start()
        try:
            await asyncio.Event().wait()
        finally:
            self._is_ended = True
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
            self.server_close()

    def process_request(self, request: _Request, client_address: tuple[str, int]) -> None:
        if len(self._open) >= 2 * PLACES:
            self.shutdown_request(request)
            return
        self._open.append(request)
        for slow in self._open[:-PLACES]:
            with suppress(OSError):
                cast("socket.socket", slow).shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def process_request_thread(self, request: _Request, client_address: tuple[str, int]) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.remove(request)

    def handle_error(self, request: _Request, client_address: tuple[str, int]) -> None:
        """Say nothing: the client ended early."""

    def _serve(self) -> None:
        while not self._is_ended:
            self.handle_request()

    def _alive(self) -> ProbeAnswer:
        is_alive = not self._watch.is_blocked()
        return ProbeAnswer(200 if is_alive else 503, JSON, to_json({"alive": is_alive}))

    def _ready(self) -> ProbeAnswer:
        checks = self._from_loop(self._read)
        status, body = readiness_body([Check("loop", False, "loop_busy")] if checks is None else checks)
        return ProbeAnswer(status, JSON, body)

    def _metrics(self) -> ProbeAnswer:
        with suppress(Unavailable):  # the counters are still true
            self._from_loop(self._measure)
        return ProbeAnswer(200, CONTENT_TYPE, exposition())

    def _from_loop(self, work: Callable[[], Coroutine[None, None, _Value]]) -> _Value | None:
        """Run `work` in the event loop and return its value; None if it takes too long."""
        computing = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            return computing.result(TAKE_S)
        except TimeoutError:
            computing.cancel()
            return None


async def serve_probes(
    host: str,
    port: int,
    watch: LoopWatch,
    *,
    read: Callable[[], Coroutine[None, None, list[Check]]],
    measure: Callable[[], Coroutine[None, None, None]],
) -> None:
    """Answer probes until cancelled. Raises `Unavailable` if the address is not available."""
    try:
        listener = ProbeListener((host, port), watch, read=read, measure=measure)
    except OSError:
        raise Unavailable("http_address_taken", "another process uses it, or it is not a local address") from None
    await listener.run()


class ProbeHandler(BaseHTTPRequestHandler):
    """Answers one request, and closes the connection."""

    server: ProbeListener
    timeout = TAKE_S

    def do_GET(self) -> None:
        find = self.server.answers.get(self.path)
        answer = ProbeAnswer(404, JSON, b"{}") if find is None else find()
        self.send_response(answer.status)
        self.send_header("content-type", answer.media_type)
        self.send_header("content-length", str(len(answer.body)))
        for name, value in SECURITY_HEADERS:
            self.send_header(name.decode(), value.decode())
        self.end_headers()
        self.wfile.write(answer.body)

    def version_string(self) -> str:
        return "causeway"

    def log_message(self, *_: object) -> None:
        """Log nothing: the request line is the client's text."""
