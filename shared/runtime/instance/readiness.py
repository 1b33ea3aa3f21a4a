"""Whether an instance is ready, and what for it waits: what /readyz asks, and the gauges of its stores and its bus.

The documents that it decides by are looked at here, and what its peers read: alarms say what ages in them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from shared.exchange.prepare import Documents
from shared.exchange.preservation import Hours
from shared.exchange.read_capabilities import PeerReads
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.routing import ageing
from shared.routing.documents import DocumentShelf
from shared.routing.edition import Age, Edition
from shared.runtime.database.transactions import Database
from shared.runtime.delivery.gate import REASONS
from shared.runtime.delivery.loops import StreamRelay
from shared.runtime.delivery.reading import InboxReader
from shared.runtime.delivery.sending import load_peer_reads
from shared.runtime.instance.settings import RuntimeSettings
from shared.runtime.kafka.access import KAFKA_ERRORS
from shared.runtime.kafka.documents import DocumentFeed
from shared.runtime.timers.timers import Timers
from shared.runtime.watch.health import Check, Probe
from shared.runtime.watch.logs import log
from shared.runtime.watch.metrics import (
    BEAT_AGE_SECONDS,
    BUS_LAG_RECORDS,
    DOCUMENT_DAYS_LEFT,
    EDGES_WAIT,
    LAW_AGED,
    Ages,
    load_ages,
    measure_stores,
)

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


LOOK_EVERY_S: Final = 60.0
_AN_HOUR: Final = Hours()


class LawWatch:
    """Looks at what is in force. Says what ages once, when it begins to, and again after a restart of the process."""

    def __init__(self, shelf: DocumentShelf, feed: DocumentFeed, clock: Clock, *, hours: Hours = _AN_HOUR) -> None:
        """`hours`: how long those of hold windows last."""
        self._hours = hours
        self._shelf = shelf
        self._feed = feed
        self._clock = clock
        self._said: set[tuple[str, str]] = set()
        self._ages: dict[str, Age] = {}

    def documents(self) -> Documents:
        """The directory and policy to decide by now.

        Raises `Unavailable`: `document_unknown` before the first have arrived, `documents_expired` when one should have
        been replaced long ago and its grace is over.
        """
        now = self._clock.now()
        found = Documents(self._shelf.directories.active(now), self._shelf.policies.active(now), hours=self._hours)
        if Age.EXPIRED in (found.directory.edition.age(now.date()), found.policy.edition.age(now.date())):
            raise Unavailable("documents_expired")
        return found

    def documents_at(self, at: datetime) -> Documents:
        """Those that were in force at `at`, as is known now. Raises `Unavailable` before the first."""
        return Documents(self._shelf.directories.active(at), self._shelf.policies.active(at), hours=self._hours)

    def look(self) -> list[tuple[str, str]]:
        """Measure, and log what is new; what must be looked at, as (instrument, reason). Nothing before the first."""
        now = self._clock.now()
        try:
            directory, policy = self._shelf.directories.active(now), self._shelf.policies.active(now)
        except Unavailable:
            return []
        BEAT_AGE_SECONDS.set(self._feed.beat.age_s())
        self._measure("directory", directory.edition, now.date())
        self._measure("policy", policy.edition, now.date())
        found = ageing.aged(policy.document, now.date())
        counts = Counter(reason for _, reason in found)
        for reason in ageing.REASONS:
            LAW_AGED.labels(reason).set(counts[reason])
        for instrument, reason in sorted(set(found) - self._said):
            log("law_aged", instrument=instrument, code=reason)
        for instrument, reason in sorted(self._said - set(found)):
            log("law_reviewed", instrument=instrument, code=reason)
        self._said = set(found)
        return found

    async def check(self) -> Check:
        """For /readyz: always ready, since what may not be decided waits by itself; what ages is shown."""
        found = self.look()
        late = [age for age in self._ages.values() if age is not Age.FRESH]
        return Check("law", True, max(late, key=list(Age).index) if late else "law_aged" if found else "")

    async def run(self) -> None:
        """Look for ever: whatever of a document cannot be measured, it ages, and is looked at again."""
        while True:
            try:
                self.look()
            except Exception as error:
                log("part_failed", part="law", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    def _measure(self, kind: str, edition: Edition, on: date) -> None:
        DOCUMENT_DAYS_LEFT.labels(kind).set(edition.days_left(on))
        age = edition.age(on)
        if age not in (Age.FRESH, self._ages.get(kind)):
            log("document_ages", kind=kind, code=age.value)
        self._ages[kind] = age


PEERS_EVERY_S: Final = 5.0


class PeerWatch:
    """Whoever writes to a peer asks it what that reads; `reads` is another object after each change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = PeerReads()

    async def look(self) -> None:
        """Look once. Raises `Unavailable` if the database does not answer."""
        found = await load_peer_reads(self._database)
        if found != self.reads:
            self.reads = found

    async def run(self) -> None:
        """Look for ever. While the database is away, what was known last holds."""
        while True:
            with suppress(Unavailable):  # whoever needs the database says so itself
                await self.look()
            await asyncio.sleep(PEERS_EVERY_S)
