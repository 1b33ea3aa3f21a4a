"""One POST to one receiver: the only code of a server that connects to where a party has said.

No redirect is followed, no proxy used, no connection kept. Of the answer its status is read, and no more than its head;
nothing of it is stored but that number.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shared.kernel.errors import Refused, Unavailable
from shared.runtime.courier.addresses import AddressRules, Receiver, Resolve, address_of, read_url, resolve_by_system

#: From resolving its name to its answer.
ANSWER_S_MAX: Final = 15.0
HEAD_BYTES_MAX: Final = 16 * 1024
_INTERIM_MAX: Final = 4
_STATUS = re.compile(rb"HTTP/1[.][01] ([1-5][0-9]{2})(?: |\r\n)")


class Sent(NamedTuple):
    """What came of one attempt. `code` says why there is no status, or why one of success was none."""

    code: str
    status: int | None = None


def public_trust() -> ssl.SSLContext:
    """The authorities that this machine trusts, TLS 1.2 and above."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends by these rules. `resolve` and `trust` are the machine's, unless a test says otherwise."""

    rules: AddressRules
    resolve: Resolve = resolve_by_system
    trust: ssl.SSLContext = field(default_factory=public_trust)
    answer_s_max: float = ANSWER_S_MAX

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        """Send one body. Whatever the receiver or its address does comes back as a code: nothing is raised."""
        try:
            async with asyncio.timeout(self.answer_s_max):
                receiver = read_url(url, self.rules)
                address = await address_of(receiver, self.resolve)
                status = await self._exchange(receiver, address, request_bytes(receiver, headers, body))
        except TimeoutError:
            return Sent("timed_out")
        except (Refused, Unavailable) as error:
            return Sent(error.code.removeprefix("webhook_"))
        except ssl.SSLError:
            return Sent("tls_failed")
        except (OSError, asyncio.IncompleteReadError):
            return Sent("connection_failed")
        except (asyncio.LimitOverrunError, ValueError):
            return Sent("answer_malformed")
        return Sent("delivered" if 200 <= status < 300 else "status_refused", status)

    async def _exchange(self, receiver: Receiver, address: str, request: bytes) -> int:
        """Send to the address that was looked at, and read the status; the certificate must be of the name."""
        reader, writer = await asyncio.open_connection(
            address,
            receiver.port,
            limit=HEAD_BYTES_MAX,
            ssl=self.trust if receiver.tls else None,
            server_hostname=receiver.host if receiver.tls else None,
        )
        try:
            writer.write(request)
            await writer.drain()
            for _ in range(_INTERIM_MAX):
                status = _STATUS.match(await reader.readuntil(b"\r\n\r\n"))
                if status is None:
                    raise ValueError("no status line")
                if int(status[1]) >= 200:
                    return int(status[1])
            raise ValueError("no final answer")
        finally:
            writer.transport.abort()


def request_bytes(receiver: Receiver, headers: Mapping[str, str], body: bytes) -> bytes:
    """The whole request (RFC 9112); `headers` are our own, none comes from outside."""
    usual = receiver.port == (443 if receiver.tls else 80)
    lines = {
        "Host": receiver.host if usual else f"{receiver.host}:{receiver.port}",
        "User-Agent": "causeway",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {receiver.target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body
