"""An event loop in virtual time: sleeping takes no time, and the same coroutines always run in the same order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _NoSelector:
    """There is no input or output: when nothing is ready, time moves on to the next timer."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("every task waits for something that nobody will do")
        self._loop.virtual_s += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Timers only. `virtual_s` are the seconds since the loop was made."""

    def __init__(self) -> None:
        super().__init__()
        self.virtual_s = 0.0
        self._selector = _NoSelector(self)
        # Timers less than this apart are run together; two of our instants never are.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.virtual_s

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody outside needs to wake this loop."""


class LoopClock:
    """The virtual time as the `Clock` of everything that runs in the loop."""

    def __init__(self, loop: VirtualLoop, start: datetime) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.virtual_s)


def run_virtual(loop: VirtualLoop, main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run `main` to its end, then end what it left running."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        # In the order in which they were made, not in that of a set.
        left = sorted(asyncio.all_tasks(loop), key=lambda task: (len(task.get_name()), task.get_name()))
        for task in left:
            task.cancel()
        for task in left:
            try:
                loop.run_until_complete(task)
            except (asyncio.CancelledError, Exception):  # noqa: S112 - it is over; what went wrong was seen before
                continue
        asyncio.set_event_loop(None)
        loop.close()
