"""The watchdog: a blocked loop and a task that does not end both end the process, and nothing else does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.core.errors import Unavailable
from shared.instance.streams import first_of
from shared.platform.database.failure_isolation import apart_from_others
from shared.platform.observability import health
from shared.platform.observability.health import EXIT_CODE, LoopWatch, end_tasks

pytestmark = pytest.mark.timing

ROOT = Path(__file__).parents[4]


class Ended:
    """Replaces the end of the process."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __call__(self, code: str, part: str) -> None:
        self.calls.append((code, part))


async def turns_for_ever() -> None:
    """A part whose rollback turns each cancellation into `Unavailable`, which its turn reports."""
    while True:
        async with apart_from_others("slots"):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise Unavailable("database_unavailable") from None
        await asyncio.sleep(0.01)


async def fails_at_once() -> None:
    await asyncio.sleep(0)
    raise Unavailable("database_unavailable")


async def test_a_part_ends_whose_rollback_turned_its_cancellation_into_a_failure() -> None:
    async with asyncio.timeout(50):
        with pytest.raises(Unavailable):
            await first_of(fails_at_once(), turns_for_ever())


async def test_a_task_that_swallows_one_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Ended()
    monkeypatch.setattr(health, "end_process", ended)
    monkeypatch.setattr(health, "TICK_S", 0.01)
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 3:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end_tasks([task])
    assert (task.cancelled(), swallowed, ended.calls) == (True, 3, [])


async def test_a_task_that_never_ends_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Ended()
    monkeypatch.setattr(health, "end_process", ended)
    monkeypatch.setattr(health, "TICK_S", 0.01)
    release = asyncio.Event()

    async def hangs() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(hangs(), name="relay")
    await asyncio.sleep(0)
    await end_tasks([task], within_s=0.1)
    assert ended.calls == [("task_not_ended", "relay")]
    release.set()
    await task


async def test_a_blocked_loop_is_noticed_and_a_busy_one_is_not() -> None:
    ended = Ended()
    watch = asyncio.create_task(LoopWatch(blocked_s=2.0, tick_s=0.02, end=ended).run())
    for _ in range(20):
        await asyncio.sleep(0.01)
        time.sleep(0.02)  # noqa: ASYNC251 - the loop is busy on purpose
    assert ended.calls == []
    time.sleep(4.0)  # noqa: ASYNC251 - the loop is blocked on purpose
    assert ended.calls == [("loop_blocked", "loop")]
    watch.cancel()
    await asyncio.wait([watch])


async def test_a_call_that_keeps_the_interpreter_busy_is_noticed_when_it_returns() -> None:
    ended = Ended()
    watch = asyncio.create_task(LoopWatch(blocked_s=1.0, tick_s=0.02, end=ended).run())
    await asyncio.sleep(0.1)
    until = time.process_time() + 2.0
    while time.process_time() < until:
        sum(range(3_000_000))
    time.sleep(0.1)  # noqa: ASYNC251 - the thread has its turn before the loop
    assert ended.calls == [("loop_blocked", "loop")]
    watch.cancel()
    await asyncio.wait([watch])


_BLOCKED = """
import asyncio, time
from shared.platform.observability.logs import configure_logs
from shared.platform.observability.health import LoopWatch

async def main():
    watch = asyncio.create_task(LoopWatch(blocked_s=0.5, tick_s=0.05).run())
    await asyncio.sleep(0.1)
    time.sleep(30)

configure_logs(instance="hotline-a")
asyncio.run(main())
"""


def test_a_process_with_a_blocked_loop_ends_with_its_own_exit_code_and_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _BLOCKED], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == EXIT_CODE
    lines = (ended.stdout + ended.stderr).splitlines()
    assert ['"event":"process_ended"' in line.replace(" ", "") for line in lines] == [True]
