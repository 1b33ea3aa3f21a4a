"""The broker down for a while, and the broker's disk lost.

python -m tests.failures.outage [--seconds 60] [--per-s 50]     the broker down, under a steady load; prints figures
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tests.failures.load import Post, Sender, Tally, posts, quantile
from tests.failures.split import BROKER, PROCESSES, SplitExchange, split_exchange
from tests.failures.verdict import Verdict, judge
from tests.support import driver_audit
from tests.support import driver_delivery as delivery
from tests.support.driver_audit import Span, StreamKey
from tests.support.running import until

ACKNOWLEDGED_S_MAX = 300.0
#: The instance that receives facts.
_AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Outage:
    """A steady sender's results during an outage of the broker, and the final state of its referrals."""

    posted: int
    accepted: int
    requests_failed: int
    statuses: dict[int, int]
    same_process: bool
    p99_before_s: float
    p50_during_s: float
    p99_during_s: float
    waiting_at_the_end: int
    #: Not sent when the relay was killed.
    held_by_the_relay: int
    #: All results of this exchange's senders so far. The verdict covers all of them.
    told: Tally
    verdict: Verdict

    def lines(self) -> Iterator[str]:
        yield f"posted while the broker was down: {self.posted}, accepted {self.accepted}, statuses {self.statuses}"
        yield f"requests without an answer: {self.requests_failed}; the same API process: {self.same_process}"
        yield (
            f"answer: p99 before {self.p99_before_s * 1000:.0f} ms, during p50 {self.p50_during_s * 1000:.0f} ms, "
            f"p99 {self.p99_during_s * 1000:.0f} ms"
        )
        yield (
            f"unacknowledged when it restarted: {self.waiting_at_the_end}; "
            f"held by the relay when it was killed: {self.held_by_the_relay}"
        )
        yield self.verdict.line()


async def broker_down(
    exchange: SplitExchange, *, seconds: float, per_s: float, seed: int, earlier: Tally | None = None
) -> Outage:
    """Post at a steady rate, with the broker and then for `seconds` without; start it again and wait for the end.

    The relay is idle when the broker stops, so its later messages are not in Kafka. It is killed while it holds them,
    at the end of the outage.
    """
    wanted = posts(int(2.2 * seconds * per_s) + 100, seed, batch_max=1)
    async with Sender(exchange, withdrawn_share=0) as before, Sender(exchange, withdrawn_share=0) as during:
        count = int(seconds * per_s)
        await before.send(islice(wanted, 100))  # caches warm, connections open
        before.tally.answered_s.clear()
        await before.send_paced(islice(wanted, count), per_s)
        await exchange.until_acknowledged(ACKNOWLEDGED_S_MAX)
        api = exchange.processes["api"].pid
        await exchange.kill(BROKER)
        await during.send_paced(islice(wanted, count), per_s)
        async with exchange.watched():
            waiting = await exchange.unacknowledged()
        same_process = api is not None and exchange.processes["api"].pid == api
        held = await delivery.count_all_unsent_messages(exchange, "hotline")
        await exchange.kill("relay")
        await exchange.start(BROKER, "relay")
        await exchange.until_acknowledged(ACKNOWLEDGED_S_MAX)
    told = (earlier or Tally()) | before.tally | during.tally
    return Outage(
        posted=count,
        accepted=len(during.tally.accepted),
        requests_failed=during.tally.attempts_failed,
        statuses=during.tally.statuses,
        same_process=same_process,
        p99_before_s=quantile(before.tally.answered_s, 0.99),
        p50_during_s=quantile(during.tally.answered_s, 0.5),
        p99_during_s=quantile(during.tally.answered_s, 0.99),
        waiting_at_the_end=waiting,
        held_by_the_relay=held,
        told=told,
        verdict=await judge(exchange, told),
    )


@dataclass(frozen=True, slots=True)
class DiskGone:
    """The effects of losing the broker's disk. `facts_lost` were in Kafka and not yet in audit's log.

    `gap`: messages that audit had neither read nor named lost in the end.
    """

    unacknowledged: int
    facts_lost: dict[StreamKey, list[Span]]
    gap: dict[StreamKey, list[Span]]
    told: Tally
    verdict: Verdict


async def disk_gone(exchange: SplitExchange, wanted: Iterator[Post], *, earlier: Tally) -> DiskGone:
    """Delete the broker's data while messages are in transit and audit lags behind; create the topics again."""
    async with Sender(exchange) as sender:
        await sender.send(islice(wanted, 30))
        await exchange.until_acknowledged(ACKNOWLEDGED_S_MAX)
        exchange.pause(_AUDIT)
        await sender.send(islice(wanted, 30))
        # A paused recipient: its messages are in Kafka only, and unacknowledged.
        exchange.pause("law_enforcement")
        await sender.send(islice(wanted, 30))
        before = await _with_facts_not_audited(exchange)
        async with exchange.watched():
            unacknowledged = await exchange.unacknowledged()
        await exchange.kill(BROKER)
        exchange.stack.kafka.wipe()
        await exchange.start(BROKER)
        for label in (_AUDIT, "law_enforcement"):
            exchange.resume(label)
        await sender.send(wanted)
        await exchange.until_acknowledged(ACKNOWLEDGED_S_MAX)
        await exchange.until_audited(ACKNOWLEDGED_S_MAX)
    told = earlier | sender.tally
    verdict = await judge(exchange, told)
    return DiskGone(
        unacknowledged, before, await driver_audit.list_unaudited_numbers(exchange, "hotline"), told, verdict
    )


async def _with_facts_not_audited(exchange: SplitExchange) -> dict[StreamKey, list[Span]]:
    """Return the facts that the paused audit has not read, when Kafka has all of them."""

    async def are_there() -> bool:
        unsent = await delivery.count_unsent_messages(exchange, "hotline", _AUDIT)
        return not unsent and bool(await _unaudited_facts(exchange))

    await until(are_there)
    return await _unaudited_facts(exchange)


async def _unaudited_facts(exchange: SplitExchange) -> dict[StreamKey, list[Span]]:
    return await driver_audit.list_unaudited_numbers(exchange, "hotline", to=_AUDIT)


def main() -> int:
    """Run the outage of the broker; return exit code 1 if anything was lost, repeated or not accepted."""
    arguments = argparse.ArgumentParser(description="The broker down under a steady load.")
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--per-s", type=float, default=50.0)
    given = arguments.parse_args()

    async def run(exchange: SplitExchange) -> Outage:
        await exchange.start(*PROCESSES)
        return await broker_down(exchange, seconds=given.seconds, per_s=given.per_s, seed=11)

    with tempfile.TemporaryDirectory() as state, split_exchange(Path(state)) as exchange:
        outage = asyncio.run(run(exchange))
    print(*outage.lines(), sep="\n")
    return int(bool(outage.verdict.faults()) or outage.accepted != outage.posted or not outage.same_process)


if __name__ == "__main__":
    sys.exit(main())
