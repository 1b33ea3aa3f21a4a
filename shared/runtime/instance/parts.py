"""The parts of a running instance: api, relay, consumer, documents … each restarted alone, none ended by another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from shared.kernel.errors import CausewayError, Unavailable
from shared.runtime.watch.cancellation import raise_if_cancelling
from shared.runtime.watch.logs import log
from shared.runtime.watch.watchdog import end_tasks

BACK_OFF_S: Final = 0.5
BACK_OFF_S_MAX: Final = 10.0

Part = Callable[[], Awaitable[None]]


async def run_parts(parts: Mapping[str, Part]) -> None:
    """Run all parts until cancelled. A part that fails is reported and started again; the others go on."""
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(_kept_running(name, part), name=name)


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends or fails, then end the others. The process ends if one of these does not."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        await end_tasks(tasks)
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(has: Callable[[], object]) -> None:
    """Wait until it no longer raises `Unavailable`."""
    while True:
        try:
            has()
            return
        except Unavailable:
            await asyncio.sleep(0.1)


async def _kept_running(name: str, part: Part) -> None:
    back_off_s = BACK_OFF_S
    while True:
        try:
            await part()
            log("part_failed", part=name, code="part_ended")
        except asyncio.CancelledError:
            raise_if_cancelling()
            # Not ours: a library ended with the cancellation of a task of its own.
            log("part_failed", part=name, code="part_cancelled")
        except CausewayError as error:
            log("part_failed", part=name, code=error.code)
        except Exception as error:  # reported by name only: its text may quote what it was given
            log("part_failed", part=name, error=type(error).__name__)
        raise_if_cancelling()
        await asyncio.sleep(back_off_s)
        back_off_s = min(back_off_s * 2, BACK_OFF_S_MAX)
