"""One topic that cannot be written for a while: what goes elsewhere is as quick as before, nothing is appended twice.

python -m tests.failures.unwritable [--seconds 60]     prints figures; exit code 1 unless others stay within 2 x
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
from confluent_kafka.admin import AclOperation

from shared.exchange.topics import inbox_topic
from shared.kernel.clock import SystemClock
from tests.failures.delivered import appended_twice, delays_s, filings, p99_s, without_right
from tests.failures.load import Sender
from tests.support.running import Exchange, running_exchange, until

SHUT: Final = "industry"
OTHERS: Final = ("hotline", "law_enforcement")
TOPIC: Final = inbox_topic(SHUT, "hotline")
PER_S: Final = 10.0
RATIO_MAX: Final = 2.0


@dataclass(frozen=True, slots=True)
class Held:
    """The others' delivery before and during, seconds at the 99th percentile; and what became of what was held up."""

    others_before_s: float
    others_during_s: float
    delivered_while_shut: int
    reason: str
    appended_twice: int
    delivered: int
    posted: int

    @property
    def ratio(self) -> float:
        return self.others_during_s / self.others_before_s

    def lines(self) -> Iterator[str]:
        yield (
            f"others' delivery p99 {self.others_before_s * 1000:.0f} ms before, "
            f"{self.others_during_s * 1000:.0f} ms during; {self.ratio:.2f} x"
        )
        yield (
            f"delivered {self.delivered} of {self.posted} where it was shut, {self.delivered_while_shut} "
            f"of them meanwhile; records appended twice {self.appended_twice}; relay said {self.reason or 'nothing'}"
        )


async def one_topic_shut(exchange: Exchange, *, seconds: float) -> Held:
    """Post at a steady rate, first with the topic, then so long without; let it in again, and wait for the rest."""
    turns = int(PER_S * seconds)
    async with Sender(exchange, withdrawn_share=0) as sender:
        await sender.send_paced(filings(int(PER_S)), PER_S)  # caches warm, connections open
        await exchange.until_quiet()
        copies = await appended_twice(exchange)  # of whatever happened here before
        begun = SystemClock().now()
        await sender.send_paced(filings(turns), PER_S)
        await exchange.until_quiet()
        before = await delays_s(exchange, begun)
        async with without_right(exchange, "hotline", TOPIC, AclOperation.WRITE):
            begun = SystemClock().now()
            await sender.send_paced(filings(turns), PER_S)
            await until(lambda: _others_have(exchange, begun, turns))
            during = await delays_s(exchange, begun)
            reason = await _relay_says(exchange)
        await exchange.until_quiet()
        after = await delays_s(exchange, begun)
    return Held(
        others_before_s=p99_s(before, *OTHERS),
        others_during_s=p99_s(during, *OTHERS),
        delivered_while_shut=len(during[SHUT]),
        reason=reason,
        appended_twice=await appended_twice(exchange) - copies,
        delivered=len(after[SHUT]),
        posted=turns,
    )


async def _others_have(exchange: Exchange, since: datetime, count: int) -> bool:
    found = await delays_s(exchange, since)
    return all(len(found.get(name, ())) == count for name in OTHERS)


async def _relay_says(exchange: Exchange) -> str:
    async with httpx.AsyncClient(base_url=exchange.endpoints.http["hotline"], trust_env=False) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 200
    return str({check["name"]: check["reason"] for check in answer.json()["checks"]}["relay"])


def main() -> int:
    """Exit code 1 unless the others' p99 stays within 2 x and nothing is appended twice."""
    arguments = argparse.ArgumentParser(description="One topic that cannot be written.")
    arguments.add_argument("--seconds", type=float, default=60.0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as state, running_exchange(Path(state)) as exchange:
        held = asyncio.run(one_topic_shut(exchange, seconds=given.seconds))
    print(*held.lines(), sep="\n")
    return int(held.ratio > RATIO_MAX or (held.appended_twice, held.delivered) != (0, held.posted))


if __name__ == "__main__":
    sys.exit(main())
