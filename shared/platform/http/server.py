"""The HTTP server inside the service's process, with limits for heads, trailers, connections and time.

uvicorn limits the number of running requests, and the time that a connection may be idle between two. With the parser
used here, it has no limit for the size of a head, for trailers or for the number of idle connections.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final, NamedTuple, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shared.core.errors import Unavailable
from shared.platform.observability.logs import log

#: The key of the connection in a request's scope, if this server runs it.
CONNECTION: Final = "causeway.connection"
HEAD_TIMEOUT_S: Final = 10.0

#: The limits of bytes and of fields, for a head and for the trailers of a body.
HEAD_BYTES_MAX: Final = 16_384
FIELDS_MAX: Final = 100

KEEP_ALIVE_S: Final = 30

#: A connection whose request was over budget begins the next one after this time: one refusal a second.
OVER_BUDGET_S: Final = 1.0

#: The requests of one connection that wait for its present answer. A client that sends more is cut off.
WAITING_MAX: Final = 8

#: The kernel cuts off a client that takes nothing of what waits for it during this time, also at the end of a service.
TAKE_TIMEOUT_S: Final = 10

CONNECTIONS_MAX: Final = 1_000
#: The limits of idle connections, of one address and of all. An unnamed proxy before the service keeps fewer open.
IDLE_OF_ADDRESS_MAX: Final = 256
IDLE_MAX: Final = CONNECTIONS_MAX // 2

_Networks = Sequence[IPv4Network | IPv6Network]
#: A header of the PROXY protocol (HAProxy, versions 1 and 2): its limit here, and the first bytes of version 2.
PROXY_BYTES_MAX: Final = 1_024
_PROXY_LINE_MAX: Final = 107
_PROXY_2: Final = b"\r\n\r\n\0\r\nQUIT\n"
#: The bytes of an address in version 2, by transport: TCP over IPv4 and over IPv6.
_ADDRESS_BYTES: Final = {0x11: 4, 0x21: 16}

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n"
_TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n"


async def serve_http(
    app: ASGIApp, host: str, port: int, *, scheme: str = "http", proxies: _Networks | None = None
) -> None:
    """Serve until cancelled. Running requests are answered first, for at most 10 s.

    `scheme` is the one by which clients reach the site: https if a proxy ends TLS before it. A connection from one of
    the networks `proxies` has the source that its header of the PROXY protocol names.

    Raises `Unavailable` if the address is not available. The caller handles the process's signals.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKE_TIMEOUT_S * 1_000)  # of all it accepts
    except OSError:
        raise Unavailable("http_address_taken", "another process uses it, or it is not a local address") from None
    if scheme == "https" and not proxies:
        log("proxy_unnamed")
    server = _Server(
        uvicorn.Config(
            app,
            http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, IdleConnections(), scheme, proxies or ())),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
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
        server.end()
        await serving
        raise


class _Server(uvicorn.Server):
    """A uvicorn server that handles no signals, and that an event ends instead of a poll ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Answer the running requests, and stop."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        await self._ending.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def read_proxy_header(data: bytes) -> tuple[int, tuple[str, int] | None] | None:
    """Return the bytes of a PROXY header and the source that it names; None if more bytes are needed.

    The source is None if the proxy speaks for itself, as for its health checks. Raises `ValueError` for other bytes.
    """
    if data[:12] == _PROXY_2[: len(data)]:
        size = 16 + int.from_bytes(data[14:16])
        if len(data) < 16 or len(data) < size <= PROXY_BYTES_MAX:
            return None
        width = _ADDRESS_BYTES.get(data[13], 0) if data[12] & 15 else 0
        if size > PROXY_BYTES_MAX or data[12] >> 4 != 2 or (width and size < 20 + 2 * width):
            raise ValueError("no PROXY header")
        port = int.from_bytes(data[16 + 2 * width : 18 + 2 * width])
        return size, (str(ip_address(data[16 : 16 + width])), port) if width else None
    line, end, _ = data[:_PROXY_LINE_MAX].partition(b"\r\n")
    if not end and len(data) < _PROXY_LINE_MAX and data[:6] == b"PROXY "[: len(data)]:
        return None
    name, transport, *words = line.decode("ascii").split(" ")
    if not end or name != "PROXY" or transport not in ("TCP4", "TCP6", "UNKNOWN"):
        raise ValueError("no PROXY header")
    if transport == "UNKNOWN":
        return len(line) + 2, None
    source, _, port_text, _ = words
    return len(line) + 2, (str(ip_address(source)), int(port_text))


class IdleConnections:
    """The idle connections, the longest idle first. If there are too many, the first one is closed.

    So a client that only opens connections displaces no request: connections with a request are not counted here.
    """

    def __init__(self) -> None:
        self._by_address: dict[str, dict[BoundedProtocol, None]] = {}
        self._all: dict[BoundedProtocol, None] = {}

    def add(self, connection: BoundedProtocol) -> None:
        """Add a connection that became idle."""
        mine = self._by_address.setdefault(connection.address, {})
        mine[connection] = self._all[connection] = None
        crowd = mine if len(mine) > IDLE_OF_ADDRESS_MAX else self._all if len(self._all) > IDLE_MAX else {}
        if crowd:
            first = next(iter(crowd))
            self.remove(first)
            first.transport.close()

    def remove(self, connection: BoundedProtocol) -> None:
        """Remove a connection that has a request or was closed."""
        self._all.pop(connection, None)
        mine = self._by_address.get(connection.address, {})
        mine.pop(connection, None)
        if not mine:
            self._by_address.pop(connection.address, None)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits for the bytes that are not a body: their size, their fields, their time.

    Trailers are read and discarded, because no route uses any.
    """

    address = ""
    _fields = 0
    _field_bytes = 0
    #: Received since the last byte of a body or the end of a head, counted in whole reads.
    _loose_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None
    _is_over_budget = False
    _rest_timer: asyncio.TimerHandle | None = None
    #: The bytes so far of a PROXY header; None once it is complete, and for any other client.
    _proxy_bytes: bytes | None = None

    def __init__(self, resting: IdleConnections, scheme: str, proxies: _Networks = (), **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._resting = resting
        self._site_scheme = scheme
        self._proxies = proxies

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.scheme = self._site_scheme  # type: ignore[assignment]
        self.address = self.client[0] if self.client else ""
        if self._proxies and self.address and any(ip_address(self.address) in each for each in self._proxies):
            self._proxy_bytes = b""
        self._await_head()
        self._resting.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        self._resting.remove(self)
        if self._rest_timer is not None:
            self._rest_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._proxy_bytes is not None:
            data = self._named_by_proxy(self._proxy_bytes + data)
            if self._proxy_bytes is not None or not data:
                return
        self._loose_bytes += len(data)
        super().data_received(data)
        if self._loose_bytes > HEAD_BYTES_MAX:
            self._refuse(_TOO_LARGE)

    def _named_by_proxy(self, data: bytes) -> bytes:
        """Take the source from the PROXY header; return the bytes after it."""
        try:
            found = read_proxy_header(data)
        except ValueError:
            found = 0, None  # a client on the proxy's own machine, such as a health check, sends none
        if found is None:
            self._proxy_bytes = data
            return b""
        size, source = found
        self._proxy_bytes = None
        if source is not None:
            self._resting.remove(self)
            self.client, self.address = source, source[0]
            self._resting.add(self)
        return data[size:]

    def on_message_begin(self) -> None:
        if len(self.pipeline) == WAITING_MAX:
            self.transport.close()  # then none that waits is begun
            raise _Refused
        super().on_message_begin()
        self.server_state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self._fields = self._field_bytes = self._loose_bytes = 0
        self._in_head = True
        self._await_head()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        self._count(len(name) + len(value))
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._have_head()
        self._resting.remove(self)
        self._fields = self._field_bytes = self._loose_bytes = 0
        self._in_head = False
        super().on_headers_complete()
        # The request's task runs later, so the application finds this in its scope.
        self.scope[CONNECTION] = RequestConnection(self, self.cycle)  # type: ignore[typeddict-unknown-key]

    def on_body(self, body: bytes) -> None:
        self._loose_bytes = 0
        super().on_body(body)

    def rest(self) -> None:
        """Begin no further request for a while after the present answer, because its principal is over budget."""
        self._is_over_budget = True

    def on_response_complete(self) -> None:
        is_over, self._is_over_budget = self._is_over_budget, False
        if not is_over or self.transport.is_closing():
            self._go_on()
            return
        self.flow.pause_reading()
        self._resting.add(self)
        self._rest_timer = self.loop.call_later(OVER_BUDGET_S, self._go_on)

    def shutdown(self) -> None:
        # During the pause, requests that were already read are not begun.
        if self._rest_timer is not None:
            self.transport.close()
        super().shutdown()

    def _go_on(self) -> None:
        self._rest_timer = None
        if self.pipeline:
            self._resting.remove(self)
        elif not self.transport.is_closing():
            self._resting.add(self)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        # The connection may have been refused, and is then already answered.
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def _count(self, field_bytes: int) -> None:
        self._field_bytes += field_bytes
        if self._field_bytes > HEAD_BYTES_MAX or self._fields > FIELDS_MAX:
            self._refuse(_TOO_LARGE)
            raise _Refused

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, _TOO_LATE)

    def _have_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, answer: bytes) -> None:
        self._have_head()
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        answering = cycle is not None and cycle.response_started and not cycle.response_complete
        if not answering:
            self.transport.write(answer)
        self.transport.close()


class RequestConnection(NamedTuple):
    """The connection of a request, as the application sees it."""

    protocol: BoundedProtocol
    cycle: RequestResponseCycle

    def has_body(self) -> bool:
        """Return whether the whole body has arrived."""
        return not self.cycle.more_body

    def pause(self) -> None:
        """Read nothing from the client until the application asks for the body."""
        self.protocol.flow.pause_reading()


class _Refused(Exception):
    """The connection is closed; the rest of this read is discarded."""
