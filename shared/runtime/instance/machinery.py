"""What every instance is built from: database, keys, documents, relay, consumer and bus, wired once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType

from starlette.types import ASGIApp

from shared.contracts.registry import MESSAGE_PARKED
from shared.exchange.accept import ReadingInstance, accept_batch
from shared.exchange.compose import Verdict, compose_fact, compose_receipts
from shared.exchange.message import Draft
from shared.exchange.prepare import Documents
from shared.exchange.topics import inbox_prefix
from shared.guard.edition import check_files
from shared.kernel.clock import Clock, SystemClock
from shared.kernel.errors import Refused, Unavailable
from shared.kernel.ids import coarse_uuid7, uuid7
from shared.routing.clocks import Law as ClockLaw
from shared.routing.directory_index import DirectoryIndex
from shared.routing.shelf import DocumentShelf
from shared.runtime.admission.budgets import Budgets
from shared.runtime.admission.key_table import KeyTable
from shared.runtime.courier.addresses import AddressRules
from shared.runtime.courier.courier import Courier
from shared.runtime.courier.leases import Leases
from shared.runtime.courier.sender import Sender
from shared.runtime.database.catalogue import refuse_strange_database
from shared.runtime.database.feed import Listed, Numberer
from shared.runtime.database.feed_reading import FeedListener
from shared.runtime.database.journal import Journal
from shared.runtime.database.transactions import Database, RowScope, wait_for_database
from shared.runtime.http.acts import Acts
from shared.runtime.http.edge import metrics_app
from shared.runtime.http.identity import ApiKeys
from shared.runtime.http.server import serve_http
from shared.runtime.instance.endings import hold, keep_journalling
from shared.runtime.instance.keys import InstanceKeys, load_keys, measure_key_operations
from shared.runtime.instance.law import LawWatch
from shared.runtime.instance.parts import Part, first_of, until
from shared.runtime.instance.peer_watch import PeerWatch
from shared.runtime.instance.readiness import AtWork, Readiness
from shared.runtime.instance.settings import RuntimeSettings
from shared.runtime.kafka.bus import Bus
from shared.runtime.kafka.documents import DocumentFeed, read_approver_keys
from shared.runtime.kafka.reader import LogReader
from shared.runtime.kafka.writer import KafkaLogWriter
from shared.runtime.post.arrivals import Parked
from shared.runtime.post.awaiting import Room
from shared.runtime.post.consumer import PATIENCE_S, Composers, Consumer, Handler
from shared.runtime.post.cursors import PostgresCursors
from shared.runtime.post.gate import Gate
from shared.runtime.post.inbox import Keeping, PostgresInbox
from shared.runtime.post.lease import Lease
from shared.runtime.post.numbering import Numbering
from shared.runtime.post.outbox import PostgresLanes
from shared.runtime.post.peers import PostgresPeers
from shared.runtime.post.ports import Unit
from shared.runtime.post.quarantine import Quarantine
from shared.runtime.post.relay import Relay, RelaySettings
from shared.runtime.post.stamping import sign_unnumbered
from shared.runtime.post.standing import Holding
from shared.runtime.post.talk import Stating, Talk
from shared.runtime.post.talk_loop import Speaker
from shared.runtime.timers.timers import Timers
from shared.runtime.watch.aside import SetAside
from shared.runtime.watch.health import Probe


@dataclass(slots=True)
class Machinery:
    """One instance's machinery. Made by `build_machinery`; its parts are run by the service's app."""

    instance: str
    settings: RuntimeSettings
    clock: Clock
    database: Database
    keys: InstanceKeys
    shelf: DocumentShelf
    feed: DocumentFeed
    key_table: KeyTable
    api_keys: ApiKeys
    budgets: Budgets
    numberer: Numberer
    _at_work: AtWork = field(default_factory=AtWork)
    aside: SetAside = field(default_factory=SetAside)
    law: LawWatch = field(init=False)
    peers: PeerWatch = field(init=False)
    listener: FeedListener = field(init=False)

    def __post_init__(self) -> None:
        self.law = LawWatch(self.shelf, self.feed, self.clock, hours=self.settings.hold_hours())
        self.peers = PeerWatch(self.database)
        self.listener = FeedListener(self.database)

    def documents(self) -> Documents:
        """The directory and policy to decide by now, and who reads what. Raises `Unavailable` as `LawWatch` does."""
        return replace(self.law.documents(), reads=self.peers.reads)

    def directory(self) -> DirectoryIndex:
        """The directory in force now, however old: whom to answer does not wait for the operator."""
        return self.shelf.directories.active(self.clock.now())

    def service_scope(self) -> RowScope:
        """The scope in which the instance itself applies messages: all parties it serves, or did until they moved."""
        return RowScope(self.directory().reached_at(self.instance), "service", "apply")

    def speaking_scope(self) -> RowScope:
        """The scope in which it acts by rule and clock, and says so. For who is suspended it waits."""
        directory = self.directory()
        return RowScope(directory.heard_of(directory.reached_at(self.instance)), "service", "apply")

    def wake(self) -> None:
        """Something has committed. A part that another process runs does not hear of it: it polls."""
        self.numberer.wake()
        if self._at_work.relay is not None:
            self._at_work.relay.wake()

    def wake_soon(self) -> None:
        """A batch has committed, and there are receipts in the outbox: `Relay.wake_soon`."""
        self.numberer.wake()
        if self._at_work.relay is not None:
            self._at_work.relay.wake_soon()

    def acts(self) -> Acts:
        return Acts(self.database, self.wake)

    async def run_documents(self) -> None:
        await wait_for_database(self.database)
        beside = [asyncio.create_task(self.law.run()), asyncio.create_task(keep_journalling(self.database))]
        try:
            await self.feed.run()
        finally:
            for each in beside:
                each.cancel()

    async def run_api(self, http: ASGIApp) -> None:
        """Serve a party's door. Who waits there for an event is answered when this ends."""
        await first_of(
            serve_http(http, self.settings.http_host, self.settings.http_port),
            self.listener.run(),
        )

    async def run_numberer(self) -> None:
        """Give what was committed its place in the feeds and lists of its parties."""
        await wait_for_database(self.database)
        await self.numberer.run()

    def address_rules(self) -> AddressRules:
        """Where parties may have their events sent."""
        return AddressRules(loopback_http=self.settings.webhooks_to_loopback)

    async def run_courier(self) -> None:
        """Send parties' events to the addresses that they have registered."""
        await until(self.require_listed)
        leases = Leases(self.database, self.keys.kek, lambda: self.directory().parties_of(self.instance))
        await Courier(
            leases,
            Sender(self.address_rules()),
            clock=self.clock,
            name_of=lambda party: self.keys.kek.actor_id(party, b""),
            suspended=lambda party: self.directory().is_suspended(party),
            wake=self.numberer.wake,
        ).run()

    def timers(self) -> Timers:
        """What falls due for the parties of this instance."""
        return Timers(self.database, self.law_at, self.clock, scope=self.service_scope, wake=self.numberer.wake)

    async def run_timers(self) -> None:
        """Tell parties what falls due, once there is law. Any number of processes may."""
        with self._at_work.running("timers"):
            await wait_for_database(self.database)
            await until(lambda: self.law_at(self.clock.now()))
            timers = self._at_work.timers = self.timers()
            try:
                await timers.run()
            finally:
                self._at_work.timers = None

    def law_at(self, at: datetime) -> ClockLaw:
        """What clocks are counted by at an instant. Raises `Unavailable` before the first documents."""
        hour = timedelta(seconds=self.settings.policy_hour_s)
        directories, policies = self.shelf.directories, self.shelf.policies
        since = max(directories.first, policies.first)
        at = max(at, since)
        return ClockLaw(directories.active(at), policies.active(at), hour, since)

    async def run_relay(self, holding: Holding | None = None) -> None:
        """Publish as the one relay of this database, and talk with peers; stand by while another process does.

        Raises `Unavailable("lease_lost")` when another has become the one.
        """
        writer = KafkaLogWriter(self.settings.kafka_access(), instance=self.instance)
        lease = Lease(self.database, "relay")
        with self._at_work.running("relay"):
            try:
                fence = await lease.wait()
                relay = self._at_work.relay = self._relay(fence, writer)
                await first_of(relay.run(), lease.keep(fence), self._speaker(relay, holding).run())
            finally:
                self._at_work.relay = None
                await writer.close()
                await lease.release()

    def _relay(self, fence: int, writer: KafkaLogWriter) -> Relay:
        sign = partial(sign_unnumbered, epoch=coarse_uuid7(self.clock.now()))
        return Relay(
            PostgresLanes(self.database, fence=fence),
            writer,
            clock=self.clock,
            sign=partial(sign, instance=self.instance, key=self.keys.signing),
            gate=Gate(self.feed.beat.lateness),
            settings=RelaySettings(batch_rows_max=self.settings.batch_rows_max),
        )

    def _speaker(self, relay: Relay, holding: Holding | None) -> Speaker:
        return Speaker(self._inbox(), self._stating(), peers=_peers, say=relay.say, holding=holding)

    def _stating(self) -> Stating:
        return Stating(self.instance, self.directory, self.clock)

    async def run_bus(self, handler: Handler) -> None:
        """Consume this instance's inbox topics once the documents are there."""
        with self._at_work.running("bus"):
            await until(self.require_listed)
            bus = self._at_work.bus = self.bus(handler)
            try:
                await bus.run()
            finally:
                self._at_work.bus = None

    def bus(self, handler: Handler) -> Bus:
        cursors = PostgresCursors(self.database)
        return Bus(
            self.settings.kafka_access(), self.instance, self.consumer(handler), cursors=cursors, clock=self.clock
        )

    def consumer(self, handler: Handler, *, patience_s: float = PATIENCE_S) -> Consumer:
        reader = ReadingInstance(self.instance, self.shelf, list(self.keys.opening.values()), self.clock)
        return Consumer(
            self._inbox(),
            handler,
            accept=partial(accept_batch, reader=reader),
            composers=Composers(self._receipts, self._parked),
            conversation=Talk(self._stating(), peers=_peers, holding=handler),
            clock=self.clock,
            patience_s=patience_s,
        )

    def quarantine(self, handler: Handler) -> Quarantine:
        """What this instance has parked. Raises `Unavailable` before the documents have arrived."""
        self.require_listed()
        return Quarantine(
            self.database,
            consumer=self.consumer(handler, patience_s=0),
            inbox=self._inbox(),
            reader=LogReader(
                self.settings.kafka_access(),
                client_id=f"causeway-{self.instance}-quarantine",
                under=inbox_prefix(self.instance),
            ),
            kek=self.keys.kek,
            clock=self.clock,
        )

    def require_listed(self) -> None:
        """Raises `Unavailable` unless there is a directory and it has this instance: without, nobody is its peer."""
        if self.shelf.directories.active(self.clock.now()).instance(self.instance) is None:
            raise Unavailable("instance_not_in_directory")

    @property
    def readiness(self) -> Readiness:
        """What says whether this instance is ready."""
        return Readiness(
            database=self.database,
            feed=self.feed,
            settings=self.settings,
            clock=self.clock,
            at_work=self._at_work,
        )

    def probes(self) -> Sequence[Probe]:
        return (*self.readiness.probes(), self.law.check, self.aside.check)

    def watching(self, measure_own: Callable[[], None] | None = None) -> dict[str, Part]:
        """The part that shows the metrics, where the settings give it a port.

        `measure_own` sets the gauges of an instance that has no lanes and no inbox, in place of theirs.
        """

        async def measure() -> None:
            self.law.look()
            measure_key_operations()
            if measure_own is None:
                await self.readiness.measure()
            else:
                measure_own()

        host, port = self.settings.metrics_host, self.settings.metrics_port
        if port is None:
            return {}
        app = metrics_app(measure)
        return {"metrics": lambda: serve_http(app, host, port)}

    async def close(self) -> None:
        await self.key_table.close()
        await self.database.close()

    def _inbox(self) -> PostgresInbox:
        room = Room(self.settings.awaiting_rows_max, self.settings.awaiting_bytes_max)
        keeping = Keeping(self.keys.kek, lambda need: need.met(self.shelf), room)
        return PostgresInbox(self.database, scope=self.service_scope, keeping=keeping, wake=self.wake_soon)

    def _receipts(self, to: str, verdicts: Sequence[Verdict]) -> list[Draft]:
        return compose_receipts(self.instance, to, verdicts, directory=self.directory(), at=self.clock.now())

    def _parked(self, parked: Sequence[Parked]) -> list[Draft]:
        directory, at = self.directory(), self.clock.now()
        return [
            compose_fact(
                MESSAGE_PARKED,
                each.fact(),
                subject=uuid7(),
                instance=self.instance,
                directory=directory,
                exercise=False,
                at=at,
            )
            for each in parked
        ]


async def build_machinery(
    instance: str,
    settings: RuntimeSettings,
    *,
    listed: Mapping[str, Listed] = MappingProxyType({}),
    erases: Mapping[str, str] = MappingProxyType({}),
) -> Machinery:
    """Wire an instance from its settings. Reads key files and the document table; needs no broker.

    `listed` is what each type of event begins (`Numberer`), `erases` how each kind of record is erased once more
    (`hold`): that is done before anything of the instance starts.

    Raises `Refused` where the database is not one that this code's migrations made (`schema_unknown`) or knows another
    journal of erasures (`erasure_journal_…`), and `ValueError` where a file of the guard was altered.
    """
    check_files()
    clock = SystemClock()
    database = Database(settings.database_url.get_secret_value(), pool_size=settings.database_pool_size)
    keys = load_keys(
        settings.keys_dir, signing_key=settings.signing_key, opening_key=settings.opening_key, kek=settings.kek
    )
    database.last_step = Numbering(instance, keys.signing)
    shelf = DocumentShelf()
    feed = DocumentFeed(
        settings.kafka_access(),
        database,
        shelf,
        instance=instance,
        approver_keys=read_approver_keys(settings.approver_keys_file),
        clock=clock,
    )
    await wait_for_database(database)
    try:
        await refuse_strange_database(database, whose=instance)
        await hold(database, Journal(settings.erasures_journal()), erases, clock=clock)
    except Refused:
        await database.close()
        raise
    await feed.load()
    key_table = KeyTable(database)
    # Before any part opens a port: after a restart a valid key waits behind no other.
    await key_table.open()
    api_keys = ApiKeys(
        key_table, instance=instance, directory=lambda: shelf.directories.active(clock.now()), kek=keys.kek
    )
    budgets = Budgets(settings.budget_limits(), clock)
    numberer = Numberer(database, listed)
    return Machinery(instance, settings, clock, database, keys, shelf, feed, key_table, api_keys, budgets, numberer)


def _peers(unit: Unit) -> PostgresPeers:
    return PostgresPeers(unit.connection.driver)
