"""Parts of a process: each is restarted after any end, and all end on request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.core.errors import Unavailable
from shared.instance import streams
from shared.instance.streams import run_parts


async def ends() -> None:
    return None


async def fails() -> None:
    raise RuntimeError


async def is_unavailable() -> None:
    raise Unavailable("broker_unavailable")


async def ends_with_a_librarys_cancellation() -> None:
    """Behaves like a client's `stop` that awaits a task it has cancelled."""
    inner = asyncio.ensure_future(asyncio.sleep(60))
    await asyncio.sleep(0)
    inner.cancel()
    await inner


@pytest.mark.timing
@pytest.mark.parametrize("ending", [ends, fails, is_unavailable, ends_with_a_librarys_cancellation])
async def test_a_part_that_ends_is_started_again_and_the_others_go_on(
    ending: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BACK_OFF_S", 0.001)
    starts, again, other_ended = 0, asyncio.Event(), asyncio.Event()

    async def part() -> None:
        nonlocal starts
        starts += 1
        if starts == 3:
            again.set()
            await asyncio.sleep(60)
        await ending()

    async def other() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            other_ended.set()

    running = asyncio.create_task(run_parts({"part": part, "other": other}))
    async with asyncio.timeout(60):
        await again.wait()
    assert not other_ended.is_set()
    running.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait([running])
    assert running.cancelled()
    assert other_ended.is_set()


@pytest.mark.timing
async def test_a_part_that_fails_of_being_told_to_end_is_not_started_again() -> None:
    """A database driver in the middle of a query behaves like this."""
    starts, begun = 0, asyncio.Event()

    async def part() -> None:
        nonlocal starts
        starts += 1
        begun.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            raise RuntimeError from None

    running = asyncio.create_task(run_parts({"part": part}))
    await begun.wait()
    running.cancel()
    await asyncio.wait([running], timeout=60)
    assert running.cancelled()
    assert starts == 1
