"""Readiness asks every probe, and no probe can take the page down."""

from __future__ import annotations

import asyncio

import pytest

from shared.kernel.errors import Unavailable
from shared.runtime.watch.health import Check, readiness


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
