"""Readiness asks every probe, one run answers many requests, and no probe can take the page down."""

from __future__ import annotations

import asyncio

import pytest

from shared.kernel.errors import Unavailable
from shared.runtime.watch.health import CHECKS_VALID_S, Check, ReadinessChecks, readiness


async def fine() -> Check:
    return Check("fine", True)


async def probe_database() -> Check:
    raise Unavailable("database_unavailable")


async def broken() -> Check:
    raise ValueError("hunter2")


async def slow() -> Check:
    await asyncio.sleep(60)
    return Check("slow", True)


async def test_each_probe_says_what_it_found() -> None:
    assert await readiness([fine, probe_database, broken]) == [
        Check("fine", True),
        Check("database", False, "database_unavailable"),
        Check("broken", False, "probe_failed"),
    ]


@pytest.mark.timing
async def test_a_probe_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.runtime.watch.health.PROBE_TIMEOUT_S", 0.02)
    async with asyncio.timeout(60):
        assert await readiness([slow, fine]) == [Check("slow", False, "probe_slow"), Check("fine", True)]


@pytest.mark.timing
async def test_a_probe_that_does_not_end_when_cancelled_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.runtime.watch.health.PROBE_TIMEOUT_S", 0.02)
    thawed = asyncio.Event()

    async def frozen() -> Check:
        try:
            await thawed.wait()
        finally:
            await thawed.wait()
        return Check("frozen", True)

    async with asyncio.timeout(60):
        assert await readiness([frozen, fine]) == [Check("frozen", False, "probe_slow"), Check("fine", True)]
    thawed.set()


async def test_many_requests_are_answered_by_one_run_that_none_of_them_ends() -> None:
    now_s, runs, release = 0.0, 0, asyncio.Event()

    async def counted() -> Check:
        nonlocal runs
        runs += 1
        await release.wait()
        return Check("counted", runs == 1)

    checks = ReadinessChecks([counted], now_s=lambda: now_s)
    first, *others = (asyncio.create_task(checks.read()) for _ in range(200))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    release.set()
    assert await asyncio.gather(*others) == [[Check("counted", True)]] * 199
    now_s = CHECKS_VALID_S
    assert (await checks.read(), runs) == ([Check("counted", True)], 1)
    now_s += 0.1
    assert (await checks.read(), runs) == ([Check("counted", False)], 2)
