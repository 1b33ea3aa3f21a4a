"""A recipient that is down for long: its sender is ready, others are published as before, nothing is sent twice.

    python -m tests.failures.recipient_down [--rows 200000]    prints figures; exit code 1 unless it all holds

Half-way the recipient gets another key to open with, which the other half is sealed to. At the end retention takes half
of what waited in the topic, before the recipient has looked: marks bring it again, to a process that starts with both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from shared.exchange.topics import inbox_topic
from shared.kernel.clock import SystemClock
from tests.failures.delivered import (
    appended_twice,
    bounds_of,
    delays_s,
    filings,
    forget,
    records,
    rows,
    to_an_agency,
)
from tests.failures.load import Sender, quantile
from tests.journeys.parties import operated
from tests.support.frozen import freeze, thaw
from tests.support.running import Exchange, running_exchange, until

DOWN: Final = "law_enforcement"
OTHERS: Final = ("hotline", "industry")
TOPIC: Final = inbox_topic(DOWN, "hotline")
PER_S: Final = 10.0
TOGETHER: Final = 100
RATIO_MAX: Final = 1.5
DELIVERED_S_MAX: Final = 3000.0
_BACKLOG: Final = """
SELECT count(*) FROM outbox JOIN lane USING (lane) WHERE lane = $1 AND NOT done AND position <= appended
"""
_PLACED: Final = "SELECT 1 FROM document WHERE digest = $1"
_APPLIED: Final = "SELECT count(*) FROM inbox WHERE sender_instance = 'hotline' AND outcome = 'applied'"


@dataclass(frozen=True, slots=True)
class Down:
    """What a sender did while a recipient was down, and what the recipient had in the end. Seconds are medians."""

    backlog: int
    ready: Counter[int]
    others_before_s: float
    others_during_s: float
    copies_while_held: int
    #: Of the records in its topic, those that open with the key alone that was made meanwhile.
    sealed_anew: int
    forgotten: int
    delivered: int
    expected: int

    @property
    def ratio(self) -> float:
        return self.others_during_s / self.others_before_s

    def lines(self) -> Iterator[str]:
        yield (
            f"{self.backlog} unreceipted: others' 202 → published p50 {self.others_before_s * 1000:.0f} ms before, "
            f"{self.others_during_s * 1000:.0f} ms during, {self.ratio:.2f} x; /readyz {dict(self.ready)}"
        )
        yield (
            f"copies while the log had them {self.copies_while_held}; {self.sealed_anew} sealed to the key made "
            f"meanwhile; {self.forgotten} then taken by retention; delivered {self.delivered} of {self.expected}"
        )


async def recipient_down(exchange: Exchange, *, backlog: int, seconds: float, long: bool) -> Down:
    """Build up a backlog for a recipient that stands still, measure the others, and let it go on.

    `long`: it stands still for as long as retention and the rotation of its key take, and is killed and started again.
    """
    pid = exchange.processes[DOWN].pid
    assert pid is not None
    turns, ready, key_id = int(PER_S * seconds), Counter[int](), ""
    async with Sender(exchange, withdrawn_share=0) as sender:
        await sender.send_paced(filings(int(PER_S)), PER_S)  # caches warm, connections open
        await exchange.until_quiet()
        already, copies = await _applied(exchange), await appended_twice(exchange, TOPIC)
        before = await _published(exchange, sender, turns)
        await exchange.until_quiet()
        freeze(pid)
        try:
            await sender.send(to_an_agency(backlog // 2, together=TOGETHER))
            if long:
                key_id = await _give_another_key(exchange)
            await sender.send(to_an_agency(backlog - backlog // 2, together=TOGETHER))
            await until(lambda: _has_backlog(exchange, backlog), seconds_max=DELIVERED_S_MAX)
            watching = asyncio.create_task(_watch(exchange, ready))
            during = await _published(exchange, sender, turns)
            watching.cancel()
            await asyncio.wait([watching])
            copies = await appended_twice(exchange, TOPIC) - copies
            sealed_anew = await _sealed_to(exchange, key_id) if long else 0
            forgotten = await _forget_half(exchange) if long else 0
        finally:
            if long:
                await asyncio.to_thread(_start_again, exchange)
            else:
                thaw(pid)
        await exchange.until_quiet(DELIVERED_S_MAX)
    return Down(
        backlog=backlog,
        ready=ready,
        others_before_s=before,
        others_during_s=during,
        copies_while_held=copies,
        sealed_anew=sealed_anew,
        forgotten=forgotten,
        delivered=await _applied(exchange) - already,
        expected=backlog + 2 * turns,
    )


async def _give_another_key(exchange: Exchange) -> str:
    """What is sealed for the recipient from now on opens with a key that its process has not read yet; its id."""
    made = await asyncio.to_thread(operated, exchange, "key", "make", DOWN, "seal")
    directory = json.loads((exchange.state / "directory.json").read_text())
    directory["version"] += 1
    [instance] = [each for each in directory["instances"] if each["id"] == DOWN]
    instance["keys"].append(made["entry"])
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(directory, file)
        file.flush()
        published = await asyncio.to_thread(operated, exchange, "directory", "publish", file.name)
    await until(lambda: rows(exchange, "hotline", _PLACED, published["digest"]))
    return str(made["entry"]["key_id"])


async def _sealed_to(exchange: Exchange, key_id: str) -> int:
    return sum(f".{key_id}.".encode() in (each.value or b"") for each in await records(exchange, TOPIC))


def _start_again(exchange: Exchange) -> None:
    exchange.processes[DOWN].kill()
    exchange.serve(DOWN)
    exchange.wait_ready(DOWN)


async def _published(exchange: Exchange, sender: Sender, turns: int) -> float:
    """The median of how long what is filed now takes until the broker has it for the others."""
    begun = SystemClock().now()
    await sender.send_paced(filings(turns), PER_S)

    async def there() -> bool:
        found = await delays_s(exchange, begun, published=True)
        return all(len(found.get(name, ())) == turns for name in OTHERS)

    await until(there)
    found = await delays_s(exchange, begun, published=True)
    return quantile([each for name in OTHERS for each in found[name]], 0.5)


async def _watch(exchange: Exchange, ready: Counter[int]) -> None:
    async with httpx.AsyncClient(base_url=exchange.endpoints.http["hotline"], trust_env=False, timeout=30) as http:
        while True:
            ready[(await http.get("/readyz")).status_code] += 1
            await asyncio.sleep(0.2)


async def _has_backlog(exchange: Exchange, wanted: int) -> bool:
    return bool((await rows(exchange, "hotline", _BACKLOG, DOWN))[0][0] >= wanted)


async def _applied(exchange: Exchange) -> int:
    return int((await rows(exchange, DOWN, _APPLIED))[0][0])


async def _forget_half(exchange: Exchange) -> int:
    """Have retention take the older half of what the recipient has not read; how many records that were."""
    [cursor] = await rows(exchange, DOWN, "SELECT following FROM topic_cursor WHERE topic = $1", TOPIC)
    unread = (await bounds_of(exchange, TOPIC)).end - int(cursor[0])
    await forget(exchange, TOPIC, int(cursor[0]) + unread // 2)
    return unread // 2


def main() -> int:
    """Exit code 1 unless the sender stayed ready, the others within 1.5 x, nothing was copied and all was delivered."""
    arguments = argparse.ArgumentParser(description="A recipient that is down for long.")
    arguments.add_argument("--rows", type=int, default=200_000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as state, running_exchange(Path(state)) as exchange:
        down = asyncio.run(recipient_down(exchange, backlog=given.rows, seconds=30, long=True))
    print(*down.lines(), sep="\n")
    kept = down.ratio <= RATIO_MAX and set(down.ready) == {200} and down.copies_while_held == 0
    return int(not (kept and down.sealed_anew and down.delivered == down.expected))


if __name__ == "__main__":
    sys.exit(main())
