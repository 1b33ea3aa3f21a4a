"""Who is not known yet: what anybody can make up is looked up a few at a time, behind a queue that has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from shared.kernel.errors import Unavailable

#: Keys, links and sessions not seen before are free to make up: so many are looked up at a time, and so many may wait.
LOOK_UPS_MAX: Final = 2
WAITING_MAX: Final = 100

_Found = TypeVar("_Found")


class Strangers:
    """The queue of one door."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(LOOK_UPS_MAX)
        self._waiting = 0

    async def look_up(self, look: Callable[[], Awaitable[_Found]]) -> _Found:
        """What `look` finds, in its turn. Raises `Unavailable("identity_busy")` where too many wait."""
        if self._waiting >= WAITING_MAX:
            raise Unavailable("identity_busy")
        self._waiting += 1
        try:
            async with self._turns:
                return await look()
        finally:
            self._waiting -= 1
