"""One POST to one receiver. Only this code of a server connects to an address that a party has chosen.

It follows no redirect, uses no proxy and reuses no connection. It reads only the head of the answer, and only the
status is stored.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from shared.core.errors import Refused, Unavailable
from shared.platform.courier.addresses import AddressRules, Receiver, Resolve, address_of, read_url, resolve_by_system

#: The time from the name's resolution to the answer.
ANSWER_S_MAX: Final = 15.0
HEAD_BYTES_MAX: Final = 16 * 1024
_INTERIM_MAX: Final = 4
_STATUS = re.compile(rb"HTTP/1[.][01] ([1-5][0-9]{2})(?: |\r\n)")


class SendResult(NamedTuple):
    """The result of one attempt. `code` is `delivered`, or the reason why there is no status or no successful one."""

    code: str
    status: int | None = None


def public_trust() -> ssl.SSLContext:
    """Return a TLS context with the authorities that this machine trusts, TLS 1.2 and above."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender with these rules. `resolve` and `trust` are the machine's, except in tests."""

    rules: AddressRules
    resolve: Resolve = resolve_by_system
    trust: ssl.SSLContext = field(default_factory=public_trust)
    answer_s_max: float = ANSWER_S_MAX

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> SendResult:
        """Send one body. Every failure of the receiver or its address is returned as a code; no error is raised."""
        try:
            async with asyncio.timeout(self.answer_s_max):
                receiver = read_url(url, self.rules)
                address = await address_of(receiver, self.resolve)
                status = await self._exchange(receiver, address, request_bytes(receiver, headers, body))
        except TimeoutError:
            return SendResult("timed_out")
        except (Refused, Unavailable) as error:
            return SendResult(error.code.removeprefix("webhook_"))
        except ssl.SSLError:
            return SendResult("tls_failed")
        except (OSError, asyncio.IncompleteReadError):
            return SendResult("connection_failed")
        except (asyncio.LimitOverrunError, ValueError):
            return SendResult("answer_malformed")
        return SendResult("delivered" if 200 <= status < 300 else "status_refused", status)

    async def _exchange(self, receiver: Receiver, address: str, request: bytes) -> int:
        """Send to the checked address and read the status. The certificate must have the host name."""
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
    """Return the whole request (RFC 9112). The service sets all `headers`; none comes from outside."""
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
