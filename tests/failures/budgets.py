"""One party far over its budget, and a hundred connections that never finish a request: other parties are not affected.

python -m tests.failures.budgets [--seconds 60]   prints figures; exit code 1 unless the others' p99 stays within 2 x
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.failures.exhaustion import memory_kib
from tests.failures.greedy import ask_elsewhere
from tests.failures.load import Post, Sender, quantile
from tests.failures.split import PROCESSES, SplitExchange, split_exchange
from tests.support.driver import BURST_S
from tests.support.running import referral

#: A run in which the greedy party reached less than this share of its rate proves nothing.
REACHED: Final = 0.9
#: Each party's budget in requests per second. The greedy party asks for `EXCESS` times that.
PER_S: Final = 5.0
EXCESS: Final = 20
SETTINGS: Final = {"REQUESTS_PER_S": str(PER_S)}
GREEDY: Final = "hotline-be.example"
OTHERS: Final = ("hotline-nl.example", "hotline-de.example", "hotline-fi.example", "hotline-fr.example")
#: The rate of all other parties together.
OTHERS_PER_S: Final = 10.0
SLOW_CONNECTIONS: Final = 100
#: Endless requests: one whose head never ends, and one of a known party whose body never comes.
_SLOW_HEAD: Final = "POST /v1/referrals HTTP/1.1\r\nHost: intake.example\r\nX-Slow: "
_SLOW_BODY: Final = (
    "POST /v1/referrals HTTP/1.1\r\nHost: intake.example\r\nAuthorization: Bearer {key}\r\n"
    "Idempotency-Key: slow\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
)
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Excess:
    """The greedy party's results, and the effect on others. `others_after` has no greedy party and shows the noise."""

    greedy_statuses: Counter[int]
    greedy_told_to_wait: bool
    greedy_elapsed_s: float
    greedy_asked_s: float
    others_before: Sender
    others_during: Sender
    others_after: Sender
    memory_before_kib: int
    memory_after_kib: int

    @property
    def times_over(self) -> float:
        """Return the greedy party's real request rate as a multiple of its budget."""
        return self.greedy_statuses.total() / self.greedy_elapsed_s / PER_S

    @property
    def grantable(self) -> float:
        """Return the number of requests that a budget of `PER_S`, full at the start, grants in that time."""
        return PER_S * (BURST_S + self.greedy_elapsed_s)

    @property
    def due(self) -> float:
        """Return the minimum that it grants, because the last answers may have taken long."""
        return PER_S * (BURST_S + self.greedy_asked_s)

    def p99_s(self) -> tuple[float, float, float]:
        """Return the others' p99 before, during and after, in seconds."""
        before, during, after = (
            quantile(each.tally.answered_s, 0.99)
            for each in (self.others_before, self.others_during, self.others_after)
        )
        return before, during, after

    def lines(self) -> Iterator[str]:
        before, during, after = self.p99_s()
        yield (
            f"greedy party, {self.times_over:.1f} x its budget for {self.greedy_elapsed_s:.1f} s: "
            f"{dict(self.greedy_statuses)}, grantable {self.grantable:.0f}"
        )
        yield f"others: {dict(self.others_during.tally.statuses)}, none without an answer"
        yield (
            f"others' p99: before {before * 1000:.0f} ms, during {during * 1000:.0f} ms, "
            f"after (quiet again) {after * 1000:.0f} ms"
        )
        yield f"memory of the API process: {self.memory_before_kib} KiB before, {self.memory_after_kib} KiB after"


async def one_party_over_its_budget(exchange: SplitExchange, *, seconds: float) -> Excess:
    """Measure the others for `seconds` each: before, during and after the greedy party's requests."""
    async with AsyncExitStack() as senders:
        before, during, after = [
            await senders.enter_async_context(Sender(exchange, withdrawn_share=0)) for _ in range(3)
        ]
        turns = int(OTHERS_PER_S * seconds)
        for sender in (before, during, after):
            await sender.send_paced(_of_others(10), OTHERS_PER_S)  # caches warm, connections open
            sender.tally.answered_s.clear()
            sender.tally.statuses.clear()
        await before.send_paced(_of_others(turns), OTHERS_PER_S)
        memory_before_kib = memory_kib(exchange.processes["api"].pid)
        access = exchange.parties[GREEDY]
        asking = asyncio.create_task(ask_elsewhere(access.url, access.key, per_s=EXCESS * PER_S, seconds=seconds))
        await during.send_paced(_of_others(turns), OTHERS_PER_S)
        greedy = await asking
        memory_after_kib = memory_kib(exchange.processes["api"].pid)
        await after.send_paced(_of_others(turns), OTHERS_PER_S)
    return Excess(
        greedy_statuses=greedy["statuses"],
        greedy_told_to_wait=greedy["told_to_wait"],
        greedy_elapsed_s=greedy["elapsed_s"],
        greedy_asked_s=greedy["asked_s"],
        others_before=before,
        others_during=during,
        others_after=after,
        memory_before_kib=memory_before_kib,
        memory_after_kib=memory_after_kib,
    )


@asynccontextmanager
async def slow_connections(exchange: SplitExchange) -> AsyncIterator[asyncio.Future[list[bytes]]]:
    """Open `SLOW_CONNECTIONS` that send a head or a body byte by byte and never finish; yield their final answers."""
    address = urlsplit(exchange.endpoints.http["hotline"])
    keys = [party.key for party in exchange.parties.values() if party.url == exchange.endpoints.http["hotline"]]
    opened = [await asyncio.open_connection(address.hostname, address.port) for _ in range(SLOW_CONNECTIONS)]
    for index, (_, writer) in enumerate(opened):
        writer.write((_SLOW_BODY if index % 2 else _SLOW_HEAD).format(key=keys[index // 2 % len(keys)]).encode())
    answers = asyncio.gather(*(reader.readline() for reader, _ in opened))

    async def drip() -> None:
        while True:
            await asyncio.sleep(1.0)
            for reader, writer in opened:
                if not (reader.at_eof() or writer.is_closing()):
                    writer.write(b"x")

    dripping = asyncio.create_task(drip())
    try:
        yield answers
    finally:
        dripping.cancel()
        for _, writer in opened:
            writer.close()


def _of_others(wanted: int) -> Iterator[Post]:
    for turn in range(wanted):
        reference = f"other-{next(_numbers)}"
        yield Post(OTHERS[turn % len(OTHERS)], reference, (referral(external_ref=reference),))


def main() -> int:
    """Run it. Return exit code 1 unless the others' p99 stays within 2 x, and the greedy party reached its rate."""
    arguments = argparse.ArgumentParser(description="One party 20 x over its budget.")
    arguments.add_argument("--seconds", type=float, default=60.0)
    given = arguments.parse_args()

    async def run(exchange: SplitExchange) -> Excess:
        await exchange.start(*PROCESSES)
        return await one_party_over_its_budget(exchange, seconds=given.seconds)

    with tempfile.TemporaryDirectory() as state, split_exchange(Path(state), settings=SETTINGS) as exchange:
        excess = asyncio.run(run(exchange))
    print(*excess.lines(), sep="\n")
    before, during, _ = excess.p99_s()
    return int(during > 2 * before or excess.times_over < REACHED * EXCESS)


if __name__ == "__main__":
    sys.exit(main())
