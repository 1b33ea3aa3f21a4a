"""Where stories are played: the doors of the parties, over HTTP, and time."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import httpx
from pydantic import JsonValue

from client.api import CausewayClient
from client.problem import ApiProblem
from client.timeline import Entry, timeline_of
from client.views import EdgeView

#: So many seconds an issue slot lasts where stories are played: what nobody holds any more goes at once.
ISSUE_SLOT_S: Final = "1"


class Answer(NamedTuple):
    """What an act was answered with: `code` of a refusal, else the body."""

    status: int
    code: str | None
    body: Mapping[str, JsonValue]


class Stage(Protocol):
    """What a player needs of an exchange."""

    async def post(self, party: str, path: str, body: JsonValue, *, revision: int | None = None) -> Answer:
        """An act of a party, answered whatever with; `revision` is the one that it follows."""

    async def edges(self, origin: str, referral_id: UUID) -> Sequence[EdgeView]:
        """To whom a referral went."""

    async def timeline(self, party: str, subject: UUID) -> Sequence[Entry]:
        """What has happened to it, as the party sees it; nothing of what it does not know."""

    async def work(self, party: str) -> Mapping[UUID, Sequence[tuple[UUID, int]]]:
        """The work items of a provider, and of each the notices and numbers of what is open."""

    async def listed(self, party: str, subject: UUID) -> Sequence[str]:
        """What the party's list of what needs a person says of it: `REASONS CODE MEND`."""


@dataclass(frozen=True, slots=True)
class Access:
    """A party's way in."""

    url: str
    key: str


@asynccontextmanager
async def over_http(access: Mapping[str, Access]) -> AsyncIterator[HttpStage]:
    """The stage of an exchange that runs: party → its way in."""
    async with httpx.AsyncClient(trust_env=False, timeout=30.0) as http:
        yield HttpStage(access, http)


@dataclass(frozen=True, slots=True)
class HttpStage:
    """An exchange that runs, and the ways in of its parties."""

    access: Mapping[str, Access]
    #: One for all parties: each would read all the authorities of this system.
    http: httpx.AsyncClient

    async def post(self, party: str, path: str, body: JsonValue, *, revision: int | None = None) -> Answer:
        access = self.access[party]
        headers = {"Authorization": f"Bearer {access.key}", "Idempotency-Key": secrets.token_hex(16)}
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        answer = await self.http.post(access.url + path, json=body, headers=headers)
        found = answer.json()
        return Answer(answer.status_code, found.get("code") if answer.is_error else None, found)

    async def edges(self, origin: str, referral_id: UUID) -> Sequence[EdgeView]:
        async with self._client(origin) as client:
            return (await client.show(referral_id)).edges

    async def timeline(self, party: str, subject: UUID) -> Sequence[Entry]:
        async with self._client(party) as client:
            try:
                return await timeline_of(client, subject)
            except ApiProblem as problem:
                if problem.code != "not_found":
                    raise
                return ()

    async def work(self, party: str) -> Mapping[UUID, Sequence[tuple[UUID, int]]]:
        async with self._client(party) as client:
            found = [each async for page in client.work_items() for each in page.items]
        return {each.work_item: [(item.notice_id, item.n) for item in each.items] for each in found}

    async def listed(self, party: str, subject: UUID) -> Sequence[str]:
        async with self._client(party) as client:
            rows = [row async for page in client.attention() for row in page.items if row.subject == subject]
        return sorted(" ".join(filter(None, (*row.reasons, row.code, row.clock, row.mend))) for row in rows)

    def _client(self, party: str) -> CausewayClient:
        access = self.access[party]
        return CausewayClient(access.url, access.key, http=self.http)
