"""The edge: limits, time-outs, headers and problems, on the application and on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request

from shared.core.authority import Role
from shared.core.codes import ERRORS
from shared.core.contracts.base import Contract
from shared.core.errors import Defect, Refused, Unavailable, not_found
from shared.core.guard.envelope_limits import BODY_BYTES_MAX
from shared.platform.admission.budgets import BudgetLimits, Budgets
from shared.platform.http.bodies import BATCH_BODY_BYTES_MAX
from shared.platform.http.edge import SECURITY_HEADERS, create_app, read_json, read_model
from shared.platform.http.identity import Identity, identified
from shared.platform.http.openapi import shows
from shared.platform.http.server import serve_http
from shared.platform.observability import telemetry
from shared.platform.observability.health import Check
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock
from tests.support.ports import free_port

JSON = {"content-type": "application/json"}


class Posted(Contract):
    number: int


class StubKeys:
    """A table with one key."""

    async def identify(self, authorization: str | None) -> Identity:
        if authorization != "Bearer known":
            raise Refused("unauthenticated", status=401)
        return Identity("a.example", Role.ANALYST, "hotline", exercise=True, actor="0a" * 16)


def router(budgets: Budgets) -> APIRouter:
    routes = APIRouter()
    identity = Depends(identified(StubKeys(), budgets))  # type: ignore[arg-type]

    @routes.post("/v1/things", **shows(Posted, takes=[Posted]))
    @routes.post("/v1/things:batch", **shows(Posted, takes=[Posted]))
    async def post(request: Request) -> dict[str, int]:
        return {"number": read_model(Posted, await read_json(request)).number}

    @routes.post("/v1/guarded")
    async def guarded(request: Request, who: Any = identity) -> dict[str, Any]:
        return {"party": who.party, "length": len(await request.body())}

    @routes.post("/v1/sized:batch")
    async def sized(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @routes.post("/v1/things/{thing}:do", **shows(Posted))
    async def do(thing: str) -> dict[str, int]:
        return {"number": len(thing)}

    @routes.get("/v1/things/{thing}")
    async def get(thing: str) -> None:
        raise not_found()

    @routes.get("/v1/things")
    async def listed(limit: int = Query(50, ge=1, le=200)) -> dict[str, int]:
        return {"limit": limit}

    @routes.get("/v1/mine")
    async def mine(limit: int = Query(50, ge=1, le=200), who: Any = identity) -> dict[str, int]:
        return {"limit": limit}

    @routes.get("/v1/fails/{how}")
    async def fails(how: str) -> dict[str, str | None]:
        errors = {"defect": Defect("inner"), "bug": ValueError("hunter2"), "away": Unavailable("database_unavailable")}
        raise errors[how]

    @routes.get("/v1/trace")
    async def traced() -> dict[str, str | None]:
        return {"traceparent": telemetry.current_traceparent()}

    return routes


async def probe_bus() -> Check:
    return Check("bus", False, "no_partitions")


async def probe_documents() -> Check:
    return Check("documents", True)


def app_of(*probes: Any, limits: BudgetLimits | None = None, **options: Any) -> FastAPI:
    budgets = Budgets(limits or BudgetLimits(1000, 10_000_000), ManualClock(NOW))
    return create_app("sample", [router(budgets)], probes=probes, **options)


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service.example")


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[int]:
    """Return the port of a real server."""
    port = free_port()
    task = asyncio.create_task(serve_http(app, "127.0.0.1", port))
    async with asyncio.timeout(60):
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            except OSError:
                await asyncio.sleep(0.02)
    try:
        yield port
    finally:
        task.cancel()
        await asyncio.wait([task])


async def exchanged(port: int, *parts: bytes, pause_s: float = 0) -> bytes:
    """Return all that the server answers on one connection until it closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


async def chunks(total: int, size: int = 8192) -> AsyncIterator[bytes]:
    for _ in range(total // size):
        yield b"x" * size


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("content", "headers", "expected"),
    [
        (b'{"number":7}', {}, (415, "body_content_type")),
        (b"{", JSON, (400, "body_not_json")),
        (b'{"number":"secret"}', JSON, (422, "fields_invalid")),
        (b"x" * (BODY_BYTES_MAX + 1), JSON, (413, "body_too_large")),
    ],
)
async def test_a_bad_body_is_a_problem_with_a_code_and_without_its_values(
    content: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    async with client_of(app_of()) as client:
        answer = await client.post("/v1/things", content=content, headers=headers)
    assert code_of(answer) == expected
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


async def test_a_body_of_unannounced_length_is_bounded_while_it_comes() -> None:
    async with client_of(app_of()) as client:
        answer = await client.post("/v1/things", content=chunks(BODY_BYTES_MAX * 2), headers=JSON)
    assert code_of(answer) == (413, "body_too_large")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(("length", "status"), [(BATCH_BODY_BYTES_MAX, 200), (BATCH_BODY_BYTES_MAX + 1, 413)])
async def test_a_batch_may_weigh_as_much_as_its_items_together(length: int, status: int) -> None:
    async with client_of(app_of()) as client:
        answer = await client.post("/v1/sized:batch", content=b"x" * length)
    assert answer.status_code == status


async def test_what_is_absent_is_answered_like_what_is_not_yours() -> None:
    async with client_of(app_of()) as client:
        answers = [await client.get(path) for path in ("/v1/things/a", "/v1/things/b", "/v1/nothing", "/x")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize(
    ("method", "path", "expected", "header"),
    [
        ("DELETE", "/v1/things/a", (405, "method_not_allowed"), ("allow", "GET")),
        ("DELETE", "/v1/things", (405, "method_not_allowed"), ("allow", "GET, POST")),
        ("GET", "/v1/things/a:do", (405, "method_not_allowed"), ("allow", "POST")),
        ("GET", "/v1/fails/away", (503, "database_unavailable"), ("retry-after", "2")),
    ],
    ids=[
        "no such method",
        "no such method of two routes",
        "the address of an act is none of its subject",
        "unavailable",
    ],
)
async def test_a_refusal_says_what_to_do_instead(
    method: str, path: str, expected: tuple[int, str], header: tuple[str, str]
) -> None:
    async with client_of(app_of()) as client:
        answer = await client.request(method, path)
        assert (await client.post("/v1/things/a:do")).json() == {"number": 1}
    assert code_of(answer) == expected
    assert header in answer.headers.items()


async def test_a_bad_parameter_is_a_problem_that_names_it_and_not_its_value() -> None:
    async with client_of(app_of()) as client:
        answer = await client.get("/v1/things?limit=hunter2")
    assert code_of(answer) == (400, "parameter_invalid")
    assert answer.json()["field"] == "/query/limit"
    assert answer.json()["errors"] == [{"field": "/query/limit", "rule": "int_parsing"}]
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("how", ["defect", "bug"])
async def test_a_failure_of_ours_is_a_plain_500_and_a_line_with_the_request_id(
    how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with client_of(app_of()) as client:
        answer = await client.get(f"/v1/fails/{how}")
    assert code_of(answer) == (500, "internal_error")
    (line,) = [json.loads(each) for each in capfd.readouterr().err.splitlines() if "request_failed" in each]
    assert line["request_id"] == answer.headers["request-id"]
    assert line["route"] == "/v1/fails/{how}"
    assert "hunter2" not in answer.text + json.dumps(line)
    assert "inner" not in answer.text


@pytest.mark.parametrize("path", ["/livez", "/v1/nothing", "/v1/fails/bug", "/v1/things"])
async def test_every_answer_has_the_security_headers_and_an_id_of_its_own(path: str) -> None:
    async with client_of(app_of()) as client:
        first, second = await client.get(path), await client.get(path)
    assert all(first.headers[name.decode()] == value.decode() for name, value in SECURITY_HEADERS)
    assert first.headers["request-id"] != second.headers["request-id"]


async def test_the_type_of_a_problem_can_be_asked_for_without_a_key() -> None:
    async with client_of(app_of()) as client:
        problem = (await client.get("/v1/fails/away")).json()
        why = await client.get(problem["type"])
        assert (await client.get("/problems/no_such_code")).status_code == 404
    assert why.json() == {"code": "database_unavailable"} | ERRORS["database_unavailable"]._asdict()
    assert problem["remedy"] == why.json()["remedy"]


async def test_a_parameter_that_the_route_does_not_have_is_refused_once_the_key_opens() -> None:
    async with client_of(app_of()) as client:
        client.headers["authorization"] = "Bearer known"
        right = await client.get("/v1/mine?limit=3")
        wrong = await client.get("/v1/mine?limit=3&limt=4")
        body = await client.post("/v1/guarded?limit=3", json={})
        stranger = await client.get("/v1/mine?limt=4", headers={"authorization": "Bearer unknown"})
    assert right.json() == {"limit": 3}
    assert code_of(wrong) == (400, "parameter_invalid")
    assert wrong.json()["errors"] == [{"field": "/query/limt", "rule": "unknown_parameter", "expected": "one of limit"}]
    assert body.json()["errors"][0]["expected"] == "no parameter"
    assert code_of(stranger) == (401, "unauthenticated")


async def test_readiness_lists_what_is_not_ready() -> None:
    async with client_of(app_of(probe_bus, probe_documents)) as client:
        unready = await client.get("/readyz")
    async with client_of(app_of(probe_documents)) as client:
        ready = await client.get("/readyz")
    assert (unready.status_code, ready.status_code) == (503, 200)
    assert unready.json()["checks"][0] == {"name": "bus", "ok": False, "reason": "no_partitions"}


@pytest.mark.timing
async def test_without_a_key_the_body_is_not_waited_for() -> None:
    head = b"POST /v1/guarded HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
    async with served(app_of()) as port:
        answer = await exchanged(port, head)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b'"code":"unauthenticated"' in answer
    assert b"www-authenticate: Bearer" in answer


async def test_a_party_over_its_budget_is_told_so_before_any_work() -> None:
    app = app_of(limits=BudgetLimits(requests_per_s=0.5, bytes_per_s=1000))
    async with client_of(app) as client:
        headers = {"authorization": "Bearer known"}
        passed = await client.post("/v1/guarded", content=b"x", headers=headers)
        refused = await client.post("/v1/guarded", content=b"x", headers=headers)
    assert passed.json() == {"party": "a.example", "length": 1}
    assert code_of(refused) == (429, "budget_exceeded")
    assert refused.headers["ratelimit-reset"] == refused.headers["retry-after"] == "2"


async def test_a_body_of_unannounced_length_is_charged_with_the_most_it_may_be() -> None:
    app = app_of(limits=BudgetLimits(requests_per_s=1000, bytes_per_s=BODY_BYTES_MAX / 2))
    async with client_of(app) as client:
        headers = {"authorization": "Bearer known"}
        answers = [await client.post("/v1/guarded", content=chunks(8192), headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]


async def test_a_request_has_a_trace_of_its_own_that_links_to_the_one_it_came_with(tmp_path: Path) -> None:
    spans = tmp_path / "spans.jsonl"
    telemetry.configure_telemetry(instance="edges", sampling_ratio=0, spans_file=spans)
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    async with client_of(app_of()) as client:
        traced = await client.get("/v1/trace", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
        untraced = await client.get("/v1/trace")
    telemetry.close_telemetry()
    assert trace_id not in traced.json()["traceparent"]
    assert f'"links":[{{"traceId":"{trace_id}"' in spans.read_text().replace(" ", "")
    assert untraced.json()["traceparent"] is None


@pytest.mark.timing
async def test_a_client_that_sends_its_body_too_slowly_is_cut_off_with_408() -> None:
    head = b"POST /v1/things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n"
    async with served(app_of(body_timeout_s=0.2)) as port:
        answer = await exchanged(port, head, b'{"num')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in answer


@pytest.mark.timing
@pytest.mark.parametrize("begun", [b"", b"GET /livez HTTP/1.1\r\nhost: x\r\nx: y"])
async def test_a_client_that_never_ends_its_head_is_cut_off(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(app_of()) as port:
        monkeypatch.setattr("shared.platform.http.server.HEAD_TIMEOUT_S", 0.2)
        answer = await exchanged(port, begun)
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.timing
async def test_the_second_request_of_a_connection_is_bounded_like_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(app_of()) as port:
        monkeypatch.setattr("shared.platform.http.server.HEAD_TIMEOUT_S", 1.0)
        answer = await exchanged(port, b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /livez HT", pause_s=0.1)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answer
