"""The recipients' side of the HTTP API in memory: inboxes and notices with their states, keys and faults."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.client.fake_service import problem

AT = "2026-03-15T12:00:00.000Z"
#: Act → (states it may come in, the state it leads to). An outcome leads to `closed` if it closes, an answer to
#: `rejected` if it rejects every item.
MOVES: dict[str, tuple[frozenset[str], str]] = {
    "accept": (frozenset({"offered"}), "accepted"),
    "decline": (frozenset({"offered"}), "declined"),
    "outcome": (frozenset({"accepted", "ongoing"}), "ongoing"),
    "acknowledge": (frozenset({"issued"}), "acknowledged"),
    "answer": (frozenset({"issued", "acknowledged"}), "actioned"),
    "not-ours": (frozenset({"issued", "acknowledged"}), "not_ours"),
    "acknowledge-withdrawal": (frozenset({"withdrawn"}), "withdrawal_acknowledged"),
}


@dataclass
class Item:
    """One offer or notice of one party, newest last."""

    id: UUID
    state: str
    exercise: bool = True


@dataclass
class FakeRecipients:
    """Items by API key. `fault` is asked before each act, with its name, and may raise."""

    items: dict[str, list[Item]] = field(default_factory=dict)
    fault: Callable[[str], None] = lambda _: None
    page_size: int = 200
    acts: list[tuple[str, UUID, dict[str, Any]]] = field(default_factory=list)
    looks: Counter[str] = field(default_factory=Counter)
    _answers: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/inbox", self._list, methods=["GET"]),
                Route("/v1/notices", self._list, methods=["GET"]),
                Route("/v1/{kind}/{act}", self._act, methods=["POST"]),
            ]
        )

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app))

    def states(self, key: str) -> Counter[str]:
        return Counter(item.state for item in self.items[key])

    async def _list(self, request: Request) -> Response:
        state, after = request.query_params["state"], request.query_params.get("cursor")
        self.looks[state] += 1
        newest_first = [*reversed(self.items.get(_key(request), []))]
        # The cursor names an item, not a place: items that leave the list meanwhile move nothing.
        start = 1 + [str(item.id) for item in newest_first].index(after) if after else 0
        chosen = [item for item in newest_first[start:] if item.state == state]
        page = chosen[: self.page_size]
        following = str(page[-1].id) if len(chosen) > self.page_size else None
        notices = request.url.path.endswith("notices")
        return JSONResponse({"items": [_shown(item, notices) for item in page], "next": following})

    async def _act(self, request: Request) -> Response:
        subject, _, act = request.path_params["act"].partition(":")
        body = await request.body()
        idempotency_key = request.headers["Idempotency-Key"]
        self.fault(act)
        if idempotency_key in self._answers:
            known, state = self._answers[idempotency_key]
            if known != body:
                return problem(422, "idempotency_key_reused", None, "")
            return JSONResponse(self._state(request, subject, state), status_code=202)
        item = next((one for one in self.items.get(_key(request), []) if str(one.id) == subject), None)
        if item is None:
            return problem(404, "not_found", None, "")
        allowed, following = MOVES[act]
        if item.state not in allowed:
            return problem(409, "state_forbids", None, "")
        sent = json.loads(body)
        closes = act == "outcome" and sent["outcome"] in ("closed", "conviction")
        rejects = act == "answer" and all("rejection" in said for said in sent["items"])
        item.state = "closed" if closes else "rejected" if rejects else following
        self.acts.append((act, item.id, sent))
        self._answers[idempotency_key] = (body, item.state)
        return JSONResponse(self._state(request, subject, item.state), status_code=202)

    def _state(self, request: Request, subject: str, state: str) -> dict[str, str]:
        name = "notice_id" if request.path_params["kind"] == "notices" else "referral_id"
        return {name: subject, "state": state}


def _key(request: Request) -> str:
    return request.headers["Authorization"].removeprefix("Bearer ")


def _shown(item: Item, notices: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"state": item.state, "exercise": item.exercise}
    if notices:
        return {**shown, "notice_id": str(item.id)}
    offered = {"origin": "hotline-nl.example", "purpose": "investigation", "received_at": AT, "edge": {}}
    return {**shown, **offered, "referral_id": str(item.id)}
