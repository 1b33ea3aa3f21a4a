"""An HTTP receiver that answers with given bytes and stores the requests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Raw:
    """A receiver. `got` holds the bytes of each request."""

    answer: bytes = OK
    hangs: bool = False
    port: int = 0
    got: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        self.got.append(head + await reader.readexactly(length))
        writer.write(self.answer)
        if self.hangs:
            await reader.read()
        writer.close()


@asynccontextmanager
async def receiving(raw: Raw, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Raw]:
    """Run the receiver on a free loopback port, with TLS if a context is given."""
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=tls)
    raw.port = server.sockets[0].getsockname()[1]
    yield raw
    server.close()
