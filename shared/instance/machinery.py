"""The machinery of every instance: database, keys, documents, relay, consumer and bus, assembled once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

import asyncpg
from fastapi import FastAPI
from starlette.types import ASGIApp

from shared.catalog import CATALOG
from shared.core.acts.catalog import Catalog
from shared.core.clock import Clock, SystemClock
from shared.core.errors import Refused, Unavailable
from shared.core.guard.edition import check_files
from shared.core.protocol.prepare import Documents
from shared.core.protocol.preservation import hours_of
from shared.core.routing.clocks import Law as ClockLaw
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import DocumentStore
from shared.delivery.exception_desk import ExceptionDesk
from shared.delivery.loops import StreamRelay
from shared.delivery.sending import Handler
from shared.delivery.session_check import READ_S_MAX
from shared.delivery.subjects import FeatureTracks
from shared.instance.readiness import DocumentMonitor, PeerVersions, Readiness, RunningParts
from shared.instance.settings import InstanceKeys, RuntimeSettings, load_keys, measure_key_operations
from shared.instance.streams import InstanceStreams, Part, first_of, hold, keep_journalling, until
from shared.messaging.segments import Segment
from shared.platform.admission.budgets import Budgets
from shared.platform.admission.key_table import KeyTable
from shared.platform.courier.addresses import AddressRules
from shared.platform.courier.courier import WebhookDispatcher
from shared.platform.courier.leases import DeliveryLeases
from shared.platform.courier.sender import Sender
from shared.platform.database.feed import FeedListener
from shared.platform.database.journal import Journal
from shared.platform.database.lease import ProcessLease
from shared.platform.database.migrate import read_catalogue, refuse_stranger
from shared.platform.database.transactions import Database, RowScope, wait_for_database
from shared.platform.http.identity import ApiKeys
from shared.platform.http.probes import serve_probes
from shared.platform.http.server import serve_http
from shared.platform.kafka.documents import DocumentFeed, read_approver_keys
from shared.platform.observability.health import LoopWatch, Probe
from shared.platform.observability.retry_backoff import RetryBackoff
from shared.platform.timers.timers import Timers

#: Seconds in which a transaction of a running instance ends. Work that hangs is undone, and then done alone.
WORK_S_MAX: Final = 60.0


@dataclass(slots=True)
class InstanceParts:
    """One instance's machinery. `build_machinery` creates it, and the service's app runs its parts."""

    instance: str
    settings: RuntimeSettings
    clock: Clock
    database: Database
    keys: InstanceKeys
    shelf: DocumentStore
    feed: DocumentFeed
    key_table: KeyTable
    api_keys: ApiKeys
    budgets: Budgets
    #: Returns the tracks of the service's features in a transaction.
    tracks: Callable[[asyncpg.Connection], FeatureTracks] = FeatureTracks
    #: The messages and acts of this release.
    catalog: Catalog = CATALOG
    streams: InstanceStreams = field(init=False)
    _at_work: RunningParts = field(default_factory=RunningParts)
    aside: RetryBackoff = field(default_factory=RetryBackoff)
    law: DocumentMonitor = field(init=False)
    peers: PeerVersions = field(init=False)
    listener: FeedListener = field(init=False)
    loop_watch: LoopWatch = field(default_factory=LoopWatch)
    _checking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.database.law_at = self.law_at
        self.streams = InstanceStreams(
            *(self.instance, self.settings.kafka_access, self.database, self.keys, self.shelf, self.clock, self.tracks),
            lateness=lambda: self.feed.beat.lateness(),
            kept_bytes_max=self.settings.kept_bytes_max,
            catalog=self.catalog,
        )
        self.law = DocumentMonitor(self.shelf, self.feed, self.clock, slot=self.settings.issue_slot())
        self.peers = PeerVersions(self.database)
        self.listener = FeedListener(self.database)
        self.database.tell_numbered = self.listener.announce
        self.database.hand_over = self._hand_over
        self.database.changes.wake = self.wake

    def documents(self) -> Documents:
        """Return the documents for decisions now, and the versions that peers read. Raises as the monitor does."""
        return replace(self.law.documents(), reads=self.peers.reads)

    def directory(self) -> DirectoryIndex:
        """Return the directory in force now, even if it has expired, because answers do not wait for a new one."""
        return self.shelf.directories.active(self.clock.now())

    def speaking_scope(self) -> RowScope:
        """Return the scope in which the instance acts by rule and deadline. It excludes suspended parties."""
        directory = self.directory()
        return RowScope(directory.heard_of(directory.reached_at(self.instance)), "service", "apply")

    def wake(self) -> None:
        """Wake the relay after a commit. A relay in another process is notified of segments and numbers."""
        if self._at_work.relay is not None:
            self._at_work.relay.wake()

    def _hand_over(self, segments: Sequence[Segment]) -> None:
        if self._at_work.relay is not None:
            self._at_work.relay.hand_over(segments)
        else:
            self.listener.announce({self.instance: 0})  # no party, and no number: it only wakes the relay's process

    async def run_documents(self) -> None:
        await wait_for_database(self.database)
        beside = [asyncio.create_task(self.law.run()), asyncio.create_task(keep_journalling(self.database))]
        try:
            await self.feed.run()
        finally:
            for each in beside:
                each.cancel()

    async def run_api(self, http: ASGIApp) -> None:
        """Serve the API of parties, once the own topics are compared. Waiting requests are answered when this ends."""
        self.streams.session_check.require()
        await first_of(self._serve(http), self.listener.run(), self._check_sessions())

    async def _serve(self, http: ASGIApp) -> None:
        with suppress(Unavailable):  # the instance cannot accept anything yet; its probes say so
            self.require_listed()
            await self.streams.session_check.wait(READ_S_MAX + 1)
        await self.listen(http)

    async def listen(self, http: ASGIApp) -> None:
        """Serve at the API's port until cancelled."""
        settings = self.settings
        proxies = settings.trusted_proxies
        await serve_http(http, settings.http_host, settings.http_port, scheme=settings.site_scheme, proxies=proxies)

    async def _check_sessions(self) -> None:
        """Compare the own topics at each database session. Only one part of this process does it at a time."""
        async with self._checking:
            await until(self.require_listed)
            await self.streams.session_check.run(self.streams.scopes())

    def address_rules(self) -> AddressRules:
        """Return the rules for the addresses of parties' webhooks."""
        return AddressRules(loopback_http=self.settings.webhooks_to_loopback)

    async def run_courier(self) -> None:
        """Send parties' events to the addresses that they have registered, once the own topics are compared."""
        leases = DeliveryLeases(self.database, self.keys.kek, lambda: self.directory().parties_of(self.instance))
        courier = WebhookDispatcher(
            leases,
            Sender(self.address_rules()),
            clock=self.clock,
            name_of=lambda party: self.keys.kek.actor_id(party, b""),
            suspended=lambda party: self.directory().is_suspended(party),
        )
        await self._once_compared(courier.run)

    async def _once_compared(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do this work once the own topics are compared, and compare them at each database session meanwhile."""
        self.streams.session_check.require()

        async def begin() -> None:
            await self.streams.session_check.wait()
            await work()

        await first_of(begin(), self._check_sessions())

    def timers(self) -> Timers:
        """Return the timers of this instance's parties."""
        return Timers(self.database, self.law_at, self.clock, scope=self.streams.row_scope)

    async def rebuild_timers(self) -> int:
        """Compute every deadline again, once the own topics are compared; return the number of edges.

        Raises `Unavailable` before the first documents.
        """
        self.require_listed()
        looked = list[int]()

        async def rebuild() -> None:
            looked.append(await self.timers().rebuild())

        await self._once_compared(rebuild)
        return sum(looked)

    async def run_timers(self) -> None:
        """Notify parties of deadlines, once there are documents and the own topics are compared.

        Any number of processes may do this at once.
        """
        self.streams.session_check.require()
        with self._at_work.running("timers"):
            await wait_for_database(self.database)
            await until(lambda: self.law_at(self.clock.now()))
            await self._once_compared(self._run_timers)

    async def _run_timers(self) -> None:
        timers = self._at_work.timers = self.timers()
        try:
            await timers.run()
        finally:
            self._at_work.timers = None

    def law_at(self, at: datetime) -> ClockLaw:
        """Return the documents for deadlines at an instant. Raises `Unavailable` before the first documents."""
        directories, policies = self.shelf.directories, self.shelf.policies
        since = max(directories.first, policies.first)
        at = max(at, since)
        policy = policies.active(at)
        return ClockLaw(directories.active(at), policy, hours_of(policy.document).hour, since)

    async def run_relay(self, handler: Handler) -> None:
        """Append to Kafka and maintain the streams as the one relay of this database; wait while another process does.

        Raises `Unavailable("lease_lost")` when another process has taken the lease.
        """
        self.streams.session_check.require()
        with self._at_work.running("relay"):
            await first_of(self._relay(handler), self._check_sessions())

    async def _relay(self, handler: Handler) -> None:
        lease = ProcessLease(self.database, "relay")
        kafka_log = self.streams.open_log()
        try:
            fence = await lease.wait()
            relay = self._at_work.relay = self.streams.relay(kafka_log, handler)
            await first_of(self._run_streams(relay, handler), lease.keep(fence))
        finally:
            self._at_work.relay = None
            await kafka_log.close()
            await lease.release()

    async def _run_streams(self, relay: StreamRelay, handler: Handler) -> None:
        await self.streams.session_check.wait()
        await first_of(relay.run(), self.streams.upkeep(handler).run())

    async def run_bus(self, handler: Handler) -> None:
        """Read this instance's inbox topics once the documents are there; wait while another process does."""
        self.streams.session_check.require()
        with self._at_work.running("bus"):
            await until(self.require_listed)
            await first_of(self._read_inbox(handler), self._check_sessions())

    async def _read_inbox(self, handler: Handler) -> None:
        lease = ProcessLease(self.database, "reader")
        self._at_work.is_reader_waiting = True
        try:
            fence = await lease.wait()
            await self.streams.session_check.wait()
            self._at_work.is_reader_waiting = False
            reader = self._at_work.bus = self.streams.reader(handler)
            await first_of(reader.run(), lease.keep(fence))
        finally:
            self._at_work.bus, self._at_work.is_reader_waiting = None, False
            await lease.release()

    def exceptions(self, handler: Handler) -> ExceptionDesk:
        """Return the exceptions of this instance. Raises `Unavailable` before the documents have arrived."""
        self.require_listed()
        return ExceptionDesk(self.streams.scopes(handler))

    def require_listed(self) -> None:
        """Check that the directory has this instance, without which it has no peers. Raises `Unavailable`."""
        if self.shelf.directories.active(self.clock.now()).instance(self.instance) is None:
            raise Unavailable("instance_not_in_directory")

    @property
    def readiness(self) -> Readiness:
        """The readiness checks of this instance."""
        return Readiness(self.database, self.feed, self.settings, self.clock, self._at_work)

    def probes(self) -> Sequence[Probe]:
        return (*self.readiness.probes(), self.law.check, self.aside.check)

    def watching(self, http: FastAPI, measure_own: Callable[[], None] | None = None) -> dict[str, Part]:
        """Return the part that answers probes and serves the metrics, if the settings give it a port.

        `measure_own` sets the gauges of an instance without lanes and inbox, instead of the usual ones.
        """

        async def measure() -> None:
            self.law.look()
            measure_key_operations()
            if measure_own is None:
                await self.readiness.measure()
            else:
                measure_own()

        host, port, read = self.settings.metrics_host, self.settings.metrics_port, http.state.readiness.read
        if port is None:
            return {}
        return {"metrics": lambda: serve_probes(host, port, self.loop_watch, read=read, measure=measure)}

    async def close(self) -> None:
        await self.key_table.close()
        await self.database.close()


async def build_machinery(
    instance: str,
    settings: RuntimeSettings,
    *,
    erases: Mapping[str, str] = MappingProxyType({}),
    tracks: Callable[[asyncpg.Connection], FeatureTracks] = FeatureTracks,
) -> InstanceParts:
    """Assemble an instance from its settings. Reads key files and the document table; needs no broker.

    `erases` has the statement that erases each kind of record again (`hold`); they run before the instance starts.
    `tracks` are those of the service's features.

    Raises `Refused` if the migrations of this code did not create the database (`schema_unknown`), or if the database
    belongs to another erasure journal (`erasure_journal_…`). Raises `ValueError` if a file of the guard was altered.
    """
    check_files()
    clock = SystemClock()
    database = Database(settings.database_url.get_secret_value(), pool_size=settings.database_pool_size)
    keys = load_keys(
        settings.keys_dir, signing_key=settings.signing_key, opening_key=settings.opening_key, kek=settings.kek
    )
    shelf = DocumentStore()
    feed = DocumentFeed(
        settings.kafka_access(),
        database,
        shelf,
        instance=instance,
        approver_keys=read_approver_keys(settings.approver_keys_file),
        clock=clock,
    )
    key_table = KeyTable(database)
    directory = lambda: shelf.directories.active(clock.now())  # noqa: E731
    api_keys = ApiKeys(key_table, instance=instance, directory=directory, kek=keys.kek, clock=clock)
    budgets = Budgets(settings.budget_limits(), clock)
    machinery = InstanceParts(
        instance, settings, clock, database, keys, shelf, feed, key_table, api_keys, budgets, tracks=tracks
    )
    database.last_step = machinery.streams.last_step
    database.check_session = machinery.streams.session_check.check
    database.begin_session = machinery.streams.session_check.begin
    await _begin(machinery, erases)
    database.work_s_max = WORK_S_MAX
    # Keys are loaded before any part opens a port, so that after a restart a valid key does not wait for others.
    await key_table.open()
    return machinery


async def _begin(machinery: InstanceParts, erases: Mapping[str, str]) -> None:
    """Check the database, repeat the endings from before a restore, and load the documents. Raises `Refused`."""
    database, clock = machinery.database, machinery.clock
    await wait_for_database(database)
    try:
        async with database.transaction() as session:  # before the instance writes to the database
            refuse_stranger(await read_catalogue(session.driver), whose=machinery.instance)
        await hold(database, Journal(machinery.settings.erasures_journal()), erases, clock=clock)
    except Refused:
        await database.close()
        raise
    await machinery.feed.load()
