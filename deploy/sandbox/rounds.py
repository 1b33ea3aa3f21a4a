"""Many parties in one process: each waits at its feed, and looks in when something has come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from client.problem import ApiProblem
from deploy.sandbox.tally import Tally
from shared.kernel.errors import Unavailable

#: What comes within a pause is dealt with at once, many in one request.
PAUSE_S: Final = 1.0
WAIT_S: Final = 20
#: After what went wrong a party waits longer each time.
PAUSE_S_MAX: Final = 10.0
LOOKS_AT_ONCE_MAX: Final = 16
#: Every so many looks one is thorough, the first included; and whoever heard of nothing for so many waits looks, too.
THOROUGH_EVERY: Final = 10


class Attended(Protocol):
    """A party's place of work."""

    async def look(self, *, thoroughly: bool) -> None:
        """Deal with what is new."""

    async def comes(self, wait_s: int) -> bool:
        """Whether something comes within so many seconds by which there may be something to do."""

    def begin_anew(self) -> None:
        """Take nothing for known that was learnt before something went wrong."""


class Rounds:
    """When each party looks in. At most 16 look at a time; all may wait."""

    def __init__(self, tally: Tally, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._tally = tally
        self._sleep = sleep
        self._at_once = asyncio.Semaphore(LOOKS_AT_ONCE_MAX)

    async def attend(self, desks: Mapping[str, Attended]) -> None:
        """Attend all desks until cancelled. An act that is cut off by the end is done, or repeated, by the next run."""
        async with asyncio.TaskGroup() as group:
            for number, (party, desk) in enumerate(desks.items()):
                # Spread over the first pause, so that two hundred parties do not come in one burst.
                group.create_task(self._attend(party, desk, first_pause_s=PAUSE_S * number / len(desks)))

    async def _attend(self, party: str, desk: Attended, *, first_pause_s: float) -> None:
        pause_s, looks, waits = first_pause_s, 0, 0
        while True:
            await self._sleep(pause_s)
            try:
                waits += 1
                came = await desk.comes(WAIT_S)
                if came or waits >= THOROUGH_EVERY:
                    async with self._at_once:
                        await desk.look(thoroughly=not came or looks % THOROUGH_EVERY == 0)
                    looks, waits = looks + 1, 0
                pause_s = PAUSE_S
            except (ApiProblem, Unavailable) as error:
                self._tally.met(party, error.code)
                desk.begin_anew()
                pause_s, looks = min(max(pause_s, PAUSE_S) * 1.5, PAUSE_S_MAX), 0
