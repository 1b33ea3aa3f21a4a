"""The recipients' side of the HTTP API in memory: inboxes and notices with their states, keys and faults."""

from __future__ import annotations

import asyncio
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
EPOCH = "019b2d3c-4400-7000-8000-000000000001"
#: Maps an act to (its allowed states, the resulting state). An outcome leads to `closed` if it closes, an answer to
#: `rejected` if it rejects every item.
MOVES: dict[str, tuple[frozenset[str], str]] = {
    "accept": (frozenset({"offered"}), "accepted"),
    "assess": (frozenset({"accepted"}), "in_part"),
    "decline": (frozenset({"offered"}), "declined"),
    "outcome": (frozenset({"accepted", "ongoing"}), "ongoing"),
    "acknowledge": (frozenset({"issued"}), "acknowledged"),
    "answer": (frozenset({"issued", "acknowledged"}), "actioned"),
    "not_ours": (frozenset({"issued", "acknowledged"}), "not_ours"),
    "acknowledge_withdrawal": (frozenset({"withdrawn"}), "withdrawal_acknowledged"),
}
#: Results after which an item of an offer needs no further act.
ENDED = frozenset({"removed", "unavailable", "not_illegal"})


@dataclass
class Item:
    """One offer or notice of one party, newest last."""

    id: UUID
    state: str
    exercise: bool = True


@dataclass
class FakeRecipients:
    """Items by API key, and events. `fault` is called with its name before each act of a batch, and may raise.

    In that case nothing of the batch is done.
    """

    items: dict[str, list[Item]] = field(default_factory=dict)
    fault: Callable[[str], None] = lambda _: None
    page_size: int = 200
    #: The number of readiness checks that fail. Until then the service answers no other request.
    unready: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    #: Withdrawn items that the service retains, with the code that it answers.
    kept: dict[UUID, str] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)
    acts: list[tuple[str, UUID, dict[str, Any]]] = field(default_factory=list)
    looks: Counter[str] = field(default_factory=Counter)
    _answers: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/inbox", self._list, methods=["GET"]),
                Route("/v1/notices", self._list, methods=["GET"]),
                Route("/v1/events", self._events, methods=["GET"]),
                Route("/readyz", self._ready, methods=["GET"]),
                Route("/v1/{kind}:batch", self._batch, methods=["POST"]),
            ]
        )

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app))

    def states(self, key: str) -> Counter[str]:
        return Counter(item.state for item in self.items[key])

    async def _ready(self, _: Request) -> Response:
        self.unready -= (busy := self.unready > 0)
        return Response(status_code=503 if busy else 200)

    async def _list(self, request: Request) -> Response:
        state, after = request.query_params["state"], request.query_params.get("cursor")
        self.looks[state] += 1
        newest_first = [*reversed(self.items.get(_key(request), []))]
        # The cursor names an item instead of a position, so items that leave the list do not shift the next page.
        start = 1 + [str(item.id) for item in newest_first].index(after) if after else 0
        chosen = [item for item in newest_first[start:] if item.state == state]
        page = chosen[: self.page_size]
        following = str(page[-1].id) if len(chosen) > self.page_size else None
        notices = request.url.path.endswith("notices")
        return JSONResponse({"items": [_shown(item, notices) for item in page], "next": following})

    async def _events(self, request: Request) -> Response:
        if self.unready:
            return problem(503, "server_busy", None, "")
        after, wait_s = int(request.query_params["after"]), int(request.query_params["wait"])
        if request.query_params.get("epoch", EPOCH) != EPOCH:
            return problem(409, "feed_began_anew", None, "")
        if wait_s and len(self.events) <= after:
            await asyncio.sleep(0.01)
        limit = int(request.query_params["limit"])
        return JSONResponse({"epoch": EPOCH, "last": len(self.events), "items": self.events[after:][:limit]})

    def tell(self, event: str) -> None:
        """Add an event to the feed, which all parties share here."""
        told = {"number": len(self.events) + 1, "type": event, "subject": EPOCH, "at": AT}
        self.events.append(told)

    async def _batch(self, request: Request) -> Response:
        assert request.headers["Idempotency-Key"]
        lines = (await request.json())["answers"]
        for line in lines:
            self.fault(line["act"])
        self.batches.append(len(lines))
        results = [self._one(_key(request), line) | {"index": place} for place, line in enumerate(lines)]
        return JSONResponse({"results": results})

    def _one(self, party: str, line: dict[str, Any]) -> dict[str, Any]:
        key, (name, subject) = line["key"], next((n, line[n]) for n in ("referral_id", "notice_id") if n in line)
        if key in self._answers:
            known, state = self._answers[key]
            return {"status": 202, name: subject, "state": state} if known == line else _refused(422, "key_reused")
        item = next((one for one in self.items.get(party, []) if str(one.id) == subject), None)
        if item is None:
            return _refused(404, "not_found")
        allowed, following = MOVES[line["act"]]
        if item.state not in allowed:
            return _refused(409, "state_forbids")
        if line.get("fate") == "erased" and item.id in self.kept:
            return _refused(409, self.kept[item.id])
        item.state = _led_to(line) or following
        said = {word: each for word, each in line.items() if word not in ("act", "key", name)}
        self.acts.append((line["act"], item.id, said))
        self._answers[key] = (line, item.state)
        return {"status": 202, name: subject, "state": item.state}


def _led_to(line: dict[str, Any]) -> str | None:
    """Return the state that the content of an act leads to, if it decides that."""
    words = {word for said in line.get("assessed", ()) for word in said.values()}
    if line.get("outcome") in ("closed", "conviction") or words & ENDED:
        return "closed"
    return "rejected" if "items" in line and all("rejection" in said for said in line["items"]) else None


def _refused(status: int, code: str) -> dict[str, Any]:
    return {"status": status, "problem": {"code": code, "title": code, "status": status, "type": f"/problems/{code}"}}


def _key(request: Request) -> str:
    return request.headers["Authorization"].removeprefix("Bearer ")


def _shown(item: Item, notices: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"state": item.state, "exercise": item.exercise}
    if notices:
        return {**shown, "notice_id": str(item.id)}
    offered = {"origin": "hotline-nl.example", "purpose": "investigation", "received_at": AT, "edge": {}}
    return {**shown, **offered, "referral_id": str(item.id)}
