"""Dear work beside the event loop: step by step in a thread, which rests after each.

A thread shares the interpreter's lock with the loop: while it computes, whatever the loop wakes for waits for it, many
times for one answer. While it rests, others come through: dear filings take a third of a core, however many come.
"""

from __future__ import annotations

from asyncio import sleep, to_thread
from collections.abc import Callable, Iterator
from functools import partial
from time import thread_time
from typing import Final, TypeVar

#: For how many times as long as a processor worked for a step it rests afterwards.
REST: Final = 2
#: How long a processor works for several little steps before they rest; seconds.
TOGETHER_S: Final = 0.003

_Made = TypeVar("_Made")


async def beside(step: Callable[[], _Made]) -> _Made:
    """What the step makes. It should be short, some milliseconds: it is not interrupted. Failed ones rest, too."""
    worked_s: list[float] = []
    try:
        return await to_thread(partial(_timed, step, worked_s))
    finally:
        await sleep(REST * sum(worked_s))


async def beside_each(steps: Iterator[_Made]) -> list[_Made]:
    """What all these little steps make, some of them at a time."""
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
