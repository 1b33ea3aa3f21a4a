"""Requests of anonymous clients: equal answers for all of them, and headers that do not parse."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic_core import to_json

from shared.platform.admission.budgets import BudgetLimits, Budgets
from shared.platform.console.frame import ConsoleAccess, Frame
from shared.platform.console.oidc_login import LoginState
from shared.platform.http import openapi
from shared.platform.http.edge import create_app, log_refusal
from shared.platform.observability.health import Check
from shared.platform.observability.logs import REPEATED_MAX, configure_logs
from tests.shared.platform.builders import NOW
from tests.shared.platform.http.test_http import app_of, client_of, router
from tests.support.manual_clock import ManualClock


def console_app() -> FastAPI:
    """Return the sample routes together with the pages of a console without people and with one provider."""
    nobody: Any = NoSignIn()
    gate = ConsoleAccess(nobody, nobody, lambda *_: None, ManualClock(NOW), nobody)
    budgets = Budgets(BudgetLimits(1000, 10_000_000), ManualClock(NOW))
    return create_app("sample", [router(budgets), Frame(gate, "Console", (), folders=()).closed()])


class NoSignIn:
    """Sessions without a person, and a provider of every party."""

    async def identify(self, text: str | None, *, seen: bool = True) -> None:
        return None

    async def sign_in(self, request: Request) -> None:
        return None

    def has(self, party: str) -> bool:
        return True

    async def leave_for(self, coming: LoginState, back: str) -> str:
        return f"https://login.example/?back={back}"


async def test_openapi_is_encoded_once_for_all_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    encodings: list[object] = []

    def count(value: object) -> bytes:
        encodings.append(value)
        return to_json(value)

    monkeypatch.setattr(openapi, "to_json", count)
    async with client_of(app_of()) as client:
        answers = await asyncio.gather(*(client.get("/openapi.json") for _ in range(8)))
        tag = answers[0].headers["etag"]
        unchanged = await client.get("/openapi.json", headers={"If-None-Match": tag})
    assert len(encodings) == 1
    assert {(answer.status_code, answer.headers["etag"]) for answer in answers} == {(200, tag)}
    assert (unchanged.status_code, unchanged.content) == (304, b"")


@pytest.mark.parametrize("header", ["host", "origin"])
@pytest.mark.parametrize(
    "value", ["[", "[::", "[zz]", "a b", "a.example:99999", "a.example:x", "a@b.example", "a/b", "é"]
)
async def test_a_malformed_host_or_origin_is_400(header: str, value: str) -> None:
    value = value if header == "host" else f"https://{value}"
    async with client_of(console_app()) as client:
        for method, path in (
            ("GET", "/v1/things"),
            ("POST", "/console/in/link"),
            ("GET", "/console/sign-in/a.example"),
        ):
            answer = await client.request(method, path, headers=[(header.encode(), value.encode("latin-1"))])
            assert (answer.status_code, answer.json()["code"]) == (400, f"{header}_malformed"), (method, path)


@pytest.mark.parametrize("host", ["a.example", "a_b:8000", "127.0.0.1:80", "[::1]:8443"])
async def test_a_well_formed_host_and_origin_pass(host: str) -> None:
    async with client_of(app_of()) as client:
        for origin in ("null", f"https://{host}", "moz-extension://0af76519"):
            answer = await client.get("/v1/things", headers={"Host": host, "Origin": origin})
            assert answer.status_code == 200


async def test_refused_access_is_logged_with_its_source_and_the_rest_of_the_minute_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failed session, a foreign form and a sign-in that did not begin here. Junk of 3,000 sources is bounded."""
    planned: list[Any] = []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda *call: planned.append(call))
    configure_logs(instance="sample", stream=(stream := StringIO()), clock=ManualClock(NOW))
    app = console_app()
    for source, path, method in (
        *[("192.0.2.7", "/console/settings", "GET")] * 30,
        ("192.0.2.8", "/console/in/x", "POST"),
        ("192.0.2.9", "/console/signed-in", "GET"),
        *[("2001:db8:0:1::" + str(host), "/console/settings", "GET") for host in range(1, 4)],
    ):
        await answered(app, source, path, method)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(each["event"], each["source"], each["code"]) for each in lines] == [
        ("access_refused", "192.0.2.7", "401"),
        ("access_refused", "192.0.2.8", "403"),
        ("access_refused", "192.0.2.9", "403"),
        ("access_refused", "2001:db8:0:1::", "401"),
    ]
    for _, write, *arguments in planned[:4]:
        write(*arguments)
    later = [json.loads(line) for line in stream.getvalue().splitlines()][len(lines) :]
    assert [(each["source"], each["count"]) for each in later] == [("192.0.2.7", 29), ("2001:db8:0:1::", 2)]
    for number in range(3_000):
        log_refusal({"client": (f"10.0.{number // 250}.{number % 250}", 1)}, 401)
    assert len(stream.getvalue().splitlines()) - len(lines) == REPEATED_MAX + 1  # with the two later lines


async def answered(app: FastAPI, source: str, path: str, method: str) -> None:
    transport = httpx.ASGITransport(app, client=(source, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.request(method, path)).status_code in (400, 401, 403)


@pytest.mark.timing
async def test_two_hundred_requests_for_readiness_run_the_probes_at_most_twice() -> None:
    runs = 0

    async def probe_counted() -> Check:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.05)
        return Check("counted", True)

    async with client_of(app_of(probe_counted)) as client:
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert runs <= 2
