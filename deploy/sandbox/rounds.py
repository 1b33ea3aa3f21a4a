"""Many parties in one process: each looks in often while there is news and seldom while there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from client.problem import ApiProblem
from deploy.sandbox.desks import Desk
from deploy.sandbox.tally import Tally
from shared.kernel.errors import Unavailable

PAUSE_S_MIN = 1.0
PAUSE_S_MAX = 10.0
LOOKS_AT_ONCE_MAX = 16
#: Every so many looks one is thorough, the first included.
THOROUGH_EVERY = 10


class Rounds:
    """When each party looks in. At most 16 look at a time."""

    def __init__(
        self,
        tally: Tally,
        *,
        pause_s_max: float = PAUSE_S_MAX,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._tally = tally
        self._pause_s_max = pause_s_max
        self._sleep = sleep
        self._at_once = asyncio.Semaphore(LOOKS_AT_ONCE_MAX)

    async def attend(self, desks: Mapping[str, Desk]) -> None:
        """Attend all desks until cancelled. An act that is cut off by the end is done, or repeated, by the next run."""
        async with asyncio.TaskGroup() as group:
            for number, (party, desk) in enumerate(desks.items()):
                # Spread over the first pause, so that two hundred parties do not come in one burst.
                group.create_task(self._attend(party, desk, first_pause_s=PAUSE_S_MIN * number / len(desks)))

    async def _attend(self, party: str, desk: Desk, *, first_pause_s: float) -> None:
        await self._sleep(first_pause_s)
        pause_s, looks = PAUSE_S_MIN, 0
        while True:
            news = False
            try:
                async with self._at_once:
                    news = await desk.look(thoroughly=looks % THOROUGH_EVERY == 0)
                looks += 1
            except (ApiProblem, Unavailable) as error:
                self._tally.met(party, error.code)
            pause_s = PAUSE_S_MIN if news else min(pause_s * 1.5, self._pause_s_max)
            await self._sleep(pause_s)
