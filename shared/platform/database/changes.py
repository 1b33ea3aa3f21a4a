"""The pauses of loops that look for due rows: short after a change of the database, longer while it is idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from shared.platform.observability.health import until_turn

#: Seconds after a change until the longer pauses begin: longer than any delay by which messages are gathered.
IDLE_AFTER_S: Final = 15.0
#: The longer pauses: of loops that otherwise pause for less than 5 s, and of the others.
IDLE_PAUSES_S: Final = 5.0, 15.0


class Changes:
    """The time of the last change that this process knows of: its own commits, and notifications of other processes.

    `hears_others`: other processes notify this one now. Until then, it cannot know that the database is idle.
    """

    def __init__(self, *, hears_others: bool = False) -> None:
        self.hears_others = hears_others
        self._last_s = monotonic()
        self._noted = asyncio.Event()
        #: Called at each change: it wakes the relay of this process.
        self.wake: Callable[[], None] = lambda: None

    def note(self) -> None:
        """Note a change, and end the longer pauses."""
        self._last_s = monotonic()
        self._noted.set()
        self.wake()

    def is_idle(self) -> bool:
        """Return whether the last change is `IDLE_AFTER_S` ago, and every later one would be known."""
        return self.hears_others and monotonic() - self._last_s >= IDLE_AFTER_S

    async def pause(self, pause_s: float) -> None:
        """Sleep `pause_s`. While the database is idle, sleep longer, but at most `pause_s` after the next change.

        The longer pauses of all loops end together, because each wake-up of a process costs time.
        """
        if not self.is_idle():
            await asyncio.sleep(pause_s)
            return
        self._noted.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(until_turn(IDLE_PAUSES_S[pause_s >= IDLE_PAUSES_S[0]])):
                await self._noted.wait()
                await asyncio.sleep(pause_s)
