"""A recipient is down for long: its sender is ready, other recipients get messages as before, nothing is sent twice.

    python -m tests.failures.recipient_down [--rows 200000] [--retention]    exit code 1 unless it all holds

Half-way the recipient gets another sealing key, which the other half uses, and its sender another signing key, for
which it restarts. `--retention`: at the end retention deletes half of the waiting records before the recipient reads
them. Its sender goes back and appends them again with the old signatures, in a process that starts with both keys.
While the rest is delivered, others submit, and a referral with a child at risk is sent behind all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from shared.core.clock import SystemClock
from tests.failures.delivered import P0_S_MAX, appended_twice, delays_s, filings, forget, tell_of_p0, to_an_agency
from tests.failures.load import Sender, quantile
from tests.journeys.parties import operated
from tests.support import driver
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import Lane, inbox_topic
from tests.support.frozen import freeze, thaw
from tests.support.running import Exchange, running_exchange, until

SENDER: Final = "hotline"
DOWN: Final = "law_enforcement"
OTHERS: Final = ("hotline", "industry")
TOPIC: Final = inbox_topic(DOWN, SENDER)
PER_S: Final = 10.0
TOGETHER: Final = 100
#: Maximum slowdown of messages to others, and of answers to submissions while the backlog is delivered.
RATIO_MAX, INTAKE_RATIO_MAX = 1.1, 1.5
DRAINED_PER_S_MIN: Final = 1_500
DELIVERED_S_MAX: Final = 3000.0


class Keys(NamedTuple):
    """The ids of the keys that were made meanwhile: the recipient's sealing key, and its sender's signing key."""

    opening: str
    signing: str


class Held(NamedTuple):
    """The sender's work while its recipient was paused. Seconds are medians."""

    ready: Counter[int]
    others_s: float
    copies: int
    #: The records in its topic that are sealed to the new key only.
    sealed_anew: int
    #: The records that its sender has signed with a new key.
    signed_anew: int
    forgotten: int


@dataclass(frozen=True, slots=True)
class Down:
    """The sender's work before and during the outage of a recipient, and the recipient's final state."""

    backlog: int
    others_before_s: float
    held: Held
    delivered: int
    expected: int
    #: From the recipient's restart until nothing waits, and until it has a referral with a child at risk submitted
    #: then.
    delivered_in_s: float
    p0_s: float
    #: 99th percentiles of answers to submissions.
    intake_before_s: float
    intake_during_s: float

    @property
    def ratio(self) -> float:
        return self.held.others_s / self.others_before_s

    @property
    def drained_per_s(self) -> float:
        return self.backlog / self.delivered_in_s

    @property
    def intake_ratio(self) -> float:
        return self.intake_during_s / self.intake_before_s

    def lines(self) -> Iterator[str]:
        yield (
            f"{self.backlog} unacknowledged: others' 202 → published p50 {self.others_before_s * 1000:.0f} ms before, "
            f"{self.held.others_s * 1000:.0f} ms during, {self.ratio:.2f} x; /readyz {dict(self.held.ready)}"
        )
        yield (
            f"copies while the log had them {self.held.copies}; {self.held.sealed_anew} sealed to the key made "
            f"meanwhile, {self.held.signed_anew} signed with the other; {self.held.forgotten} then taken by retention; "
            f"delivered {self.delivered} of {self.expected}, in {self.delivered_in_s:.0f} s"
        )
        yield (
            f"drained at {self.drained_per_s:.0f} a second; answers p99 {self.intake_before_s * 1000:.0f} ms before, "
            f"{self.intake_during_s * 1000:.0f} ms during, {self.intake_ratio:.2f} x; a child at risk behind it after "
            f"{self.p0_s:.1f} s"
        )


async def recipient_down(
    exchange: Exchange, *, backlog: int, seconds: float, long: bool, retention: bool = False
) -> Down:
    """Build up a backlog for a paused recipient, measure the others, and resume it.

    `long`: it is paused for as long as the rotation of keys takes, and is killed and started again.
    """
    turns = int(PER_S * seconds)
    async with Sender(exchange, withdrawn_share=0) as sender:
        await sender.send_paced(filings(int(PER_S)), PER_S)  # caches warm, connections open
        await exchange.until_quiet()
        already = await _applied(exchange)
        sender.tally.answered_s.clear()
        before = await _published(exchange, sender, turns)
        intake_before_s = quantile(sender.tally.answered_s, 0.99)
        await exchange.until_quiet()
        held = await _hold_up(exchange, sender, turns, backlog=backlog, long=long, retention=retention)
        runs_again = time.monotonic()
        sender.tally.answered_s.clear()
        sending = asyncio.create_task(sender.send_paced(filings(turns), PER_S))
        p0_s = await tell_of_p0(exchange, sender)
        await until(lambda: _is_drained(exchange), seconds_max=DELIVERED_S_MAX)
        delivered_in_s = time.monotonic() - runs_again
        await sending
        await exchange.until_quiet(DELIVERED_S_MAX)
    return Down(
        backlog=backlog,
        others_before_s=before,
        held=held,
        delivered=await _applied(exchange) - already,
        expected=backlog + 3 * turns + 1,
        delivered_in_s=delivered_in_s,
        p0_s=p0_s,
        intake_before_s=intake_before_s,
        intake_during_s=quantile(sender.tally.answered_s, 0.99),
    )


async def _hold_up(
    exchange: Exchange, sender: Sender, turns: int, *, backlog: int, long: bool, retention: bool
) -> Held:
    """Pause the recipient until its backlog is there and the others are measured; resume it afterwards."""
    pid, ready, keys = exchange.processes[DOWN].pid, Counter[int](), Keys("", "")
    copies = await appended_twice(exchange, TOPIC)
    freeze(pid)
    try:
        await sender.send(to_an_agency(backlog // 2, together=TOGETHER))
        if long:
            keys = await _give_other_keys(exchange)
        await sender.send(to_an_agency(backlog - backlog // 2, together=TOGETHER))
        await until(lambda: _is_sent(exchange), seconds_max=DELIVERED_S_MAX)
        await exchange.until_audited(DELIVERED_S_MAX)  # others are measured without the work of building it up
        watching = asyncio.create_task(_watch(exchange, ready))
        during = await _published(exchange, sender, turns)
        watching.cancel()
        await asyncio.wait([watching])
        copies = await appended_twice(exchange, TOPIC) - copies
        sealed_anew, signed_anew = await _with(exchange, keys) if long else (0, 0)
        forgotten = await _forget_half(exchange) if retention else 0
    finally:
        if long:
            await asyncio.to_thread(_start_again, exchange)
        else:
            thaw(pid)
    return Held(ready, during, copies, sealed_anew, signed_anew, forgotten)


async def _give_other_keys(exchange: Exchange) -> Keys:
    """Give the recipient a new sealing key, which its process has not read yet.

    The sender gets a new signing key, and uses it after a restart, as the operator's page says.
    """
    opening = await asyncio.to_thread(operated, exchange, "key", "make", DOWN, "seal")
    signing = await asyncio.to_thread(operated, exchange, "key", "make", SENDER, "sign")
    directory = json.loads((exchange.state / "directory.json").read_text())
    directory["version"] += 1
    instances = {each["id"]: each for each in directory["instances"]}
    instances[DOWN]["keys"].append(opening["entry"])
    instances[SENDER]["keys"].append(signing["entry"])
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(directory, file)
        file.flush()
        published = await asyncio.to_thread(operated, exchange, "directory", "publish", file.name)
    await until(lambda: driver.has_document(exchange, SENDER, published["digest"]))
    await asyncio.to_thread(_sign_with_the_next, exchange)
    return Keys(opening["entry"]["key_id"], signing["entry"]["key_id"])


def _sign_with_the_next(exchange: Exchange) -> None:
    key = exchange.state / "keys" / SENDER / "signing.key"
    key.with_name("signing.key.next").replace(key)
    exchange.stop(SENDER)
    exchange.serve(SENDER)
    exchange.wait_ready(SENDER)


async def _with(exchange: Exchange, keys: Keys) -> tuple[int, int]:
    """Count the messages of the topic in groups sealed to the one key, and those signed with the other."""
    groups = await delivery.list_group_keys(exchange, TOPIC)
    return sum(each.opening == keys.opening for each in groups), sum(each.signing == keys.signing for each in groups)


def _start_again(exchange: Exchange) -> None:
    exchange.processes[DOWN].kill()
    exchange.serve(DOWN)
    exchange.wait_ready(DOWN)


async def _published(exchange: Exchange, sender: Sender, turns: int) -> float:
    """Return the median time until the broker has new messages for the other recipients."""
    begun = SystemClock().now()
    await sender.send_paced(filings(turns), PER_S)

    found: Mapping[str, list[float]] = {}

    async def there() -> bool:
        nonlocal found
        found = await delays_s(exchange, begun, published=True)
        return all(len(found.get(name, ())) == turns for name in OTHERS)

    await until(there)
    return quantile([each for name in OTHERS for each in found[name]], 0.5)


async def _watch(exchange: Exchange, ready: Counter[int]) -> None:
    async with httpx.AsyncClient(base_url=exchange.endpoints.http[SENDER], trust_env=False, timeout=30) as http:
        while True:
            ready[(await http.get("/readyz")).status_code] += 1
            await asyncio.sleep(0.2)


async def _is_drained(exchange: Exchange) -> bool:
    # Those that retention took are not sent for a moment.
    waiting = await delivery.count_unacknowledged_by_recipient(exchange, SENDER)
    return waiting.get(DOWN, 0) < TOGETHER


async def _is_sent(exchange: Exchange) -> bool:
    return await delivery.count_unsent_messages(exchange, SENDER, DOWN) == 0


async def _applied(exchange: Exchange) -> int:
    return len(await driver.list_effects(exchange, DOWN))


async def _forget_half(exchange: Exchange) -> int:
    """Have retention delete the older half of the recipient's unread records; return their number."""
    following = await delivery.find_read_offset(exchange, DOWN, TOPIC, Lane.ORDINARY)
    unread = (await delivery.find_bounds(exchange, TOPIC)).end - following
    await forget(exchange, TOPIC, Lane.ORDINARY, below=following + unread // 2)
    return unread // 2


def main() -> int:
    """Return exit code 1 unless the sender stayed ready, others were as fast, and all was delivered in time."""
    arguments = argparse.ArgumentParser(description="A recipient that is down for long.")
    arguments.add_argument("--rows", type=int, default=200_000)
    arguments.add_argument("--retention", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as state, running_exchange(Path(state)) as exchange:
        down = asyncio.run(
            recipient_down(exchange, backlog=given.rows, seconds=30, long=True, retention=given.retention)
        )
    print(*down.lines(), sep="\n")
    kept = down.ratio <= RATIO_MAX and set(down.held.ready) == {200} and down.held.copies == 0
    kept &= down.intake_ratio <= INTAKE_RATIO_MAX and down.p0_s <= P0_S_MAX
    # The messages that its sender must append again wait for that.
    kept &= given.retention or down.drained_per_s >= DRAINED_PER_S_MIN
    return int(not (kept and down.held.sealed_anew and down.held.signed_anew and down.delivered == down.expected))


if __name__ == "__main__":
    sys.exit(main())
