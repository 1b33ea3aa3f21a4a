"""The assembled streams of an instance: sending, relay, reader and upkeep."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import asyncpg

from shared.core.clock import Clock
from shared.core.protocol.accept import ReadingInstance
from shared.core.protocol.correspondents import pairs_of
from shared.core.protocol.sender_verification import SigningKeys
from shared.core.routing.directory_index import DirectoryIndex
from shared.core.routing.documents import DocumentStore
from shared.instance.delivery.control import ControlLetterWriter
from shared.instance.delivery.gate import SendGate
from shared.instance.delivery.inbound import PartyInbound
from shared.instance.delivery.loops import StreamRelay
from shared.instance.delivery.reading import InboxReader
from shared.instance.delivery.sending import (
    KeptBytesBound,
    NoInbound,
    ScopeFactory,
    StreamSending,
    compose_reads,
    find_sealing_keys,
)
from shared.instance.delivery.session_check import SessionCheck
from shared.instance.delivery.subjects import FeatureTracks, PartySubjects
from shared.instance.delivery.unit import Handler
from shared.instance.delivery.upkeep_loop import UpkeepLoop
from shared.instance.keys import InstanceKeys
from shared.messaging.composition import SegmentComposer
from shared.messaging.incarnations import Head
from shared.messaging.kafka.log import KafkaLog, read_own_heads
from shared.messaging.scope import Inbound
from shared.platform.console.accounts import end_sessions
from shared.platform.database.feed import begin_epoch
from shared.platform.database.transactions import Database, RowScope, Session
from shared.platform.kafka.access import KafkaAccess


async def begin_anew(driver: asyncpg.Connection) -> None:
    """End the sign-ins of a restored database, and begin a new epoch of the feeds."""
    await end_sessions(driver)
    await begin_epoch(driver)


@dataclass(slots=True)
class InstanceStreams:
    """The streams of one instance over its database, keys and documents.

    `lateness`: the reason why the documents here cannot be trusted, or "". `kept_bytes_max`: bytes that are kept for
    absent readers. Its methods raise `Unavailable` before there is a directory.
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

        Raises `Unavailable("streams_full")` for new states.
        """
        await self._kept_bytes.check(driver, gathered)
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
            announcement=lambda peer: compose_reads(self.instance, peer, self.directory(), at=self.clock.now()),
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
        )

    def _inbound(self, handler: Handler | None, session: Session) -> Inbound:
        if handler is None:
            return NoInbound()
        reader = ReadingInstance(self.instance, self.shelf, list(self.keys.opening.values()), self.clock)
        return PartyInbound(session, handler, reader, kek=self.keys.kek)

    async def _read_heads(self, peers: Sequence[str]) -> Mapping[str, Sequence[Head]]:
        return await read_own_heads(self.access(), self.instance, peers, keys=self.signing_keys())

    def _law_state(self) -> Hashable:
        """Return a value that changes when documents arrive or take effect."""
        directories, policies = self.shelf.directories, self.shelf.policies
        in_force = self.directory().digest, policies.active(self.clock.now()).digest
        return directories.newest, policies.newest, in_force
