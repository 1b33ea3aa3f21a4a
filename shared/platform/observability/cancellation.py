"""Cancellation of the running task, restored where a library turned it into another failure, and limits of time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

from shared.core.errors import Defect

#: Seconds in which a database that answers has undone a piece of work.
UNDONE_S: Final = 1.0


def raise_if_cancelling() -> None:
    """Raise `CancelledError` if the running task was asked to end.

    A driver in the middle of a rollback turns a cancellation into an error of its own.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError


@asynccontextmanager
async def undone_after(
    seconds: float | None, undo: Callable[[], Awaitable[object]], *, on: type[BaseException]
) -> AsyncIterator[None]:
    """Run the body for at most these seconds (None: no limit). An error of type `on` is raised further after `undo`.

    If the body takes longer, raises `Defect("work_hangs")` when `undo` ends at once: then the code waits for something
    that never comes. Otherwise the database keeps it waiting, and `TimeoutError` is raised.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except on:
        began_s = monotonic()
        await undo()
        if not limit.expired() or monotonic() - began_s > UNDONE_S:
            raise
    else:
        return
    raise Defect("work_hangs")
