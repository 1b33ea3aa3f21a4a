"""Intervals between two settled states of an exchange, and their counts without background work."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import fmean
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from tests.benchmarks.counters.readings import (
    Name,
    Reading,
    checkpoint,
    log_of,
    read_counters,
    record_counts,
    sum_of,
    wal_counts,
)
from tests.benchmarks.counters.statements import Transaction, counted_server, read_from, transactions
from tests.support.running import Exchange

#: Maximum wait until Kafka stops growing, seconds.
STILL_S_MAX: Final = 300.0
_POLL_S: Final = 1.0
#: Statements that identify a transaction: one that submits, and one that applies a batch at a recipient.
FILES: Final = ("INSERT INTO referral ",)
APPLIES: Final = ("INSERT INTO received ",)


@dataclass(frozen=True, slots=True)
class Interval:
    """The counts of an interval, without background work, and its transactions."""

    seconds: float
    counts: Mapping[Name, float]
    transactions: Sequence[Transaction]

    def then(self, later: Interval) -> Interval:
        """Return this interval and a later one as one."""
        counts = {
            name: self.counts.get(name, 0) + later.counts.get(name, 0) for name in {**self.counts, **later.counts}
        }
        return Interval(self.seconds + later.seconds, counts, [*self.transactions, *later.transactions])

    def trips_of(self, marks: Sequence[str]) -> float:
        """Return the mean round trips of the transactions that have one of these statements; 0 if none has."""
        found = [each.trips for each in self.transactions if any(mark in each.text for mark in marks)]
        return fmean(found) if found else 0.0

    def count_of(self, marks: Sequence[str]) -> int:
        """Return how many transactions have one of these statements."""
        return sum(any(mark in each.text for mark in marks) for each in self.transactions)


@dataclass(slots=True)
class Counted:
    """A running exchange whose servers are counted.

    It has settled when Kafka has not grown for `still_s` seconds. An acknowledgement comes ten seconds after the
    previous one, and an idle backend publishes its counters after ten seconds. `idle` is its background work in counts
    per second, `idle_texts` the transactions that it did in `idle_s` seconds.
    """

    exchange: Exchange
    admin: asyncpg.Connection
    still_s: float
    idle: Mapping[Name, float] = field(default_factory=dict)
    idle_texts: Mapping[str, int] = field(default_factory=dict)
    idle_s: float = 1.0

    async def settle(self) -> None:
        """Wait until everything is acknowledged and audited, and Kafka has not grown for `still_s`."""
        await self.exchange.until_quiet()
        await self.exchange.until_audited()
        last, since, deadline = record_counts(self.exchange), monotonic(), monotonic() + STILL_S_MAX
        while monotonic() - since < self.still_s:
            assert monotonic() < deadline, "Kafka grows on and on"
            await asyncio.sleep(_POLL_S)
            if (now := record_counts(self.exchange)) != last:
                last, since = now, monotonic()

    async def measure_idle(self, seconds: float) -> None:
        """Measure the background work of the settled exchange."""
        quiet = await self.interval(lambda: asyncio.sleep(seconds), settles=False)
        self.idle = {name: count / quiet.seconds for name, count in quiet.counts.items()}
        self.idle_texts = Counter(each.text for each in quiet.transactions)
        self.idle_s = quiet.seconds

    def idle_totals(self) -> dict[str, float]:
        """Return the background work per second, by kind."""
        kinds = sorted({name.kind for name in self.idle})
        statements = sum(self.idle_texts.values()) / self.idle_s
        return {kind: sum_of(self.idle, kind) for kind in kinds} | {"transactions": statements}

    async def interval(self, work: Callable[[], Awaitable[object]], *, settles: bool = True) -> Interval:
        """Count the cost of `work` on the settled exchange, until the exchange has settled again."""
        start_lsn = await checkpoint(self.admin)
        start = await read_counters(self.exchange, self.admin)
        await work()
        if settles:
            await self.settle()
        end = await read_counters(self.exchange, self.admin)
        seconds = end.at_s - start.at_s
        gross = Counter(end.counts)
        gross.subtract(start.counts)
        gross.update(wal_counts(self.exchange, start_lsn, end.lsn))
        net = {name: max(0.0, count - seconds * self.idle.get(name, 0.0)) for name, count in gross.items()}
        return Interval(seconds, net, without_looks(self._transactions(start, end), self.idle_texts.keys()))

    def _transactions(self, start: Reading, end: Reading) -> list[Transaction]:
        """Return the transactions of the services between two readings."""
        users = {
            urlsplit(self.exchange.endpoints.database(name).service_url).username or ""
            for name in self.exchange.endpoints.instances
        }
        return transactions(read_from(log_of(self.exchange), start.logged, end.logged), users)


@asynccontextmanager
async def counted(exchange: Exchange, *, idle_s: float, still_s: float) -> AsyncIterator[Counted]:
    """Count the servers of a running exchange. Its background work is measured first, for `idle_s` seconds."""
    admin = await asyncpg.connect(exchange.stack.postgres.admin_url)
    try:
        async with counted_server(admin):
            found = Counted(exchange, admin, still_s)
            await found.settle()
            await found.measure_idle(idle_s)
            yield found
    finally:
        await admin.close()


def without_looks(done: Sequence[Transaction], idle: Set[str]) -> list[Transaction]:
    """Leave out the transactions that an idle exchange also does, by their text.

    A loop that finds no work runs the same statements each time. When it finds some, it runs others.
    """
    return [each for each in done if each.text not in idle]
