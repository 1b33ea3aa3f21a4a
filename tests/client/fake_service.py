"""A small origin service in memory: keys, references, per-item results and faults, as the HTTP API specifies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.core.ids import uuid7
from shared.core.protocol.acceptance import AcceptedItem, Acceptor
from tests.support.builders import AT

BASE_URL = "https://hotline.example"
KEY = "cw_test_" + "k" * 43

Refusal = tuple[int, str, str | None, str]


def accepts_everything(_: dict[str, Any]) -> Refusal | None:
    return None


@dataclass
class FakeService:
    """An origin service. `refuse` returns the refusal of a submission as (status, code, field, rule), or None.

    `batch_refusal` refuses bodies, and `acceptor`, if given, signs acceptances. `route` is the check result of an
    accepted submission. `events` are the party's feed, and `comes` is called while a request waits there. `canned` has
    the answers of all other paths.
    """

    refuse: Callable[[dict[str, Any]], Refusal | None] = accepts_everything
    batch_refusal: Callable[[list[dict[str, Any]]], Refusal | None] = lambda _: None
    route: Callable[[dict[str, Any]], dict[str, Any]] = lambda _: {}
    acceptor: Acceptor | None = None
    page_size: int = 200
    epoch: UUID = field(default_factory=uuid7)
    events: list[dict[str, Any]] = field(default_factory=list)
    comes: Callable[[], None] = lambda: None
    referrals: dict[str, UUID] = field(default_factory=dict)
    stored: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, tuple[str, int, Any]] = field(default_factory=dict)
    canned: dict[str, tuple[int, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any, dict[str, str]]] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/referrals", self._list, methods=["GET"]),
                Route("/v1/referrals", self._submit, methods=["POST"]),
                Route("/v1/referrals:batch", self._batch, methods=["POST"]),
                Route("/v1/referrals:check", self._check, methods=["POST"]),
                Route("/v1/events", self._events, methods=["GET"]),
                Route("/v1/{rest:path}", self._echo, methods=["GET", "POST", "DELETE"]),
            ]
        )

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app))

    async def _submit(self, request: Request) -> Response:
        body = await self._received(request)
        return self._once(request, body, lambda: self._one(body))

    async def _batch(self, request: Request) -> Response:
        body = await self._received(request)
        refusal = self.batch_refusal(body["referrals"])
        if refusal is not None:
            return problem(*refusal)
        return self._once(request, body, lambda: (200, {"results": self._each(body["referrals"])}))

    async def _check(self, request: Request) -> Response:
        body = await self._received(request)
        refusal = self.batch_refusal(body["referrals"])
        if refusal is not None:
            return problem(*refusal)
        results: list[dict[str, Any]] = []
        for index, referral in enumerate(body["referrals"]):
            refused = self.refuse(referral)
            if refused is None:
                routed = {"state": "routed", "recipients": []} | self.route(referral)
                results.append({"index": index, "ok": True, **routed})
            else:
                item = {"code": refused[1], "field": refused[2], "rule": refused[3]}
                results.append({"index": index, "ok": False, "problem": item})
        return JSONResponse({"results": results})

    async def _list(self, request: Request) -> Response:
        await self._received(request)
        start = int(request.query_params.get("cursor", "0"))
        size = min(int(request.query_params["limit"]), self.page_size)
        ids = list(self.referrals.items())
        items = [
            {"referral_id": str(referral_id), "external_ref": reference, "state": "routed"}
            for reference, referral_id in ids[start : start + size]
        ]
        following = str(start + size) if start + size < len(ids) else None
        return JSONResponse({"items": items, "next": following})

    async def _events(self, request: Request) -> Response:
        await self._received(request)
        asked = request.query_params
        if int(asked["after"]) == len(self.events) and int(asked["wait"]):
            self.comes()
        after, last = int(asked["after"]), len(self.events)
        if asked.get("epoch", str(self.epoch)) != str(self.epoch) or after > last:
            return problem(409, "feed_began_anew", None, "")
        items = self.events[after : after + min(int(asked["limit"]), self.page_size)]
        return JSONResponse({"epoch": str(self.epoch), "last": last, "items": items})

    async def _echo(self, request: Request) -> Response:
        await self._received(request)
        if request.url.path not in self.canned:
            return problem(404, "not_found", None, "")
        status, answer = self.canned[request.url.path]
        return JSONResponse(answer, status_code=status)

    async def _received(self, request: Request) -> Any:
        body = json.loads(await request.body() or b"null")
        self.requests.append((request.method, request.url.path, body, dict(request.headers)))
        return body

    def _once(self, request: Request, body: Any, act: Callable[[], tuple[int, Any]]) -> Response:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return problem(400, "idempotency_key_missing", None, "")
        digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
        if key not in self.answers:
            self.answers[key] = (digest, *act())
        known, status, answer = self.answers[key]
        if known != digest:
            return problem(422, "idempotency_key_reused", None, "")
        return JSONResponse(answer, status_code=status)

    def _each(self, referrals: list[dict[str, Any]]) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        for index, referral in enumerate(referrals):
            status, answer = self._one(referral)
            shown = answer if status == 202 else {"problem": answer}
            results.append({"index": index, "status": status, **shown})
        return results

    def _one(self, referral: dict[str, Any]) -> tuple[int, Any]:
        refused = self.refuse(referral)
        if refused is not None:
            status, code, pointer, rule = refused
            errors = [{"field": pointer, "rule": rule}]
            return status, {"code": code, "field": pointer, "rule": rule, "errors": errors}
        reference = referral["external_ref"]
        if reference in self.referrals:
            return 409, {"code": "external_ref_exists", "referral": f"/v1/referrals/{self.referrals[reference]}"}
        self.referrals[reference] = uuid7()
        self.stored.append(referral)
        signed: dict[str, Any] = {}
        if self.acceptor is not None:
            sent = json.dumps(referral, ensure_ascii=False, separators=(",", ":")).encode()
            item = AcceptedItem(self.referrals[reference], "hotline-fr.example", hashlib.sha256(sent).hexdigest())
            (signed["acceptance"],) = self.acceptor.accept([item], at=AT)
        return 202, signed | {
            "referral_id": str(self.referrals[reference]),
            "revision": 1,
            "state": "routed",
            "work_reason": None,
            "accepted_at": "2026-03-15T12:00:00.000Z",
            "recipients": [],
            "decision": {},
        }


def problem(status: int, code: str, pointer: str | None, rule: str, **extra: Any) -> Response:
    errors = [{"field": pointer, "rule": rule}] if pointer is not None else []
    body = {"type": f"/problems/{code}", "title": "Refused", "status": status, "code": code, "errors": errors, **extra}
    if pointer is not None:
        body["field"] = pointer
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


def referral(number: int, **changes: Any) -> dict[str, Any]:
    """Return a harmless submission. `number` determines its reference."""
    return {
        "external_ref": f"CASE-{number}",
        "exercise": True,
        "incident_kind": "csam",
        "observed_at": "2026-03-15T12:00:00.000Z",
        "media_kind": "image",
        "items": [{"locator": {"kind": "url", "value": f"https://provider-007.example/path/{number}"}}],
        **changes,
    }
