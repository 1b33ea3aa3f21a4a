"""The rounds of sample parties: their start, their frequency, and their number at once."""

from __future__ import annotations

import asyncio

import pytest

from client.problem import ApiProblem
from deploy.sandbox import party_agents as rounds
from deploy.sandbox.party_agents import AgentScheduler, RunStatistics
from shared.core.errors import Unavailable


class Told(BaseException):
    """Ends the rounds in a test."""


class Scripted:
    """A desk whose waits end as scripted."""

    def __init__(self, *waits: bool | Exception) -> None:
        self._waits = list(waits)
        self.thorough: list[bool] = []
        self.anew = 0

    async def wait_for_event(self, wait_s: int) -> bool:
        assert wait_s == rounds.WAIT_S
        if not self._waits:
            raise Told
        wait = self._waits.pop(0)
        if isinstance(wait, Exception):
            raise wait
        return wait

    async def look(self, *, thoroughly: bool) -> None:
        self.thorough.append(thoroughly)

    def begin_anew(self) -> None:
        self.anew += 1


async def paused(desk: Scripted) -> tuple[list[float], RunStatistics]:
    pauses: list[float] = []
    tally = RunStatistics()

    async def sleep(pause_s: float) -> None:
        pauses.append(pause_s)

    with pytest.raises(BaseExceptionGroup) as ended:
        await AgentScheduler(tally, sleep=sleep).attend({"police-nl.example": desk})
    assert ended.group_contains(Told)
    return pauses[1:], tally


async def test_a_party_looks_when_it_has_heard_of_something_and_gathers_what_comes_meanwhile() -> None:
    desk = Scripted(True, False, True, False)
    pauses, _ = await paused(desk)
    assert desk.thorough == [True, False]
    assert pauses == [rounds.PAUSE_S] * 4


async def test_a_service_that_is_away_is_no_end_and_is_counted() -> None:
    failing = Scripted(True, *[Unavailable("server_unreachable")] * 8, ApiProblem("unauthenticated", status=401), True)
    pauses, tally = await paused(failing)
    assert tally.counts()["problems"] == {"server_unreachable": 8, "unauthenticated": 1}
    assert failing.anew == 9
    assert pauses[1:-1] == sorted(pauses[1:-1])
    assert pauses[-2:] == [rounds.PAUSE_S_MAX, rounds.PAUSE_S]
    assert failing.thorough == [True, True]


async def test_no_more_than_sixteen_parties_look_at_once() -> None:
    present, most = 0, 0

    class Busy(Scripted):
        async def wait_for_event(self, wait_s: int) -> bool:
            return True

        async def look(self, *, thoroughly: bool) -> None:
            nonlocal present, most
            present += 1
            most = max(most, present)
            for _ in range(5):
                await asyncio.sleep(0)
            present -= 1

    desks = {str(number): Busy() for number in range(60)}
    task = asyncio.ensure_future(AgentScheduler(RunStatistics(), sleep=lambda _: asyncio.sleep(0)).attend(desks))
    for _ in range(300):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert most == rounds.LOOKS_AT_ONCE_MAX


async def test_every_tenth_look_is_thorough_and_who_hears_of_nothing_looks_too() -> None:
    desk, silent = Scripted(*[True] * 21), Scripted(True, *[False] * 19)
    await paused(desk)
    assert [number for number, thorough in enumerate(desk.thorough) if thorough] == [0, 10, 20]
    await paused(silent)
    assert silent.thorough == [True, True]
