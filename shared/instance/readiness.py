"""Readiness of an instance: the checks of /readyz, and the gauges of its stores and its bus.

This module also watches the documents in force, whose ageing raises alarms, and the versions that peers can read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from shared.core.clock import Clock
from shared.core.errors import Unavailable
from shared.core.protocol.prepare import Documents
from shared.core.protocol.preservation import hours_of
from shared.core.protocol.read_capabilities import PeerReads
from shared.core.routing import ageing
from shared.core.routing.documents import DocumentStore
from shared.core.routing.edition import Age, DocumentVersion
from shared.delivery.gate import REASONS
from shared.delivery.loops import StreamRelay
from shared.delivery.reading import InboxReader
from shared.delivery.sending import load_peer_reads
from shared.instance.settings import RuntimeSettings
from shared.platform.database.transactions import Database
from shared.platform.kafka.access import KAFKA_ERRORS
from shared.platform.kafka.documents import DocumentFeed
from shared.platform.observability import metrics
from shared.platform.observability.health import Check, Probe
from shared.platform.observability.logs import log
from shared.platform.timers.timers import Timers

LAG_TIMEOUT_S: Final = 1.0


@dataclass(slots=True)
class RunningParts:
    """The relay, the reader and the timers of this process, each None unless it works now.

    `is_reader_waiting`: another process reads, or the own topics are not yet compared.
    """

    relay: StreamRelay | None = None
    bus: InboxReader | None = None
    is_reader_waiting: bool = False
    timers: Timers | None = None
    #: The parts that this process must run, and whether each runs now.
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
        """Return the check of a part that does not work now: it waits, has failed, or runs in another process."""
        if part not in self.parts:
            return Check(part, True, "elsewhere")
        return waiting if self.parts[part] else Check(part, False, "part_failed")


@dataclass(frozen=True, slots=True)
class Readiness:
    """The readiness checks of one instance's database, documents, relay, bus and stores."""

    database: Database
    feed: DocumentFeed
    settings: RuntimeSettings
    clock: Clock
    at_work: RunningParts

    def probes(self) -> Sequence[Probe]:
        """Return the checks of /readyz for an instance with an inbox."""
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
        """Check the partitions that this process reads. It is ready if another process reads them."""
        bus = self.at_work.bus
        if bus is None:
            waiting = Check("bus", True, "standing_by")
            awaited = Check("bus", False, "documents_awaited")
            return self.at_work.idle("bus", waiting if self.at_work.is_reader_waiting else awaited)
        return bus.check()._replace(age_s=self._since_s(bus.last_progress))

    async def probe_relay(self) -> Check:
        """Check the relay. An outage of the broker does not fail it: the instance can still accept referrals."""
        relay = self.at_work.relay
        if relay is None:
            return self.at_work.idle("relay", Check("relay", True, "standing_by"))
        return relay.check()._replace(age_s=self._since_s(relay.last_progress))

    async def probe_timers(self) -> Check:
        """Check that timers run, and that every deadline could be computed."""
        timers = self.at_work.timers
        return self.at_work.idle("timers", Check("timers", True, "law_awaited")) if timers is None else timers.check()

    async def probe_outbox(self) -> Check:
        """Check how long the oldest message has waited for its first sending."""
        return _aged("outbox", (await self._ages()).unsent_s, self.settings.outbox_age_s_max)

    async def probe_acks(self) -> Check:
        """Check how long the oldest appended message has waited for its acknowledgement."""
        return _aged("acks", (await self._ages()).unacked_s, self.settings.unacked_age_s_max)

    async def measure(self) -> None:
        """Set the gauges. In an outage of the broker the lag keeps its last value. Raises `Unavailable`."""
        if self.at_work.bus is not None:
            with suppress(TimeoutError, *KAFKA_ERRORS):
                async with asyncio.timeout(LAG_TIMEOUT_S):
                    metrics.BUS_LAG_RECORDS.set(await self.at_work.bus.door.lag())
        self.measure_gate()
        async with self.database.transaction() as session:
            await metrics.measure_stores(session.driver, self.clock.now())

    def measure_gate(self) -> None:
        """Set the gauges of waiting edges. If another process is the relay, that process sets them."""
        waits_for = self.at_work.relay.states_wait() if self.at_work.relay else ""
        for reason in REASONS:
            metrics.EDGES_WAIT.labels(reason).set(reason == waits_for)

    def _since_s(self, at: datetime | None) -> float | None:
        return None if at is None else (self.clock.now() - at).total_seconds()

    async def _ages(self) -> metrics.Ages:
        async with self.database.transaction() as session:
            return await metrics.load_ages(session.driver, self.clock.now())


def _aged(name: str, age_s: float, age_s_max: float | None) -> Check:
    """Return a check that always shows the age, and fails only beyond the limit of the settings."""
    too_old = age_s_max is not None and age_s > age_s_max
    return Check(name, not too_old, "too_old" if too_old else "", age_s)


LOOK_EVERY_S: Final = 60.0


class DocumentMonitor:
    """The watch over the documents in force. It logs an ageing document once, and again after a restart."""

    def __init__(
        self, shelf: DocumentStore, feed: DocumentFeed, clock: Clock, *, slot: timedelta | None = None
    ) -> None:
        """Set up the watch. `slot` is the length of an issue slot, if it is not that of the policy's hour."""
        self._slot = slot
        self._shelf = shelf
        self._feed = feed
        self._clock = clock
        self._said: set[tuple[str, str]] = set()
        self._ages: dict[str, Age] = {}

    def documents(self) -> Documents:
        """Return the directory and policy for decisions now.

        Raises `Unavailable`: `document_unknown` before the first have arrived, `documents_expired` when one of them has
        expired and its grace period is over.
        """
        now = self._clock.now()
        found = self.documents_at(now)
        if Age.EXPIRED in (found.directory.edition.age(now.date()), found.policy.edition.age(now.date())):
            raise Unavailable("documents_expired")
        return found

    def documents_at(self, at: datetime) -> Documents:
        """Return the documents in force at `at`, as far as known now. Raises `Unavailable` before the first."""
        policy = self._shelf.policies.active(at)
        return Documents(self._shelf.directories.active(at), policy, hours=hours_of(policy.document, self._slot))

    def look(self) -> list[tuple[str, str]]:
        """Set the gauges, log changes, and return the instruments to review as (instrument, reason).

        Returns none before the first documents.
        """
        now = self._clock.now()
        try:
            directory, policy = self._shelf.directories.active(now), self._shelf.policies.active(now)
        except Unavailable:
            return []
        metrics.BEAT_AGE_SECONDS.set(self._feed.beat.age_s())
        self._measure("directory", directory.edition, now.date())
        self._measure("policy", policy.edition, now.date())
        found = ageing.aged(policy.document, now.date())
        counts = Counter(reason for _, reason in found)
        for reason in ageing.REASONS:
            metrics.LAW_AGED.labels(reason).set(counts[reason])
        for instrument, reason in sorted(set(found) - self._said):
            log("law_aged", instrument=instrument, code=reason)
        for instrument, reason in sorted(self._said - set(found)):
            log("law_reviewed", instrument=instrument, code=reason)
        self._said = set(found)
        return found

    async def check(self) -> Check:
        """Return a check that is always ready and shows ageing documents. Undecidable referrals wait anyway."""
        found = self.look()
        late = [age for age in self._ages.values() if age is not Age.FRESH]
        return Check("law", True, max(late, key=list(Age).index) if late else "law_aged" if found else "")

    async def run(self) -> None:
        """Run `look` repeatedly until cancelled, also after a failure, because documents continue to age."""
        while True:
            try:
                self.look()
            except Exception as error:
                log("part_failed", part="law", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    def _measure(self, kind: str, edition: DocumentVersion, on: date) -> None:
        metrics.DOCUMENT_DAYS_LEFT.labels(kind).set(edition.days_left(on))
        age = edition.age(on)
        if age not in (Age.FRESH, self._ages.get(kind)):
            log("document_ages", kind=kind, code=age.value)
        self._ages[kind] = age


PEERS_EVERY_S: Final = 5.0


class PeerVersions:
    """The versions that each peer can read, for senders. `reads` is a new object after each change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = PeerReads()

    async def look(self) -> None:
        """Load the versions once. Raises `Unavailable` if the database does not answer."""
        found = await load_peer_reads(self._database)
        if found != self.reads:
            self.reads = found

    async def run(self) -> None:
        """Run `look` repeatedly until cancelled. While the database is unavailable, the last result stays valid."""
        while True:
            with suppress(Unavailable):  # other parts report that the database is unavailable
                await self.look()
            await self._database.changes.pause(PEERS_EVERY_S)
