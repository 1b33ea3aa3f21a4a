"""Kills under load: processes and servers are ended by `kill -9`, one after the other, with messages in transit."""

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

#: A kill happens only while at least this many messages are unacknowledged.
IN_FLIGHT_MIN: Final = 200
#: A burst begins only below this number. Otherwise the queue would only grow on a slow machine.
IN_FLIGHT_MAX: Final = 2_000
PATIENCE_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One fault: its kind, process, time after the start, and the number of unacknowledged messages at that time."""

    how: str
    target: str
    pid: int
    after_s: float
    in_flight: int

    def __str__(self) -> str:
        return f"{self.after_s:7.2f} s  {self.how:<6}  {self.target:<16} pid {self.pid:<8} in flight {self.in_flight}"


@dataclass(frozen=True, slots=True)
class Blow:
    """A planned fault: kill `target`, or freeze it for `frozen_s`."""

    target: str
    frozen_s: float = 0.0


def rounds(targets: Sequence[str], count: int, seed: int) -> list[Blow]:
    """Return `count` kills in a seeded order, with nearly the same number for each target."""
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
    """Apply all faults, each during a burst of posts from `wanted`. Return the applied faults."""
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
    """Apply the fault to the target, and return when it works again."""
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
    """Return the next posts that together have at least `referrals` referrals, or the remaining ones."""
    burst: list[Post] = []
    while sum(len(post.referrals) for post in burst) < referrals and (post := next(wanted, None)) is not None:
        burst.append(post)
    return burst


async def _until_in_flight(exchange: SplitExchange, wanted: Callable[[int], bool]) -> int:
    """Wait until the number of unacknowledged messages is as wanted; return that number."""
    deadline = monotonic() + PATIENCE_S
    while True:
        in_flight: int | None = None
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # the database was killed before
            in_flight = await exchange.unacknowledged()
        if in_flight is not None and wanted(in_flight):
            return in_flight
        assert monotonic() < deadline, f"{in_flight} messages are unacknowledged, and that does not change"
        await asyncio.sleep(0.02)
