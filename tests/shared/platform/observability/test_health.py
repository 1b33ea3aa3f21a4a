"""Readiness asks every probe, one run answers many requests, and no probe can break the page."""

from __future__ import annotations

import asyncio

import pytest

from shared.core.errors import Unavailable
from shared.platform.observability.health import CHECKS_VALID_S, Check, ReadinessChecks
from shared.platform.observability.retry_backoff import RetryBackoff


async def fine() -> Check:
    return Check("fine", True)


async def probe_database() -> Check:
    raise Unavailable("database_unavailable")


async def broken() -> Check:
    raise ValueError("hunter2")


async def cancelled() -> Check:
    """A driver that loses its connection may end like this."""
    raise asyncio.CancelledError


async def slow() -> Check:
    await asyncio.sleep(60)
    return Check("slow", True)


async def test_each_probe_says_what_it_found() -> None:
    assert await ReadinessChecks([fine, probe_database, broken, cancelled]).read() == [
        Check("fine", True),
        Check("database", False, "database_unavailable"),
        Check("broken", False, "probe_failed"),
        Check("cancelled", False, "probe_failed"),
    ]


async def test_probes_with_one_name_are_each_asked() -> None:
    probes = [RetryBackoff().check, RetryBackoff().check]
    assert await ReadinessChecks(probes).read() == [Check("rules", True)] * 2


@pytest.mark.timing
async def test_a_probe_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.platform.observability.health.PROBE_TIMEOUT_S", 0.02)
    async with asyncio.timeout(60):
        assert await ReadinessChecks([slow, fine]).read() == [Check("slow", False, "probe_slow"), Check("fine", True)]


@pytest.mark.timing
async def test_a_probe_that_does_not_end_when_cancelled_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its tasks would hold a connection of the pool until the database answers."""
    monkeypatch.setattr("shared.platform.observability.health.PROBE_TIMEOUT_S", 0.02)
    now_s, runs, thawed = 0.0, 0, asyncio.Event()

    async def frozen() -> Check:
        nonlocal runs
        runs += 1
        try:
            await thawed.wait()
        finally:
            await thawed.wait()
        return Check("frozen", True)

    checks = ReadinessChecks([frozen, fine], now_s=lambda: now_s)
    async with asyncio.timeout(60):
        for _ in range(20):
            assert await checks.read() == [Check("frozen", False, "probe_slow"), Check("fine", True)]
            now_s += CHECKS_VALID_S + 0.1
        assert runs == 1
        thawed.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await checks.read() == [Check("frozen", True), Check("fine", True)]
    assert runs == 2


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
