"""One HTTP call with its retries, and the check of the addresses to which a key may be sent.

A call repeats the same request under the same idempotency key until the service answers. A key is sent over TLS, or to
this machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Network, IPv6Address, ip_address
from pathlib import Path
from typing import TypedDict, Unpack

import httpx
from pydantic import JsonValue

from client.problem import ApiProblem
from shared.core.errors import Refused, Unavailable
from shared.core.ids import uuid7

_BASE = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_LOOPBACK = IPv4Network("127.0.0.0/8")


def service_address(text: str) -> httpx.URL:
    """Return the base address of a service.

    Raises `Refused` without the text, because a mistyped text may be a key.
    """
    try:
        url = httpx.URL(text) if _BASE.fullmatch(text) else None
        # A name that violates its own encoding raises an error only when it is read.
        named = url is not None and bool(url.host)
    except (httpx.InvalidURL, ValueError):
        url, named = None, False
    if url is None or not named or (url.port or 0) > 65_535:
        raise Refused("url_malformed", "use a base address https://host[:port]", field="/url", status=400)
    if url.scheme != "https" and not is_this_machine(url.host):
        raise Refused(
            "url_not_https",
            "plain http is only for 127.0.0.0/8, ::1 and localhost: elsewhere the key and the referrals would cross "
            "the network in the clear. Give an https address",
            field="/url",
            status=400,
        )
    return url


def is_this_machine(host: str) -> bool:
    """Return whether a host is this machine by its own name.

    No name is looked up, because a resolver could lie.
    """
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    # Compared one by one: `is_loopback` includes more, and differs between versions of Python.
    return address == IPv6Address("::1") if isinstance(address, IPv6Address) else address in _LOOPBACK


def trust_in(ca_file: Path) -> ssl.SSLContext:
    """Return a context that trusts only servers with a certificate of an authority in `ca_file` (PEM).

    Raises `Refused` for a file that cannot be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise Refused(
            "ca_file_unusable", "name a readable file of certificates in PEM", field="/ca_file", status=400
        ) from None


_RETRIED = frozenset({429, 502, 503, 504})
_API_KEY = re.compile(r"cw_(test|live)_[A-Za-z0-9_-]{43}")
_TIMEOUT = httpx.Timeout(30.0, connect=5.0, pool=None)
_DELAY_S_FIRST = 0.25
_DELAY_S_MAX = 8.0
_RETRY_AFTER_S_MAX = 30.0


class CallOptions(TypedDict, total=False):
    """Further parts of a call: `body` as JSON, `key` as its idempotency key."""

    body: Mapping[str, object] | None
    query: Mapping[str, str] | None
    key: str | None
    headers: Mapping[str, str] | None


class Transport:
    """The connection of one party to its service.

    Every call can be repeated: a GET, a check, or a POST under an idempotency key.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        http: httpx.AsyncClient | None,
        ca_file: Path | None = None,
        attempts_max: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Store the access data.

        A given `http` stays open; otherwise a client is made here, and closed with this object. `ca_file` applies to
        the client made here; a given `http` has its own trust. Raises `Refused` for a malformed key or address, so that
        neither appears in a library's message, and for an address that would send the key in the clear over a network.
        """
        if not _API_KEY.fullmatch(api_key):
            raise Refused("api_key_malformed", "a key is cw_test_ or cw_live_ and 43 characters", status=400)
        if http is not None and ca_file is not None:
            raise Refused("ca_file_not_used", "an http client has its own trust", field="/ca_file", status=400)
        self._base = service_address(base_url)
        self._authorization = f"Bearer {api_key}"
        self._attempts_max = attempts_max
        self._sleep = sleep
        self._owned = http is None
        # A request to this machine never uses a proxy, whatever the environment's settings are.
        self._http = http or httpx.AsyncClient(
            timeout=_TIMEOUT,
            trust_env=not is_this_machine(self._base.host),
            verify=True if ca_file is None else trust_in(ca_file),
        )

    async def call(self, method: str, path: str, **options: Unpack[CallOptions]) -> dict[str, JsonValue]:
        """Return the JSON of a 2xx answer. Raises `ApiProblem`, or `Unavailable` if no attempt was answered."""
        return _answer(await self._answered(method, path, **options))

    async def raw(self, path: str, accept: str, query: Mapping[str, str] | None = None) -> bytes:
        """Return an answer that is not JSON unchanged, in the media type `accept`. Raises as `call` does."""
        response = await self._answered("GET", path, query=query, headers={"Accept": accept})
        if not response.is_success:
            raise ApiProblem.from_body(response.status_code, _json(response))
        return response.content

    async def _answered(self, method: str, path: str, **options: Unpack[CallOptions]) -> httpx.Response:
        """Return the last answer, of any status. Raises `Unavailable` if there was none."""
        sent = {"Authorization": self._authorization, "Accept": "application/json", **(options.get("headers") or {})}
        content: bytes | None = None
        body, key = options.get("body"), options.get("key")
        if body is not None:
            content = encode_body(body)
            sent["Content-Type"] = "application/json"
        if key is not None:
            sent["Idempotency-Key"] = key
        url = self._base.copy_with(path=self._base.path.rstrip("/") + path, params=options.get("query") or None)
        jitter_seed = key or str(uuid7())
        attempt = 1
        while True:
            response = await self._try(method, url, content, headers=sent)
            last = attempt >= self._attempts_max
            if response is not None and (last or response.status_code not in _RETRIED or _asks_for_hours(response)):
                return response
            if last:
                raise Unavailable("server_unreachable", "no answer; you may repeat the same call under the same key")
            await self._sleep(_delay_s(response, attempt, jitter_seed))
            attempt += 1

    async def aclose(self) -> None:
        """Close the connections that were opened here."""
        if self._owned:
            await self._http.aclose()

    async def _try(
        self, method: str, url: httpx.URL, content: bytes | None, *, headers: Mapping[str, str]
    ) -> httpx.Response | None:
        """Make one attempt; return None if the connection failed at any point, even after the service acted."""
        try:
            # No redirect is followed, whatever the settings of `http` are: it may lead to a connection without TLS.
            return await self._http.request(method, url, content=content, headers=headers, follow_redirects=False)
        except httpx.TransportError as error:
            if _distrusted(error):
                raise Unavailable(
                    "server_not_trusted",
                    "nothing was sent: the server's certificate does not verify. Check the address; for your own "
                    "authority, name its certificates as CA file",
                ) from None
            return None


def encode_body(body: Mapping[str, object]) -> bytes:
    """Return the bytes of a body, or of an item in a list: an acceptance states their SHA-256."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _distrusted(error: BaseException) -> bool:
    """Return whether a connection failed because the server's certificate does not verify."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _answer(response: httpx.Response) -> dict[str, JsonValue]:
    body = _json(response)
    if not response.is_success:
        raise ApiProblem.from_body(response.status_code, body)
    if not isinstance(body, dict):
        raise ApiProblem("unexpected_answer", status=response.status_code)
    return body


def _json(response: httpx.Response) -> JsonValue:
    try:
        body: JsonValue = response.json()
    except ValueError:
        return None
    return body


def _asks_for_hours(response: httpx.Response) -> bool:
    """Return whether the service asks for such a long pause that the caller should know of it instead."""
    retry_after = response.headers.get("Retry-After", "")
    return retry_after.isascii() and retry_after.isdigit() and len(retry_after) > 3


def _delay_s(response: httpx.Response | None, attempt: int, jitter_seed: str) -> float:
    """Return the seconds to wait before the next attempt.

    The base is the service's value, otherwise a doubling one; the result is between half and all of it. The jitter is
    derived from the key, so many clients differ and one call always waits the same time.
    """
    retry_after = response.headers.get("Retry-After", "") if response is not None else ""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), _RETRY_AFTER_S_MAX)
    delay_s = min(_DELAY_S_FIRST * 2.0 ** (attempt - 1), _DELAY_S_MAX)
    drawn = hashlib.sha256(f"{jitter_seed}/{attempt}".encode()).digest()[0]
    return delay_s * (0.5 + drawn / 510)
