"""Cancellation of the running task, restored where a library turned it into another failure."""

from __future__ import annotations

import asyncio


def is_cancelling() -> bool:
    """Return whether the running task was asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def raise_if_cancelling() -> None:
    """Raise `CancelledError` if the running task was asked to end.

    A driver in the middle of a rollback turns a cancellation into an error of its own.
    """
    if is_cancelling():
        raise asyncio.CancelledError
