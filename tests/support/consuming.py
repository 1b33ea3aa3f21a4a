"""One instance over its database, without Kafka. It sends its transactions' messages, and reads records of others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from uuid import UUID

import asyncpg

from shared.catalog import CATALOG
from shared.core.authority import Role
from shared.core.envelope.datakeys import KeyEncryptionKey
from shared.core.protocol.message import Received, Record
from shared.core.routing.documents import DocumentStore
from shared.delivery.arriving import read_arrival
from shared.delivery.control import ControlLetterWriter
from shared.delivery.inbound import PartyInbound
from shared.delivery.sending import Handler, ScopeFactory, Settlement, StreamSending, Unit, find_sealing_keys
from shared.delivery.subjects import FeatureTracks, PartySubjects
from shared.messaging.acks import Ack, build_ack_record
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, StatedAck
from shared.messaging.composition import SegmentComposer
from shared.messaging.exceptions import OpenException, Outcome, OutcomeKind, TakenMessage
from shared.messaging.reception import ArrivedMessage, ArrivedRecord, receive_batch
from shared.messaging.relay import load_next, note_appended
from shared.messaging.scope import Scope
from shared.messaging.streams import LANES, Lane, Pair
from shared.messaging.upkeep import give_ack, retry_exceptions
from shared.platform.database.transactions import Database, RowScope, Session
from tests.support.builders import AT
from tests.support.exchange_world import World
from tests.support.manual_clock import ManualClock
from tests.support.wire_records import Written, write_segment

#: Encrypts the records of exceptions.
KEK = KeyEncryptionKey(bytes(range(32)))


class Applied:
    """A handler that records its input, refuses with `codes` by message type, and fails or hangs on `cursed` ones."""

    def __init__(self) -> None:
        self.types: list[str] = []
        self.messages: list[Received] = []
        self.settlements: list[Settlement] = []
        self.codes: dict[str, str] = {}
        self.cursed: set[UUID] = set()
        self.hangs = False
        self.calls = 0

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> Mapping[UUID, str]:
        self.calls += 1
        if self.cursed.intersection(message.message_id for message in messages):
            await (asyncio.Event().wait() if self.hangs else asyncio.sleep(0))
            raise ZeroDivisionError
        self.types += [message.message.type for message in messages]
        self.messages += messages
        coded = {message.message_id: self.codes.get(message.message.type) for message in messages}
        return {message_id: code for message_id, code in coded.items() if code is not None}

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        self.settlements += settlements


class NotedInbound(PartyInbound):
    """The product's inbound messages, with a record of each outcome."""

    noted: list[Outcome]

    async def apply(self, scope: Scope, taken: Sequence[TakenMessage]) -> list[Outcome]:
        outcomes = await super().apply(scope, taken)
        self.noted += outcomes
        return outcomes


@dataclass
class Site:
    """One instance of a world. Its clock is set to `AT`, when the world's documents are in force."""

    here: World
    instance: str
    database: Database
    handler: Handler
    features: Callable[[asyncpg.Connection], FeatureTracks]
    shelf: DocumentStore | None = None
    clock: ManualClock = field(default_factory=lambda: ManualClock(AT))
    outcomes: list[Outcome] = field(default_factory=list)
    _verifiers: dict[tuple[Pair, Lane], PartitionVerifier] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.signing = self.here.keys[self.instance].signing
        self.composer = SegmentComposer(
            self.signing,
            sealing_keys=find_sealing_keys(lambda: self.here.documents.directory, self.clock),
            control_letters=ControlLetterWriter(self.instance, self.clock),
        )
        self.database.last_step = StreamSending(self.instance, self.composer, self.subjects, clock=self.clock)
        self.scopes = ScopeFactory(
            instance=self.instance,
            database=self.database,
            composer=self.composer,
            subjects=self.subjects,
            inbound=self.inbound,
            row_scope=self.row_scope,
            clock=self.clock,
        )

    def subjects(self, session: Session) -> PartySubjects:
        """Return the subjects in one transaction. The directory says which instance serves a party."""
        return PartySubjects(
            session, self.instance, self.features(session.driver), is_placed=self._is_placed, now=self.clock.now()
        )

    def inbound(self, session: Session) -> NotedInbound:
        """Return the inbound messages in one transaction."""
        reader = self.here.reader(self.instance, clock=self.clock)
        made = NotedInbound(session, self.handler, replace(reader, shelf=self.shelf or reader.shelf), kek=KEK)
        made.noted = self.outcomes
        return made

    def row_scope(self) -> RowScope:
        """Return the scope of all parties of the instance."""
        return RowScope(self.here.documents.directory.parties_of(self.instance), Role.SERVICE, "apply")

    async def relay(self, peer: str) -> list[Written]:
        """Return the records that the relay appends next to the topic of a peer: both lanes, proofs included."""
        written: list[Written] = []
        for lane in LANES:
            while True:
                async with self.scopes.read() as tx:
                    batch = await load_next(tx, peer, lane)
                    if batch is None:
                        break
                    segments = dict.fromkeys(each.segment.first for each in batch.records)
                    of = {each.segment.first: each.segment for each in batch.records}
                    written += [each for first in segments for each in write_segment(of[first], self.signing)]
                    await note_appended(tx, batch, has_lost=False, now=self.clock.now())
        return written

    async def take(self, written: Sequence[Written], *, at: datetime | None = None) -> list[Outcome]:
        """Read records, each run of one partition as one batch; return the outcomes of their messages, in order."""
        before = len(self.outcomes)
        for (pair, lane), of_place in groupby(written, key=lambda each: (each.pair, each.lane)):
            arrived = [self._arrive(each, at or self.clock.now()) for each in of_place]
            async with self.scopes.open() as scope:
                await _enter(scope, pair, arrived)
                assert await receive_batch(scope, pair, lane, records=arrived) == len(arrived)
        return self.outcomes[before:]

    async def acknowledge(self, writer: str) -> list[Written]:
        """Return the due acknowledgement to the writer of streams to this instance, as a record in its topic."""
        async with self.scopes.open() as scope:
            ack = await give_ack(scope, Pair(writer, self.instance))
        if ack is None:
            return []
        return [Written(Pair(self.instance, writer), Lane.URGENT, build_ack_record(ack, self.signing))]

    async def exceptions(self) -> list[OpenException]:
        """Return the open exceptions, oldest first."""
        async with self.scopes.read() as tx:
            return await tx.list_exceptions()

    async def try_again(self, *kinds: OutcomeKind) -> list[Outcome]:
        """Try exceptions of these kinds again; return their outcomes."""
        before = len(self.outcomes)
        async with self.scopes.open() as scope:
            await retry_exceptions(scope, await scope.tx.list_exceptions(kinds=kinds))
        return self.outcomes[before:]

    def _arrive(self, each: Written, at: datetime) -> ArrivedRecord:
        where = each.pair, each.lane
        if where not in self._verifiers:
            self._verifiers[where] = PartitionVerifier(each.pair, each.lane, self.here.place_key)
        raw = self.here.streams.raw(each, at)
        (found,) = self._verifiers[where].verify([raw])
        content: ArrivedMessage | Ack | None = None
        match found:
            case PlacedMessage():
                place = each.topic, int(each.lane), raw.offset, at
                record = Record(*place, each.record.key, raw.headers, raw.value, topic_id=raw.topic_id)
                content = read_arrival(record, found, CATALOG)
            case StatedAck():
                content = found.ack
            case _:
                pass
        return ArrivedRecord(raw.topic_id, raw.offset, at, content)

    def _is_placed(self, party: str, instance: str) -> bool:
        found = self.here.documents.directory.instance_of(party)
        return found is not None and found.id == instance


async def _enter(scope: Scope, pair: Pair, records: Sequence[ArrivedRecord]) -> None:
    """Enter the incarnation of a world's stream. Worlds lack the first urgent message, which normally does this."""
    places = [(each.content.place, each.broker_time) for each in records if isinstance(each.content, ArrivedMessage)]
    incoming = await scope.tx.load_incoming(pair, lock=True)
    for place, at in places:
        is_first = place.number == 1 and place.lane is Lane.URGENT
        if not is_first and place.incarnation not in (incoming.incarnation, *incoming.closed):
            incoming.enter(place.incarnation, at)
            await scope.tx.save_incoming(incoming)
