"""Dear work beside the event loop: step by step in a thread, which rests after each.

A thread shares the interpreter's lock with the loop: while it computes, whatever the loop wakes for waits for it, many
times for one answer. While it rests, others come through: dear filings take a third of a core, however many come.
"""

from __future__ import annotations

from asyncio import sleep, to_thread
from collections.abc import Callable
from functools import partial
from time import thread_time
from typing import Final, TypeVar

#: For how many times as long as a processor worked for a step it rests afterwards.
REST: Final = 2

_Made = TypeVar("_Made")


async def beside(step: Callable[[], _Made]) -> _Made:
    """What the step makes. A step should be short, some milliseconds: it is not interrupted."""
    made, took_s = await to_thread(partial(_timed, step))
    await sleep(REST * took_s)
    return made


def _timed(step: Callable[[], _Made]) -> tuple[_Made, float]:
    begun = thread_time()
    return step(), thread_time() - begun
