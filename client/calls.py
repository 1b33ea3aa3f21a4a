"""How the typed client asks its service: an act, a look, a list page by page. What is asked is in `client.api`."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar, Unpack

import httpx
from pydantic import JsonValue, ValidationError

from client.problem import ApiProblem
from client.transport import Said, Transport
from client.views import Page, View
from shared.kernel.errors import Refused
from shared.kernel.ids import uuid7

#: So many a page of a list has at most.
PAGE_MAX: Final = 200
_PURPOSE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{6,62}[A-Za-z0-9]")
_IDEMPOTENCY_KEY: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

ViewT = TypeVar("ViewT", bound=View)


class Calls:
    """One party's access to one service. Each call raises `ApiProblem` for a refusal, `Unavailable` for silence."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        http: httpx.AsyncClient | None = None,
        ca_file: Path | None = None,
        attempts_max: int = 6,
    ) -> None:
        """`base_url` is https, or http to this very machine; anything else is refused, and no redirect is followed.

        `ca_file` (PEM) names the authorities that are trusted instead of the public ones. `http` brings its own trust.
        """
        self._transport = Transport(base_url, api_key, http=http, ca_file=ca_file, attempts_max=attempts_max)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def call(self, method: str, path: str, **said: Unpack[Said]) -> dict[str, JsonValue]:
        """Make one call. A POST is made under an idempotency key: a new one where none is given."""
        if method == "POST":
            said["key"] = key_or_new(said.get("key"))
        return await self._transport.call(method, path, **said)

    async def post(
        self,
        path: str,
        body: Mapping[str, object],
        key: str | None,
        *,
        view: type[ViewT],
        headers: Mapping[str, str] | None = None,
    ) -> ViewT:
        """Do one act, under an idempotency key: one of its own where none is given."""
        return read_as(view, await self.call("POST", path, body=body, key=key, headers=headers))

    async def read(self, path: str, view: type[ViewT], **query: str) -> ViewT:
        """One look at what a path shows."""
        return read_as(view, await self.call("GET", path, query=query))

    async def raw(self, path: str, accept: str, query: Mapping[str, str] | None = None) -> bytes:
        """One look at what is no JSON, in the media type `accept`."""
        return await self._transport.raw(path, accept, query)

    async def pages(
        self, path: str, page: type[Page[ViewT]], cursor: str | None, *, limit: int, **filters: object
    ) -> AsyncIterator[Page[ViewT]]:
        """A list from `cursor` on, `limit` a page. A filter that is None is none."""
        chosen = {name: str(value) for name, value in filters.items() if value is not None}
        while True:
            query = {**chosen, "limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
            read = await self.read(path, page, **query)
            yield read
            cursor = read.next
            if cursor is None:
                return


def key_or_new(given: str | None) -> str:
    """An idempotency key. Raises `Refused("idempotency_key_malformed")`."""
    if given is None:
        return str(uuid7())
    if not _IDEMPOTENCY_KEY.fullmatch(given):
        raise Refused("idempotency_key_malformed", "1 to 64 of A-Z a-z 0-9 . _ -", status=400)
    return given


def stated(purpose: str) -> dict[str, str]:
    """The header that states a purpose to audit. Raises `Refused("purpose_malformed")`."""
    if not _PURPOSE.fullmatch(purpose):
        raise Refused("purpose_malformed", "8 to 64 letters, digits, spaces and hyphens", status=400)
    return {"Purpose": purpose}


def read_as(view: type[ViewT], answer: JsonValue) -> ViewT:
    """What was answered, read. Raises `ApiProblem("unexpected_answer")` where it is something else."""
    try:
        return view.model_validate(answer)
    except ValidationError:
        raise ApiProblem("unexpected_answer", status=200) from None
