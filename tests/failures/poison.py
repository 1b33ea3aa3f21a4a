"""A peer that keeps writing malformed records: honest messages are as fast as before, and the bad rows stay few.

    python -m tests.failures.poison [--seconds 60]     prints figures; exit code 1 unless it all holds

The attacker has the real key and the real login of an instance, and continues its streams. Its signed messages are
authentic, and name an unknown policy. Random bytes come as often.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from deploy.site.access import kafka_access
from shared.core.clock import SystemClock
from tests.failures.delivered import delays_s, p99_s, to_an_agency
from tests.failures.load import Sender
from tests.support import driver_audit
from tests.support import driver_delivery as delivery
from tests.support.driver_delivery import Draft, Lane, Pair, inbox_topic
from tests.support.exchange_world import World
from tests.support.forging import installed_world, junk, take_up, write
from tests.support.running import PROVIDER, Exchange, running_exchange, until
from tests.support.wire_records import Written

ATTACKER, VICTIM = "industry", "law_enforcement"
PAIR: Final = Pair(ATTACKER, VICTIM)
TOPIC: Final = inbox_topic(VICTIM, ATTACKER)
#: Number of unknown policies that are named, far above every version that will be published.
UNKNOWN, UNKNOWN_VERSION = 5, 9000
#: For each of the two kinds.
POISON_PER_S: Final = 10
PER_S: Final = 10.0
RATIO_MAX: Final = 2.0
#: Audit stores one entry and one row a day for each reason; a run may include midnight. A recipient stores nothing.
JUNK_ROWS_MAX: Final = 4
_ACCOUNT: Final = {"locator": {"kind": "account", "value": "user-1@elsewhere.example"}}


@dataclass(frozen=True, slots=True)
class Poisoned:
    """The effect on honest messages, and the rows of malformed records."""

    written: int
    honest_before_s: float
    honest_during_s: float
    honest_delivered: int
    honest_posted: int
    waiting_rows: int
    audited_rows: int
    audited_records: int

    @property
    def ratio(self) -> float:
        return self.honest_during_s / self.honest_before_s

    def lines(self) -> Iterator[str]:
        yield (
            f"poison: {self.written} records; honest p99 {self.honest_before_s * 1000:.0f} ms before, "
            f"{self.honest_during_s * 1000:.0f} ms during, {self.ratio:.2f} x; "
            f"delivered {self.honest_delivered} of {self.honest_posted}"
        )
        yield (
            f"rows of poison: {self.waiting_rows} wait for their document; "
            f"at audit {self.audited_rows} for {self.audited_records} unreadable records"
        )

    def kept(self, ratio_max: float) -> bool:
        """Return whether honest messages were as fast, none is missing, and the rows of malformed records are few."""
        whole = self.honest_delivered == self.honest_posted and self.audited_records == self.written // 2
        few = 0 < self.waiting_rows <= self.written // 2 and 0 < self.audited_rows <= JUNK_ROWS_MAX
        return whole and few and self.ratio <= ratio_max


async def poisoned(exchange: Exchange, *, seconds: float) -> Poisoned:
    """Measure honest messages for `seconds` without malformed records, and as long with them in the same inbox."""
    turns = int(PER_S * seconds)
    async with Sender(exchange, withdrawn_share=0) as sender:
        await sender.send_paced(to_an_agency(int(PER_S), together=1), PER_S)  # caches warm, connections open
        await exchange.until_quiet()
        before = await _honest(exchange, sender, turns)
        world = installed_world(exchange.state)
        incarnation, ends = await delivery.find_stream_ends(exchange, *PAIR)
        take_up(world, PAIR, incarnation, ends=ends)
        poison = [world.written([each], ATTACKER) for each in islice(_unknown(world), int(POISON_PER_S * seconds))]
        writing = asyncio.create_task(_write(exchange, [[*records, junk(PAIR, Lane.ORDINARY)] for records in poison]))
        during = await _honest(exchange, sender, turns)
        await writing
    await until(lambda: _all_met(exchange, len(poison)))
    audited = await driver_audit.count_audited_unreadable_records(exchange, TOPIC)
    waiting = (await delivery.count_exceptions(exchange, VICTIM, writer=ATTACKER)).total()
    return Poisoned(
        written=2 * len(poison),
        honest_before_s=p99_s(before, VICTIM),
        honest_during_s=p99_s(during, VICTIM),
        honest_delivered=len(during[VICTIM]),
        honest_posted=turns,
        waiting_rows=waiting,
        audited_rows=audited["rows"],
        audited_records=audited["records"],
    )


async def _honest(exchange: Exchange, sender: Sender, turns: int) -> dict[str, list[float]]:
    begun = SystemClock().now()
    await sender.send_paced(to_an_agency(turns, together=1), PER_S)

    async def there() -> bool:
        return len((await delays_s(exchange, begun)).get(VICTIM, ())) == turns

    await until(there)
    return dict(await delays_s(exchange, begun))


def _unknown(world: World) -> Iterator[Draft]:
    """Yield offers that are valid except that unknown policies decided them."""
    policies = [world.policy.model_copy(update={"version": UNKNOWN_VERSION + each}) for each in range(UNKNOWN)]
    deciding = cycle([replace(world, policy=policy, shelf=type(world.shelf)()) for policy in policies])
    for each in deciding:
        drafts = each.prepared(origin=PROVIDER, user_jurisdictions=["NL"], items=[_ACCOUNT]).drafts
        yield next(draft for draft in drafts if draft.recipient_instance == VICTIM)


async def _write(exchange: Exchange, poison: list[list[Written]]) -> None:
    """Append all of it through the attacker's login at an even pace."""
    access, loop = kafka_access(exchange.endpoints, ATTACKER), asyncio.get_running_loop()
    began = loop.time()
    for second in range(0, len(poison), POISON_PER_S):
        await asyncio.sleep(began + second / POISON_PER_S - loop.time())
        await write(access, [each for records in poison[second : second + POISON_PER_S] for each in records])


async def _all_met(exchange: Exchange, count: int) -> bool:
    """Return whether audit has met all malformed records, and the victim some messages with unknown policies.

    When the victim acknowledges numbers that the attacker's own instance never used, that instance begins new streams.
    Forged messages in the old ones are then dropped.
    """
    audited = await driver_audit.count_audited_unreadable_records(exchange, TOPIC)
    waiting = (await delivery.count_exceptions(exchange, VICTIM, writer=ATTACKER)).total()
    return bool(waiting and audited["records"] >= count)


def main() -> int:
    """Return exit code 1 unless honest messages stay within 2 x and the bad rows are few."""
    arguments = argparse.ArgumentParser(description="A counterpart that writes poison all the time.")
    arguments.add_argument("--seconds", type=float, default=60.0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as state, running_exchange(Path(state)) as exchange:
        found = asyncio.run(poisoned(exchange, seconds=given.seconds))
    print(*found.lines(), sep="\n")
    return int(not found.kept(RATIO_MAX))


if __name__ == "__main__":
    sys.exit(main())
