"""Requests to a provider's documents and its token endpoint. Only this code of a server connects to a provider.

It follows no redirect, uses no proxy, and limits the size and duration of an answer. Addresses come from the operator's
file and from the provider's own document.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Final

import httpx

from shared.core.canonical import JsonView
from shared.core.errors import Unavailable

ANSWER_S_MAX: Final = 10.0
ANSWER_BYTES_MAX: Final = 256 * 1024


async def get(address: str) -> JsonView:
    """Return the JSON object at an address. Raises `Unavailable("sign_in_unavailable")`."""
    status, found = await _asked("GET", address)
    if status != 200:
        raise _away()
    return found


async def post(address: str, form: Mapping[str, str], *, auth: tuple[str, str] | None) -> JsonView | None:
    """Post a form and return the answer; None if it is refused. Raises `Unavailable("sign_in_unavailable")`."""
    status, found = await _asked("POST", address, form=form, auth=auth)
    if status >= 500:
        raise _away()
    return found if status == 200 else None


async def _asked(
    method: str, address: str, *, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None
) -> tuple[int, JsonView]:
    client = httpx.AsyncClient(timeout=ANSWER_S_MAX, trust_env=False, follow_redirects=False)
    sent = client.stream(method, address, data=form, auth=auth, headers={"Accept": "application/json"})
    body = bytearray()
    try:
        async with asyncio.timeout(ANSWER_S_MAX), client, sent as answer:
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise _away()
            found = json.loads(body)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
        raise _away() from None
    if not isinstance(found, dict):
        raise _away()
    return answer.status_code, found


def _away() -> Unavailable:
    return Unavailable("sign_in_unavailable", "the provider of your organisation does not answer")
