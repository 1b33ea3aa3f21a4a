"""Kills under load: processes and servers are ended by `kill -9`, one after the other, with messages on their way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final

import asyncpg

from tests.failures.load import Post, Sender
from tests.failures.split import SplitExchange

#: Nothing is killed unless at least that many messages are unacknowledged at that moment.
IN_FLIGHT_MIN: Final = 200
#: No burst begins while more are: on a slow machine senders would only build up what recipients must work off.
IN_FLIGHT_MAX: Final = 2_000
PATIENCE_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One blow: how, which process, when after the start, and how many messages were unacknowledged then."""

    how: str
    target: str
    pid: int
    after_s: float
    in_flight: int

    def __str__(self) -> str:
        return f"{self.after_s:7.2f} s  {self.how:<6}  {self.target:<16} pid {self.pid:<8} in flight {self.in_flight}"


@dataclass(frozen=True, slots=True)
class Blow:
    """What is to be done: kill `target`, or freeze it for `frozen_s`."""

    target: str
    frozen_s: float = 0.0


def rounds(targets: Sequence[str], count: int, seed: int) -> list[Blow]:
    """`count` kills in which each target comes as often as the others, give or take one, in a seeded order."""
    drawn = random.Random(seed)
    blows: list[Blow] = []
    while len(blows) < count:
        blows += [Blow(target) for target in drawn.sample(list(targets), len(targets))]
    return blows[:count]


async def kill_through(
    exchange: SplitExchange,
    sender: Sender,
    wanted: Iterator[Post],
    *,
    blows: Sequence[Blow],
    referrals_per_blow: int,
    seed: int,
    say: Callable[[str], None],
) -> list[Kill]:
    """Deal all blows, each into a burst of posts of its own, which takes from `wanted`. Returns what was done."""
    drawn, began = random.Random(seed), monotonic()
    kills: list[Kill] = []
    async with exchange.watched():
        for blow in blows:
            await _until_in_flight(exchange, lambda messages: messages <= IN_FLIGHT_MAX)
            burst = asyncio.create_task(sender.send(burst_of(wanted, referrals_per_blow)))
            in_flight = await _until_in_flight(exchange, lambda messages: messages >= IN_FLIGHT_MIN)
            after_s = monotonic() - began
            pid = await _strike(exchange, blow, drawn)
            kills.append(Kill("freeze" if blow.frozen_s else "kill", blow.target, pid, after_s, in_flight))
            say(str(kills[-1]))
            await burst
    return kills


async def _strike(exchange: SplitExchange, blow: Blow, drawn: random.Random) -> int:
    """Hurt the target, and return once it works again."""
    if blow.frozen_s:
        pid = exchange.pause(blow.target)
        await asyncio.sleep(blow.frozen_s)
        exchange.resume(blow.target)
        return pid
    pid = await exchange.kill(blow.target)
    await asyncio.sleep(drawn.uniform(0.0, 0.5))
    await exchange.start(blow.target)
    return pid


def burst_of(wanted: Iterator[Post], referrals: int) -> list[Post]:
    """The next posts that together have at least so many referrals, or what is left."""
    burst: list[Post] = []
    while sum(len(post.referrals) for post in burst) < referrals and (post := next(wanted, None)) is not None:
        burst.append(post)
    return burst


async def _until_in_flight(exchange: SplitExchange, wanted: Callable[[int], bool]) -> int:
    """Wait until the number of unacknowledged messages is as wanted; that number."""
    deadline = monotonic() + PATIENCE_S
    while True:
        in_flight: int | None = None
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # the database was killed before
            in_flight = await exchange.unacknowledged()
        if in_flight is not None and wanted(in_flight):
            return in_flight
        assert monotonic() < deadline, f"{in_flight} messages are unacknowledged, and that does not change"
        await asyncio.sleep(0.02)
