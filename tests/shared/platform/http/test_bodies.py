"""A slow body occupies a place of its own key. Other keys' requests and /livez are answered meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request

from shared.core.authority import Role
from shared.platform.admission.budgets import BudgetLimits, Budgets, PlacePool, Principal, Shares
from shared.platform.http import bodies, server
from shared.platform.http.bodies import BODIES
from shared.platform.http.edge import create_app
from shared.platform.http.identity import Identity, identified, unauthenticated
from tests.shared.platform.builders import NOW
from tests.shared.platform.http.test_http import exchanged, served
from tests.shared.platform.http.test_server_bounds import many_files
from tests.support.manual_clock import ManualClock

__all__ = ["many_files"]

pytestmark = pytest.mark.timing

ANNOUNCED = 1_000
PARTIES = {"greedy": "a.example", "other": "b.example"}


class Keys:
    """A table with one key for each of two parties, by its actor."""

    async def identify(self, authorization: str | None) -> Identity:
        actor = (authorization or "").removeprefix("Bearer ")
        if actor not in PARTIES:
            raise unauthenticated()
        return Identity(PARTIES[actor], Role.MACHINE, "hotline", exercise=True, actor=actor)


def app_of(places: PlacePool, *, body_timeout_s: float = 60, requests_per_s: float = 1_000) -> FastAPI:
    routes, budgets = APIRouter(), Budgets(BudgetLimits(requests_per_s, 1e9), ManualClock(NOW))
    who = Depends(identified(Keys(), budgets))  # type: ignore[arg-type]

    @routes.post("/v1/sized", dependencies=[who])
    async def sized(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @routes.post("/v1/open")
    async def open_to_all(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    return create_app("sample", [routes], bodies=places, body_timeout_s=body_timeout_s)


def head(key: str, length: int = 10, *, path: str = "/v1/sized") -> bytes:
    authorization = f"authorization: Bearer {key}\r\n" if key else ""
    return f"POST {path} HTTP/1.1\r\nhost: x\r\n{authorization}content-length: {length}\r\n\r\n".encode()


@asynccontextmanager
async def announcing(port: int, count: int, answers: Counter[bytes], *, pace: int = 50) -> AsyncIterator[None]:
    """Open connections that announce a body and send none of it."""

    async def announce() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head("greedy"))
            said = await reader.read()
            answers[said.split(b" ", 2)[1] if said else b"closed"] += 1
        except OSError:
            answers[b"closed"] += 1
        finally:
            writer.close()

    tasks = []
    try:
        for number in range(count):
            tasks.append(asyncio.create_task(announce()))
            if number % pace == pace - 1:
                await asyncio.sleep(0.001 * pace)  # fewer at a time than may be idle
        yield
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)


async def until_held(places: PlacePool, count: int) -> None:
    async with asyncio.timeout(60):
        while places.held < count:  # noqa: ASYNC110 - a place has no event
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("many_files")
async def test_one_key_that_announces_a_thousand_bodies_stops_no_other_key_and_no_probe() -> None:
    places, answers = bodies.body_places(), Counter[bytes]()
    async with served(app_of(places)) as port, announcing(port, ANNOUNCED, answers):
        await until_held(places, BODIES.of_holder)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for _ in range(10):
                headers = {"authorization": "Bearer other"}
                told = await client.post("/v1/sized", content=b"x" * 10_000, headers=headers)
                assert (told.status_code, told.json()) == (200, {"length": 10_000})
                assert (await client.get("/livez")).status_code == 200
                assert places.of_holder[Principal("a.example", "greedy")] <= BODIES.of_holder
                assert places.held <= BODIES.of_holder + 1
                assert places.waiting <= BODIES.waiting
        async with asyncio.timeout(60):
            while answers[b"429"] + answers[b"closed"] < ANNOUNCED - BODIES.of_holder:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert answers.keys() <= {b"429", b"closed"}
        assert answers[b"429"] > answers[b"closed"]
        assert places.of_holder == {Principal("a.example", "greedy"): BODIES.of_holder}
    assert places.held == 0


@pytest.mark.usefixtures("many_files")
async def test_without_shares_it_would_stop_them() -> None:
    """Negative control: the same attack on a pool that gives one key every place."""
    places = PlacePool("bodies", Shares(of_holder=10_000, of_party=10_000, of_instance=10_000))
    async with (
        served(app_of(places)) as port,
        announcing(port, ANNOUNCED - 50, Counter()),
        announcing(port, 100, Counter(), pace=1),
        httpx.AsyncClient(timeout=60) as client,
    ):
        assert (await client.get(f"http://127.0.0.1:{port}/livez")).status_code == 503


async def test_a_refusal_names_the_budget_and_ends_the_connection() -> None:
    places, answers = PlacePool("bodies", Shares(1, 1, 1)), Counter[bytes]()
    async with served(app_of(places)) as port, announcing(port, 1, answers):
        await until_held(places, 1)
        said = (await exchanged(port, head("greedy"))).lower()
        assert said.startswith(b"http/1.1 429 ")
        for field in (b'ratelimit-policy: "bodies";q=1', b"retry-after: 1", b"connection: close"):
            assert field in said


async def test_a_body_that_is_here_with_its_head_needs_no_place() -> None:
    places, answers = PlacePool("bodies", Shares(1, 1, 1)), Counter[bytes]()
    async with served(app_of(places)) as port, announcing(port, 1, answers):
        await until_held(places, 1)
        said = await exchanged(
            port, head("greedy").replace(b"content-length", b"connection: close\r\ncontent-length") + b"x" * 10
        )
    assert said.startswith(b"HTTP/1.1 200 ")


async def test_before_a_key_is_known_the_address_holds_the_place() -> None:
    places = bodies.body_places()
    async with served(app_of(places)) as port:
        asked = asyncio.create_task(exchanged(port, head("", path="/v1/open")))
        await until_held(places, 1)
        assert places.of_holder == {Principal(None, "127.0.0.1"): 1}
        asked.cancel()
        await asyncio.wait([asked])


async def test_a_body_that_drips_is_ended_and_one_at_the_least_rate_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BYTES_PER_S_MIN", 1_000)
    length = 3_000

    async def sent(port: int, part: int, pause_s: float) -> bytes:
        parts = [b"x" * part] * (length // part)
        request = head("other", length).replace(b"content-length", b"connection: close\r\ncontent-length")
        try:
            return await exchanged(port, request, *parts, pause_s=pause_s)
        except OSError:
            return b"closed"

    places = bodies.body_places()
    async with served(app_of(places, body_timeout_s=0.5)) as port:
        dripping, steady = await asyncio.gather(sent(port, 20, 0.1), sent(port, 300, 0.1))
    assert dripping.startswith((b"HTTP/1.1 408 ", b"closed"))
    assert steady.endswith(b'{"length":3000}')
    assert places.held == 0


async def test_a_connection_over_budget_is_told_so_once_a_second_and_not_read_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "OVER_BUDGET_S", 600)
    get = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
    over = head("greedy", 0)
    places = bodies.body_places()
    async with served(app_of(places, requests_per_s=0.5)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(over + over + over + get)
        said = b""
        async with asyncio.timeout(60):
            while said.count(b"HTTP/1.1 ") < 2:
                said += await reader.read(4096)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                said += await reader.read(4096)
        writer.close()
    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 429 ")) == (1, 1)


async def test_a_connection_that_was_over_budget_goes_on_after_its_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "OVER_BUDGET_S", 0.1)
    over, last = head("greedy", 0), b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    async with served(app_of(bodies.body_places(), requests_per_s=0.5)) as port:
        said = await exchanged(port, over + over + over, last, pause_s=0.3)
    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 429 ")) == (2, 2)
