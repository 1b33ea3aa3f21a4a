"""Expensive work in a worker thread, with a pause after each step.

The worker thread shares the interpreter lock with the event loop. While it computes, the loop's tasks wait for the
lock, many times for one answer. In the pauses they run. So expensive submissions take at most a third of a core.
"""

from __future__ import annotations

from asyncio import sleep, to_thread
from collections.abc import Callable, Iterator
from functools import partial
from time import thread_time
from typing import Final, TypeVar

#: The pause after a step, as a multiple of its processor time.
REST: Final = 2
#: Processor time of several small steps before a pause, in seconds.
TOGETHER_S: Final = 0.003

_Made = TypeVar("_Made")


async def beside(step: Callable[[], _Made]) -> _Made:
    """Run a step in a worker thread, pause, and return its result. A failed step also pauses.

    The step should take only some milliseconds, because it is not interrupted.
    """
    worked_s: list[float] = []
    try:
        return await to_thread(partial(_timed, step, worked_s))
    finally:
        await sleep(REST * sum(worked_s))


async def beside_each(steps: Iterator[_Made]) -> list[_Made]:
    """Run small steps in a worker thread, several at a time, and return all their results."""
    made: list[_Made] = []
    while some := await beside(partial(_some, steps)):
        made += some
    return made


def _timed(step: Callable[[], _Made], worked_s: list[float]) -> _Made:
    begun = thread_time()
    try:
        return step()
    finally:
        worked_s.append(thread_time() - begun)


def _some(steps: Iterator[_Made]) -> list[_Made]:
    begun, made = thread_time(), list[_Made]()
    for each in steps:
        made.append(each)
        if thread_time() - begun > TOGETHER_S:
            break
    return made
