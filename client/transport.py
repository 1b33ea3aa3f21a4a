"""One HTTP call with its retries: the same request and the same idempotency key until the service answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping

import httpx
from pydantic import JsonValue

from client.problem import ApiProblem
from shared.kernel.errors import Refused, Unavailable
from shared.kernel.ids import uuid7

_RETRIED = frozenset({429, 502, 503, 504})
_BASE = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_API_KEY = re.compile(r"cw_(test|live)_[A-Za-z0-9_-]{43}")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_TIMEOUT = httpx.Timeout(30.0, connect=5.0, pool=None)
_DELAY_S_FIRST = 0.25
_DELAY_S_MAX = 8.0
_RETRY_AFTER_S_MAX = 30.0


class Transport:
    """Sends calls for one party. Every call is repeatable: a GET, a check, or a POST under an idempotency key."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        http: httpx.AsyncClient | None,
        attempts_max: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`http` is shared by the caller and stays open; without it one is made here and closed with the transport.

        Raises `Refused` for a key or an address that cannot be one, so that neither ends up in a library's message.
        """
        if not _API_KEY.fullmatch(api_key):
            raise Refused("api_key_malformed", "a key is cw_test_ or cw_live_ and 43 characters", status=400)
        self._base = _checked(base_url)
        self._authorization = f"Bearer {api_key}"
        self._attempts_max = attempts_max
        self._sleep = sleep
        self._owned = http is None
        # A request to this machine never goes through a proxy, whatever the environment says.
        self._http = http or httpx.AsyncClient(timeout=_TIMEOUT, trust_env=self._base.host not in _LOOPBACK)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, JsonValue]:
        """The JSON of a 2xx answer. Raises `ApiProblem`, or `Unavailable` when nothing answered in all attempts."""
        sent = {"Authorization": self._authorization, "Accept": "application/json", **(headers or {})}
        content: bytes | None = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            sent["Content-Type"] = "application/json"
        if key is not None:
            sent["Idempotency-Key"] = key
        url = self._base.copy_with(path=self._base.path.rstrip("/") + path, params=query or None)
        jitter_seed = key or str(uuid7())
        attempt = 1
        while True:
            response = await self._try(method, url, content, headers=sent)
            last = attempt >= self._attempts_max
            if response is not None and (last or response.status_code not in _RETRIED):
                return _answer(response)
            if last:
                raise Unavailable("server_unreachable", "no answer; the same call may be made again under the same key")
            await self._sleep(_delay_s(response, attempt, jitter_seed))
            attempt += 1

    async def aclose(self) -> None:
        """Close the connections, if they are ours."""
        if self._owned:
            await self._http.aclose()

    async def _try(
        self, method: str, url: httpx.URL, content: bytes | None, *, headers: Mapping[str, str]
    ) -> httpx.Response | None:
        """One attempt; None when the connection failed at any point, also after the service may have acted."""
        try:
            return await self._http.request(method, url, content=content, headers=headers)
        except httpx.TransportError:
            return None


def _checked(base_url: str) -> httpx.URL:
    try:
        if _BASE.fullmatch(base_url):
            return httpx.URL(base_url)
    except httpx.InvalidURL:
        pass
    raise Refused("url_malformed", "a base address is http(s)://host[:port]", status=400)


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


def _delay_s(response: httpx.Response | None, attempt: int, jitter_seed: str) -> float:
    """Seconds to wait: what the service asks for, else doubling; then between half and all of it.

    The jitter is drawn from the key, so many clients spread and one call always waits alike.
    """
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    if asked.isascii() and asked.isdigit():
        return min(float(asked[:4]), _RETRY_AFTER_S_MAX)
    delay_s = min(_DELAY_S_FIRST * 2.0 ** (attempt - 1), _DELAY_S_MAX)
    drawn = hashlib.sha256(f"{jitter_seed}/{attempt}".encode()).digest()[0]
    return delay_s * (0.5 + drawn / 510)
