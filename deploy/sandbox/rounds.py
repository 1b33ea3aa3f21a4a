"""Many parties in one process: each looks in often while there is news and seldom while there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from client.problem import ApiProblem
from deploy.sandbox.desks import Desk
from deploy.sandbox.tally import Tally
from shared.kernel.errors import Unavailable

PAUSE_S_MIN = 1.0
PAUSE_S_MAX = 10.0
LOOKS_AT_ONCE_MAX = 16
#: Every so many looks one is thorough, the first included.
THOROUGH_EVERY = 10


async def attend(desks: Mapping[str, Desk], tally: Tally, *, pause_s_max: float = PAUSE_S_MAX) -> None:
    """Attend all desks until cancelled. An act that is cut off by the end is done, or repeated, by the next run."""
    at_once = asyncio.Semaphore(LOOKS_AT_ONCE_MAX)
    async with asyncio.TaskGroup() as group:
        for number, (party, desk) in enumerate(desks.items()):
            # Spread over the first pause, so that two hundred parties do not come in one burst.
            delay_s = PAUSE_S_MIN * number / len(desks)
            group.create_task(_attend(party, desk, tally, at_once=at_once, delay_s=delay_s, pause_s_max=pause_s_max))


async def _attend(
    party: str, desk: Desk, tally: Tally, *, at_once: asyncio.Semaphore, delay_s: float, pause_s_max: float
) -> None:
    pause_s, looks = PAUSE_S_MIN, 0
    await asyncio.sleep(delay_s)
    while True:
        try:
            async with at_once:
                news = await desk.look(thoroughly=looks % THOROUGH_EVERY == 0)
            looks += 1
        except ApiProblem as problem:
            tally.met(party, problem.code)
            news = False
        except Unavailable as error:
            tally.met(party, error.code)
            news = False
        pause_s = PAUSE_S_MIN if news else min(pause_s * 1.5, pause_s_max)
        await asyncio.sleep(pause_s)
