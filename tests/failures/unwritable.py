"""One topic cannot be written for a while: other messages are as fast as before, and nothing is appended twice.

python -m tests.failures.unwritable [--seconds 60] [--how forbidden | too_small]     both, unless one is named; prints
figures. The exit code is 1 unless others stay within 2 x, and all is delivered once to the topic without a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import httpx
from confluent_kafka.admin import AclOperation

from shared.core.clock import SystemClock
from tests.failures.delivered import appended_twice, delays_s, filings, p99_s, without_right
from tests.failures.load import Sender
from tests.support.driver_delivery import SENT_BYTES_MAX, inbox_topic
from tests.support.running import Exchange, running_exchange, until
from tests.support.topics import configured

SHUT: Final = "industry"
OTHERS: Final = ("hotline", "law_enforcement")
TOPIC: Final = inbox_topic(SHUT, "hotline")
PER_S: Final = 10.0
RATIO_MAX: Final = 2.0
#: Fewer than any notice has.
SMALL_BYTES: Final = 1_500


class How(StrEnum):
    """The way in which the topic cannot be written; `says` is the relay's reason for it."""

    FORBIDDEN = "forbidden"
    TOO_SMALL = "too_small"

    @property
    def says(self) -> str:
        return {How.FORBIDDEN: "broker_refuses", How.TOO_SMALL: "broker_record_bound"}[self]


@dataclass(frozen=True, slots=True)
class Held:
    """The 99th percentile of delivery to others before and during, in seconds; the fate of delayed messages."""

    how: How
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

    def kept(self, ratio_max: float) -> bool:
        """Return whether all messages of the topic waited, no others did, and all arrived once in the end."""
        counted = (self.delivered_while_shut, self.delivered, self.appended_twice)
        return self.ratio <= ratio_max and counted == (0, self.posted, 0) and self.reason == self.how.says

    def lines(self) -> Iterator[str]:
        yield (
            f"{self.how}: others' delivery p99 {self.others_before_s * 1000:.0f} ms before, "
            f"{self.others_during_s * 1000:.0f} ms during; {self.ratio:.2f} x"
        )
        yield (
            f"{self.how}: delivered {self.delivered} of {self.posted} to the topic, {self.delivered_while_shut} "
            f"of them meanwhile; records appended twice {self.appended_twice}; relay said {self.reason or 'nothing'}"
        )


async def one_topic_shut(exchange: Exchange, how: How, *, seconds: float) -> Held:
    """Post at a steady rate, first with the topic, then for `seconds` without; then permit it, and wait."""
    turns = int(PER_S * seconds)
    async with Sender(exchange, withdrawn_share=0) as sender:
        await sender.send_paced(filings(int(PER_S)), PER_S)  # caches warm, connections open
        await exchange.until_quiet()
        copies = await appended_twice(exchange)  # of earlier events here
        begun = SystemClock().now()
        await sender.send_paced(filings(turns), PER_S)
        await exchange.until_quiet()
        before = await delays_s(exchange, begun)
        async with _shut(exchange, how):
            begun = SystemClock().now()
            await sender.send_paced(filings(turns), PER_S)
            await until(lambda: _others_have(exchange, begun, turns))
            during = await delays_s(exchange, begun)
            reason = await _relay_says(exchange)
        await exchange.until_quiet()
        after = await delays_s(exchange, begun)
    return Held(
        how=how,
        others_before_s=p99_s(before, *OTHERS),
        others_during_s=p99_s(during, *OTHERS),
        delivered_while_shut=len(during[SHUT]),
        reason=reason,
        appended_twice=await appended_twice(exchange) - copies,
        delivered=len(after[SHUT]),
        posted=turns,
    )


def _shut(exchange: Exchange, how: How) -> AbstractAsyncContextManager[None]:
    if how is How.FORBIDDEN:
        return without_right(exchange, "hotline", TOPIC, AclOperation.WRITE)
    kafka, usual = exchange.endpoints.kafka, str(SENT_BYTES_MAX)
    return configured(kafka, TOPIC, "max.message.bytes", str(SMALL_BYTES), before=usual)


async def _others_have(exchange: Exchange, since: datetime, count: int) -> bool:
    found = await delays_s(exchange, since)
    return all(len(found.get(name, ())) == count for name in OTHERS)


async def _relay_says(exchange: Exchange) -> str:
    async with httpx.AsyncClient(base_url=exchange.endpoints.http["hotline"], trust_env=False, timeout=60) as http:
        answer = await http.get("/readyz")
    assert answer.status_code == 200
    return str({check["name"]: check["reason"] for check in answer.json()["checks"]}["relay"])


def main() -> int:
    """Return exit code 1 unless each way gives the expected results."""
    arguments = argparse.ArgumentParser(description="One topic that cannot be written.")
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--how", type=How, choices=[*How], action="append")
    given = arguments.parse_args()
    kept = True
    with tempfile.TemporaryDirectory() as state, running_exchange(Path(state)) as exchange:
        for how in given.how or How:
            held = asyncio.run(one_topic_shut(exchange, how, seconds=given.seconds))
            print(*held.lines(), sep="\n")
            kept &= held.kept(RATIO_MAX)
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
