"""Whether an instance is ready, and what for it waits: what /readyz asks, and the gauges of its stores and its bus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from shared.kernel.clock import Clock
from shared.runtime.database.transactions import Database
from shared.runtime.delivery.gate import REASONS
from shared.runtime.delivery.loops import StreamRelay
from shared.runtime.delivery.reading import InboxReader
from shared.runtime.instance.settings import RuntimeSettings
from shared.runtime.kafka.access import KAFKA_ERRORS
from shared.runtime.kafka.documents import DocumentFeed
from shared.runtime.timers.timers import Timers
from shared.runtime.watch.health import Check, Probe
from shared.runtime.watch.metrics import BUS_LAG_RECORDS, EDGES_WAIT, Ages, load_ages, measure_stores

LAG_TIMEOUT_S: Final = 1.0


@dataclass(slots=True)
class AtWork:
    """The relay, the reader and the timers of this process, each None unless it works now.

    `is_reader_waiting`: another process reads, or the own topics are not yet compared.
    """

    relay: StreamRelay | None = None
    bus: InboxReader | None = None
    is_reader_waiting: bool = False
    timers: Timers | None = None
    #: The parts that this process was told to run, and whether each runs now.
    parts: dict[str, bool] = field(default_factory=dict)

    @contextmanager
    def running(self, part: str) -> Iterator[None]:
        """Note that a part runs, at work or waiting, until the block ends."""
        self.parts[part] = True
        try:
            yield
        finally:
            self.parts[part] = False

    def idle(self, part: str, waiting: Check) -> Check:
        """What to say of a part that does nothing yet: it waits, it has failed, or another process runs it."""
        if part not in self.parts:
            return Check(part, True, "elsewhere")
        return waiting if self.parts[part] else Check(part, False, "part_failed")


@dataclass(frozen=True, slots=True)
class Readiness:
    """Asks one instance's database, documents, relay, bus and stores."""

    database: Database
    feed: DocumentFeed
    settings: RuntimeSettings
    clock: Clock
    at_work: AtWork

    def probes(self) -> Sequence[Probe]:
        """What /readyz of an instance with an inbox asks."""
        return (
            self.probe_database,
            self.probe_documents,
            self.probe_bus,
            self.probe_relay,
            self.probe_timers,
            self.probe_outbox,
            self.probe_acks,
        )

    async def probe_database(self) -> Check:
        async with self.database.transaction() as session:
            await session.driver.fetchval("SELECT 1")
        return Check("database", True)

    async def probe_documents(self) -> Check:
        return await self.feed.check()

    async def probe_bus(self) -> Check:
        """The partitions that this process reads; ready where another process reads them."""
        bus = self.at_work.bus
        if bus is None:
            waiting = Check("bus", True, "standing_by")
            awaited = Check("bus", False, "documents_awaited")
            return self.at_work.idle("bus", waiting if self.at_work.is_reader_waiting else awaited)
        return bus.check()._replace(age_s=self._since_s(bus.last_progress))

    async def probe_relay(self) -> Check:
        """Who publishes, and what for it waits: an outage of the broker is no reason to turn referrals away."""
        relay = self.at_work.relay
        if relay is None:
            return self.at_work.idle("relay", Check("relay", True, "standing_by"))
        return relay.check()._replace(age_s=self._since_s(relay.last_progress))

    async def probe_timers(self) -> Check:
        """Whether clocks are looked at, and whether some could not be reckoned."""
        timers = self.at_work.timers
        return self.at_work.idle("timers", Check("timers", True, "law_awaited")) if timers is None else timers.check()

    async def probe_outbox(self) -> Check:
        """How long the oldest message waits for its first sending."""
        return _aged("outbox", (await self._ages()).unsent_s, self.settings.outbox_age_s_max)

    async def probe_acks(self) -> Check:
        """How long the oldest message that was appended waits for its acknowledgement."""
        return _aged("acks", (await self._ages()).unacked_s, self.settings.unacked_age_s_max)

    async def measure(self) -> None:
        """Set the gauges. In an outage of the broker the lag keeps its last value. Raises `Unavailable`."""
        if self.at_work.bus is not None:
            with suppress(TimeoutError, *KAFKA_ERRORS):
                async with asyncio.timeout(LAG_TIMEOUT_S):
                    BUS_LAG_RECORDS.set(await self.at_work.bus.door.lag())
        self.measure_gate()
        async with self.database.transaction() as session:
            await measure_stores(session.driver, self.clock.now())

    def measure_gate(self) -> None:
        """Say whether edges wait here: where another process publishes, that one says it."""
        waits_for = self.at_work.relay.states_wait() if self.at_work.relay else ""
        for reason in REASONS:
            EDGES_WAIT.labels(reason).set(reason == waits_for)

    def _since_s(self, at: datetime | None) -> float | None:
        return None if at is None else (self.clock.now() - at).total_seconds()

    async def _ages(self) -> Ages:
        async with self.database.transaction() as session:
            return await load_ages(session.driver, self.clock.now())


def _aged(name: str, age_s: float, age_s_max: float | None) -> Check:
    """A wait is shown always, and fails only beyond what the settings permit."""
    too_old = age_s_max is not None and age_s > age_s_max
    return Check(name, not too_old, "too_old" if too_old else "", age_s)
