"""PostgreSQL or Kafka down for a while, under load: nothing is lost, readiness names it, and all recovers.

python -m tests.failures.stopped [--seconds 30]     each in turn; prints figures; exit code 1 unless it all holds
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from shared.core.clock import SystemClock
from tests.failures.delivered import delays_s, filings
from tests.failures.load import Sender
from tests.support.running import SERVICES, Exchange, running_exchange, until

PER_S: Final = 10.0
#: The check and reason with which readiness names each server.
NAMED: Final = {"database": ("database", "database_unavailable"), "broker": ("relay", "broker_unavailable")}


@dataclass(frozen=True, slots=True)
class Stopped:
    """The referrals posted during the outage, each recipient's final state, and readiness meanwhile."""

    server: str
    seconds: float
    posted: int
    accepted: int
    delivered: dict[str, int]
    said: frozenset[tuple[int, str, str]]
    restarted: int

    def line(self) -> str:
        reasons = ", ".join(f"{name} {reason} ({status})" for status, name, reason in sorted(self.said))
        return (
            f"{self.server} away for {self.seconds:g} s: posted {self.posted}, accepted {self.accepted}, "
            f"delivered {self.delivered}, processes restarted {self.restarted}; readiness said {reasons}"
        )

    def kept(self) -> bool:
        whole = set(self.delivered.values()) == {self.posted} and len(self.delivered) == len(SERVICES)
        return whole and self.accepted == self.posted and _named(self.server, self.said) and not self.restarted


def _named(server: str, said: Set[tuple[int, str, str]]) -> bool:
    return NAMED[server] in {(name, reason) for _, name, reason in said}


async def _is_named(server: str, said: Set[tuple[int, str, str]]) -> bool:
    return _named(server, said)


async def stopped(exchange: Exchange, server: str, *, seconds: float) -> Stopped:
    """Post at a steady rate. Kill the server, and start it again after `seconds` and after readiness has named it."""
    postgres, kafka = exchange.stack.postgres, exchange.stack.kafka
    end, start = (postgres.crash, postgres.start) if server == "database" else (kafka.kill, kafka.start)
    pids = {label: process.pid for label, process in exchange.processes.items()}
    said, begun, turns = set[tuple[int, str, str]](), SystemClock().now(), int(PER_S * (seconds + 4))
    async with Sender(exchange, withdrawn_share=0) as sender:
        sending = asyncio.create_task(sender.send_paced(filings(turns), PER_S))
        await asyncio.sleep(2.0)
        await asyncio.to_thread(end)
        watching = asyncio.create_task(_watch(exchange, said))
        await asyncio.sleep(seconds)
        with suppress(AssertionError):  # if readiness never names it, that is the finding
            await until(partial(_is_named, server, said), seconds_max=60)
        watching.cancel()
        await asyncio.wait([watching])
        await asyncio.to_thread(start)
        await sending
        await exchange.until_quiet()
    found = await delays_s(exchange, begun)
    return Stopped(
        server=server,
        seconds=seconds,
        posted=turns,
        accepted=len(sender.tally.accepted),
        delivered={instance: len(each) for instance, each in found.items()},
        said=frozenset(said),
        restarted=sum(process.pid != pids[label] for label, process in exchange.processes.items()),
    )


async def _watch(exchange: Exchange, said: set[tuple[int, str, str]]) -> None:
    async with httpx.AsyncClient(base_url=exchange.endpoints.http["hotline"], trust_env=False, timeout=60) as http:
        while True:
            with suppress(httpx.TransportError):
                answer = await http.get("/readyz")
                said |= {(answer.status_code, each["name"], each["reason"]) for each in answer.json()["checks"]}
            await asyncio.sleep(0.2)


def main() -> int:
    """Stop each; return exit code 1 unless nothing was lost and readiness named it."""
    arguments = argparse.ArgumentParser(description="PostgreSQL and Kafka away for a while.")
    arguments.add_argument("--seconds", type=float, default=30.0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as state, running_exchange(Path(state)) as exchange:
        found = [asyncio.run(stopped(exchange, server, seconds=given.seconds)) for server in NAMED]
    print(*(each.line() for each in found), sep="\n")
    return int(not all(each.kept() for each in found))


if __name__ == "__main__":
    sys.exit(main())
