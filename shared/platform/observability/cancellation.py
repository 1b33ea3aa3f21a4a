"""Cancellation of the running task, restored where a library turned it into another failure."""

from __future__ import annotations

import asyncio


def raise_if_cancelling() -> None:
    """Raise `CancelledError` if the running task was asked to end.

    A driver in the middle of a rollback turns a cancellation into an error of its own.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() > 0:
        raise asyncio.CancelledError
