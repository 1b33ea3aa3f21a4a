"""Probes and metrics have a listener of their own, which answers while the event loop is blocked."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx
import pytest

from shared.core.errors import Unavailable
from shared.platform.http import probes
from shared.platform.http.probes import PLACES, serve_probes
from shared.platform.observability.health import Check, LoopWatch, ReadinessChecks
from tests.shared.platform.http.test_http import app_of, client_of, code_of

Ask = Callable[[str], Awaitable[httpx.Response]]


async def measure() -> None:
    raise Unavailable("database_unavailable")


async def probe_bus() -> Check:
    return Check("bus", False, "no_partitions")


@asynccontextmanager
async def listening(watch: LoopWatch) -> AsyncIterator[tuple[Ask, int]]:
    """Run a listener; yield what asks it from another thread, and its port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    read = ReadinessChecks([probe_bus]).read
    serving = asyncio.create_task(serve_probes("127.0.0.1", port, watch, read=read, measure=measure))
    await asyncio.sleep(0)

    async def ask(path: str) -> httpx.Response:
        return await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}{path}", timeout=60)

    try:
        yield ask, port
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def test_the_metrics_are_shown_although_no_gauge_can_be_set_and_not_to_parties() -> None:
    async with client_of(app_of()) as client, listening(LoopWatch()) as (ask, _):
        await client.get("/v1/things/secret-id")
        assert code_of(await client.get("/metrics")) == (404, "not_found")
        metrics, ready, alive = [await ask(path) for path in ("/metrics", "/readyz", "/livez")]
        assert [each.status_code for each in (metrics, ready, alive)] == [200, 503, 200]
        assert 'causeway_http_requests_total{method="GET",route="/v1/things/{thing}",status="404"}' in metrics.text
        assert "secret-id" not in metrics.text
        assert ready.json()["checks"] == [{"name": "bus", "ok": False, "reason": "no_partitions"}]
        assert [(await ask(path)).status_code for path in ("/openapi.json", "/v1/things")] == [404, 404]


@pytest.mark.timing
async def test_a_blocked_loop_is_told_while_it_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "TAKE_S", 0.5)
    watch = LoopWatch(blocked_s=1.0, tick_s=0.05, end=lambda *_: None)
    running = asyncio.create_task(watch.run())
    async with listening(watch) as (ask, port):
        assert (await ask("/livez")).json() == {"alive": True}

        def ask_until_dead() -> tuple[int, str, int]:
            url = f"http://127.0.0.1:{port}"
            while (alive := httpx.get(f"{url}/livez", timeout=60)).status_code == 200:
                time.sleep(0.1)
            ready, metrics = [httpx.get(f"{url}{path}", timeout=60) for path in ("/readyz", "/metrics")]
            return alive.status_code, ready.json()["checks"][0]["reason"], metrics.status_code

        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask_until_dead)
            assert asking.result(60) == (503, "loop_busy", 200), "this call blocks the loop"
        await asyncio.sleep(0.2)
        assert (await ask("/livez")).json() == {"alive": True}
    running.cancel()
    await asyncio.wait([running])


async def test_clients_that_send_slowly_or_nothing_keep_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes.ProbeHandler, "timeout", 600)
    async with listening(LoopWatch()) as (ask, port):
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(PLACES + 1)]
        for _, writer in slow:
            writer.write(b"GET /livez HTTP/1.1\r\n")
        # A further connection ends the oldest, without a wait for its time limit.
        assert await asyncio.wait_for(slow[0][0].read(), 60) == b""
        assert (await ask("/livez")).status_code == 200
        for _, writer in slow:
            writer.close()
