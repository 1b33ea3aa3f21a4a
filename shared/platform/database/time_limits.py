"""Limits of time of a transaction: work that hangs is undone, work that waits for PostgreSQL is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from shared.core.errors import Defect

_Found = TypeVar("_Found")


class TimeLimits:
    """Limits of time of a transaction and its nested steps. A limit begins again when a step within it has ended."""

    def __init__(self) -> None:
        self._open: list[tuple[asyncio.Timeout, float]] = []
        #: Whether a step of the transaction has hung.
        self.has_hung = False
        #: Whether a statement runs, or was interrupted by the end of a limit.
        self.is_waiting = False

    async def wait_for(self, statement: Awaitable[_Found]) -> _Found:
        """Await the database's answer to a statement. A cancellation leaves `is_waiting` true."""
        self.is_waiting = True
        try:
            found = await statement
        except Exception:
            self.is_waiting = False
            raise
        self.is_waiting = False
        return found

    @asynccontextmanager
    async def limit_work(
        self, seconds: float | None, undo: Callable[[], Awaitable[object]], *, on: type[BaseException]
    ) -> AsyncIterator[None]:
        """Run the body for at most these seconds (None: no limit). If it raises `on`, run `undo` and raise it again.

        A body that takes longer raises `TimeoutError` if it is waiting for the database, or else
        `Defect("work_hangs")`: the code waits for something that never comes.
        """
        limit = asyncio.timeout(seconds)
        self._open.append((limit, seconds or 0.0))
        try:
            async with limit:
                yield
        except on:
            waited = self.is_waiting
            await undo()
            if not limit.expired() or waited:
                raise
        else:
            return
        finally:
            self._open.pop()
            for outer, outer_s in self._open:
                if outer.when() is not None and not outer.expired():
                    outer.reschedule(asyncio.get_running_loop().time() + outer_s)
        self.has_hung = True
        raise Defect("work_hangs")
