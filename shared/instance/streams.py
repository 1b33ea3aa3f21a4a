"""The assembled streams of an instance: sending, relay, reader and upkeep.

The parts of a running instance, such as api, relay and documents. Each is restarted without effect on the others.

Erased records and ended access rights stay so in a restored database:

a key that was revoked, a role that ended or changed   by the operator's verbs: `access_end`, the journal within seconds
an address that was removed                            by its party: the journal, before that commits
sessions, links                                        ended if the database differs from the one at the last start
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import asyncpg

from shared.core.acts.catalog import Catalog
from shared.core.clock import Clock
from shared.core.errors import CausewayError, Unavailable
from shared.core.protocol.accept import ReadingInstance
from shared.core.protocol.authority import pairs_of
from shared.core.protocol.message import Draft
from shared.core.protocol.sender_verification import SigningKeys
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import DocumentStore
from shared.delivery.control import ControlLetterWriter
from shared.delivery.gate import KeptBytesBound, SendGate, debit_own, forget_senders
from shared.delivery.inbound import PartyInbound
from shared.delivery.loops import StreamRelay
from shared.delivery.reading import InboxReader
from shared.delivery.sending import (
    Handler,
    NoInbound,
    ScopeFactory,
    StreamSending,
    compose_reads,
    find_sealing_keys,
)
from shared.delivery.session_check import SessionCheck
from shared.delivery.subjects import FeatureTracks, PartySubjects
from shared.delivery.upkeep_loop import UpkeepLoop
from shared.instance.settings import InstanceKeys
from shared.messaging.composition import SegmentComposer
from shared.messaging.incarnations import Head
from shared.messaging.kafka.log import KafkaLog, read_own_heads
from shared.messaging.scope import Inbound
from shared.platform.console.accounts import END_AGAIN, PERSON, end_sessions, sign_out_of_restored
from shared.platform.courier.endpoints import REMOVE_AGAIN, WEBHOOK
from shared.platform.database.feed import begin_epoch
from shared.platform.database.journal import Erasures, Journal, journal_endings
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.http.identity import REVOKE_AGAIN, REVOKED
from shared.platform.kafka.access import KafkaAccess
from shared.platform.observability.health import end_tasks, raise_if_cancelling, until_turn
from shared.platform.observability.logs import log

BACK_OFF_S: Final = 0.5
BACK_OFF_S_MAX: Final = 10.0

Part = Callable[[], Awaitable[None]]


async def run_parts(parts: Mapping[str, Part]) -> None:
    """Run all parts until cancelled. A part that fails is logged and started again; the others continue."""
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(_kept_running(name, part), name=name)


async def first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends or fails, then end the others. If one of these does not end, the process ends."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()
    finally:
        await end_tasks(tasks)
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(has: Callable[[], object]) -> None:
    """Wait until `has` no longer raises `Unavailable`."""
    while True:
        try:
            has()
            return
        except Unavailable:
            await asyncio.sleep(0.1)


async def _kept_running(name: str, part: Part) -> None:
    back_off_s = BACK_OFF_S
    while True:
        try:
            await part()
            log("part_failed", part=name, code="part_ended")
        except asyncio.CancelledError:
            raise_if_cancelling()
            # This task was not cancelled: a library ended with the cancellation of its own task.
            log("part_failed", part=name, code="part_cancelled")
        except CausewayError as error:
            log("part_failed", part=name, code=error.code)
        except Exception as error:  # logged by name only, because its text may quote input
            log("part_failed", part=name, error=type(error).__name__)
        raise_if_cancelling()
        await asyncio.sleep(back_off_s)
        back_off_s = min(back_off_s * 2, BACK_OFF_S_MAX)


LOOK_EVERY_S: Final = 5.0
#: The statement that ends each kind of access again.
ENDS: Final[Mapping[str, str]] = {REVOKED: REVOKE_AGAIN, PERSON: END_AGAIN, WEBHOOK: REMOVE_AGAIN}


async def hold(database: Database, journal: Journal, erases: Mapping[str, str], *, clock: Clock) -> None:
    """Repeat the endings from before a restore. From then on, transactions journal endings before commit.

    `erases` are the instance's own kinds of record. Raises as `Erasures.apply` does.
    """
    erasures = Erasures(journal, {**ENDS, **erases}, clock)
    await erasures.apply(database)
    async with database.transaction() as session:
        await sign_out_of_restored(session.driver)
    assert database.last_step is not None
    database.last_step = erasures.before_commit(database.last_step)
    await journal_endings(database)


async def keep_journalling(database: Database) -> None:
    """Write the endings of the operator's verbs to the journal, until cancelled. Several processes may do so."""
    while True:
        try:
            await journal_endings(database)
        except Exception as error:  # logged by name only, because its text may quote input
            code = error.code if isinstance(error, CausewayError) else "internal_error"
            log("endings_wait", code=code, error=type(error).__name__)
        await asyncio.sleep(until_turn(LOOK_EVERY_S))


async def begin_anew(driver: asyncpg.Connection) -> None:
    """End the sign-ins of a restored database, begin a new epoch of the feeds, and the days of senders from zero."""
    await end_sessions(driver)
    await forget_senders(driver)
    await begin_epoch(driver)


@dataclass(slots=True)
class InstanceStreams:
    """The streams of one instance over its database, keys and documents.

    `lateness`: the reason why the documents here cannot be trusted, or "". `kept_bytes_max`: bytes that are kept for
    absent readers. `catalog`: the messages that it reads. Its methods raise `Unavailable` before there is a directory.
    """

    instance: str
    access: Callable[[], KafkaAccess]
    database: Database
    keys: InstanceKeys
    shelf: DocumentStore
    clock: Clock
    tracks: Callable[[asyncpg.Connection], FeatureTracks]
    lateness: Callable[[], str]
    kept_bytes_max: int
    catalog: Catalog
    session_check: SessionCheck = field(init=False)
    _kept_bytes: KeptBytesBound = field(init=False)

    def __post_init__(self) -> None:
        self._kept_bytes = KeptBytesBound(self.kept_bytes_max)
        self.session_check = SessionCheck(
            session_number=lambda: self.database.session_number, read_heads=self._read_heads, peers=self.list_peers
        )

    def directory(self) -> DirectoryIndex:
        """Return the directory in force."""
        return self.shelf.directories.active(self.clock.now())

    def row_scope(self) -> RowScope:
        """Return the scope in which the instance applies messages: all parties that it serves or served."""
        return RowScope(self.directory().reached_at(self.instance), "service", "apply")

    def list_peers(self) -> list[str]:
        """Return the instances that this one writes to, sorted: audit, and itself if its parties correspond."""
        return sorted({pair.to for pair in pairs_of(self.directory().kinds()) if pair.sender == self.instance})

    def composer(self) -> SegmentComposer:
        """Return the composer that seals and proves this instance's messages."""
        return SegmentComposer(
            self.keys.signing,
            sealing_keys=find_sealing_keys(self.directory, self.clock),
            control_letters=ControlLetterWriter(self.instance, self.clock),
        )

    def signing_keys(self) -> SigningKeys:
        """Return the keys of instances by the directories that were in force."""
        return SigningKeys(self.shelf.directories, self.clock)

    def subjects(self, session: Session) -> PartySubjects:
        """Return the subjects of this instance in a transaction."""
        return PartySubjects(
            session,
            self.instance,
            self.tracks(session.driver),
            is_placed=lambda party, instance: self.directory().serves(instance, party),
            now=self.clock.now(),
        )

    async def last_step(self, driver: asyncpg.Connection, gathered: Sequence[object]) -> None:
        """Place the messages of a transaction (`Database.last_step`).

        Raises `Unavailable("streams_full")` for new states, `QuotaExceeded` for messages beyond the day of their party.
        """
        await self._kept_bytes.check(driver, gathered)
        await debit_own(driver, gathered, lambda party: self.directory().quota(party))
        await StreamSending(self.instance, self.composer(), self.subjects, clock=self.clock)(driver, gathered)

    def scopes(self, handler: Handler | None = None) -> ScopeFactory:
        """Return the transactions of messaging. Without a handler no message of another instance can be applied."""
        return ScopeFactory(
            instance=self.instance,
            database=self.database,
            composer=self.composer(),
            subjects=self.subjects,
            inbound=partial(self._inbound, handler),
            row_scope=self.row_scope,
            clock=self.clock,
            check_session=self.session_check.check,
            on_restore=begin_anew,
        )

    def open_log(self) -> KafkaLog:
        """Return the log that this instance appends to. The caller closes it."""
        return KafkaLog(self.access(), instance=self.instance, key=self.keys.signing)

    def relay(self, kafka_log: KafkaLog, handler: Handler) -> StreamRelay:
        """Return the relay, not running."""
        return StreamRelay(
            self.scopes(handler),
            kafka_log,
            key=self.keys.signing,
            peers=self.list_peers,
            clock=self.clock,
            gate=SendGate(self.lateness),
            is_idle=self.database.changes.is_idle,
        )

    def upkeep(self, handler: Handler) -> UpkeepLoop:
        """Return the upkeep of the streams, not running."""
        return UpkeepLoop(
            self.scopes(handler),
            self.database,
            peers=self.list_peers,
            announcement=self._announce,
            law_state=self._law_state,
            clock=self.clock,
        )

    def reader(self, handler: Handler) -> InboxReader:
        """Return the reader of the inbox, not running."""
        return InboxReader(
            self.access(),
            self.instance,
            self.scopes(handler),
            keys=self.signing_keys(),
            clock=self.clock,
            catalog=self.catalog,
        )

    def _announce(self, peer: str) -> Draft:
        """Return the message with which a peer learns which versions this instance reads."""
        return compose_reads(self.instance, peer, self.directory(), at=self.clock.now(), catalog=self.catalog)

    def _inbound(self, handler: Handler | None, session: Session) -> Inbound:
        if handler is None:
            return NoInbound()
        reader = ReadingInstance(self.instance, self.shelf, list(self.keys.opening.values()), self.clock, self.catalog)
        return PartyInbound(session, handler, reader, kek=self.keys.kek)

    async def _read_heads(self, peers: Sequence[str]) -> Mapping[str, Sequence[Head]]:
        return await read_own_heads(self.access(), self.instance, peers, keys=self.signing_keys())

    def _law_state(self) -> Hashable:
        """Return a value that changes when documents arrive or take effect."""
        directories, policies = self.shelf.directories, self.shelf.policies
        in_force = self.directory().digest, policies.active(self.clock.now()).digest
        return directories.newest, policies.newest, in_force
