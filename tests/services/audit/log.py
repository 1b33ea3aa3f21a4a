"""A log that audit reads: records of a small world, stored as the reader stores them, and viewed as an auditor does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.audit import intake, use_cases
from services.audit.domain.entries import Acknowledgement, AuditBatch, AuditEntry
from services.audit.domain.partitions import PartitionId
from services.audit.domain.reading import ObservedRecord, Reading, read_records
from services.audit.domain.shown import Access, Partition
from services.audit.intake import SEGMENT_RECORDS, StreamVerifier, pair_of
from services.audit.store.entries import PostgresEntries, PostgresPartitions
from shared.core.authority import Role
from shared.core.contracts.registry import OUTCOME_REPORTED
from shared.core.envelope.content_proof import leaf_digest
from shared.core.envelope.headers import decode_headers
from shared.core.ids import uuid7
from shared.core.protocol.message import Record, compose
from shared.core.protocol.prepare import Prepared
from shared.delivery.control import ControlLetterWriter
from shared.messaging import streams
from shared.messaging.composition import SegmentComposer
from shared.messaging.contract import ControlBody
from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, OutcomeList
from shared.messaging.placement import PLACE, covered_bytes, parse_place
from shared.messaging.ports import MessageDraft
from shared.messaging.resync import Holdings, ResyncRequest
from shared.messaging.segments import NewMessages
from shared.messaging.streams import Lane, Pair, StreamPlace
from shared.platform.database.transactions import Database
from tests.services.audit.broker import Broker
from tests.support.builders import HOTLINE, POLICE
from tests.support.exchange_world import LONG_AFTER, World, world
from tests.support.manual_clock import ManualClock
from tests.support.wire_records import Written, verify, write_segment

AUDITOR = "auditor.example"
PURPOSE = "a yearly review"


_ROLE = streams.WireRole
_ROLES = {OutcomeList: _ROLE.OUTCOMES, Holdings: _ROLE.HOLDINGS, ResyncRequest: _ROLE.RESYNC}


@dataclass
class Log:
    """One world's topics and the entries that audit has of them. `topic_id` is for topics whose records name none."""

    database: Database
    world: World = field(default_factory=world)
    topic_id: UUID = field(default_factory=uuid7)

    @property
    def entries(self) -> PostgresEntries:
        return PostgresEntries(self.database)

    @property
    def partitions(self) -> PostgresPartitions:
        return PostgresPartitions(self.database)

    @property
    def reading(self) -> Reading:
        """Return audit's reading context, with a clock long after the world's time."""
        world = self.world
        clock = ManualClock(world.at + LONG_AFTER)
        return Reading(world.shelf, [world.keys["audit"].opening], clock, world.catalog)

    def read(self, *records: Record) -> AuditBatch:
        """Read records as messages that were accepted at their places."""
        read = AuditBatch()
        read_records([self.observed(each) for each in records], read, reading=self.reading)
        return read

    def entries_of(self, *records: Record) -> list[AuditEntry]:
        return self.read(*records).entries

    def observed(self, record: Record) -> ObservedRecord:
        """Return a message at its place, or a record whose place proves nothing."""
        known = replace(record, topic_id=record.topic_id or self.topic_id)
        pair = pair_of(record.topic)
        if not record.writer:
            return ObservedRecord(known, pair, code="place_malformed" if place_of(record) is None else "proof_missing")
        return ObservedRecord(known, pair, place_of(record), bytes.fromhex(identity(record)[1]))

    async def keep(self, *records: Record) -> None:
        """Store records, accepted in this order."""
        read = self.read(*records)
        lives = [PartitionId(each.topic, each.topic_id, each.partition) for each in read.entries]
        async with self.entries.transaction() as opened:
            await opened.begin([], lives)
            await opened.append(read)

    async def take(self, broker: Broker, *, records_max: int = 500) -> None:
        """Read the new records of all topics by their real bytes, as a reader does after its start."""
        now = self.reading.clock.now()
        held = {at: (broker.topics[at.topic].topic_id, bounds) for at, bounds in (await broker.bounds()).items()}
        begun = await intake.begin(held, entries=self.entries, now=now)
        keys = self.reading.signing_keys
        for place, (offset, _) in begun.items():
            pair = pair_of(place.topic)
            topic_id, bounds = held[place]
            verifier = StreamVerifier(pair, Lane(place.partition), keys, topic_id=topic_id, next_offset=offset)
            start = max(bounds.first, offset - SEGMENT_RECORDS)
            async for found in broker.read_range(place, start, bounds.end):
                for first in range(0, len(found), records_max):
                    if (batch := verifier.verify(found[first : first + records_max])).arrived:
                        await intake.keep([batch], entries=self.entries, reading=self.reading)

    async def file(self, prepared: Prepared) -> list[Record]:
        """Store the records of a submitted referral and return them. The last one is the fact for audit."""
        records = self.world.records(prepared.drafts)
        await self.keep(*records)
        return records

    def control(self, body: ControlBody, *, by: str, to: str) -> list[Written]:
        """Return the records of a protocol message from one instance to another. Its proof is first."""
        return self.placed(self.composed(body, by=by, to=to), by=by)

    def composed(self, body: ControlBody, *, by: str, to: str) -> NewMessages:
        """Compose a protocol message from one instance to another."""
        role = _ROLES[type(body)]
        letters = ControlLetterWriter(by, ManualClock(self.world.at))
        composer = SegmentComposer(
            self.world.keys[by].signing, sealing_keys=self.world._sealing_key, control_letters=letters
        )
        draft = MessageDraft(to, role, role.value, None, body)
        (unplaced,) = composer.compose(Pair(by, to), {Lane.URGENT: [draft]})
        return unplaced

    def placed(self, unplaced: NewMessages, *, by: str) -> list[Written]:
        """Return the records of a message at its next place. Its proof is first."""
        return write_segment(self.world.streams.place(unplaced, self.world.at), self.world.keys[by].signing)

    def opening(self, pair: Pair) -> list[Written]:
        """Return the records of number 1 in a pair's urgent lane. A reader enters an incarnation with them."""
        return self.control(ResyncRequest(uuid7()), by=pair.writer, to=pair.addressee)

    def said(self, body: ControlBody, *, by: str, to: str) -> Record:
        """Return a protocol message as audit has accepted it."""
        written = self.control(body, by=by, to=to)
        [record] = verify(written, self.world.streams, at=self.world.at, keys=self.world.place_key)
        return record

    def reported(
        self, of: Record, outcome: OutcomeKind, code: str | None = None, *, by: str = "law_enforcement"
    ) -> Record:
        """Return the message by which an instance reports the outcome of one of the hotlines' messages."""
        named = NamedMessage(identity(of)[0], streams.WireRole.STATE, "referral_offered")
        return self.said(OutcomeList((Outcome(named, outcome, code),)), by=by, to="hotline")

    async def report(
        self, of: Record, outcome: OutcomeKind, code: str | None = None, *, by: str = "law_enforcement"
    ) -> Record:
        """Report an outcome, and store the report one second after everything before it."""
        self.world.at += timedelta(seconds=1)
        record = self.reported(of, outcome, code, by=by)
        await self.keep(record)
        return record

    async def acknowledge(self, of: Record) -> None:
        """Let a record's addressee acknowledge the stream up to that record."""
        self.world.at += timedelta(seconds=1)
        pair, place = pair_of(of.topic), place_of(of)
        chain = self.observed(of).chain or b""
        stated = Acknowledgement(*pair, place.incarnation, int(place.lane), place.number, chain, self.world.at)
        async with self.entries.transaction() as opened:
            await opened.append(AuditBatch(acknowledgements=[stated]))

    async def outcome(self, referral_id: UUID, number: int, *, outcome: str, known: str) -> None:
        """Let the sample agency report an outcome, and store it one second after everything before it."""
        self.world.at += timedelta(seconds=1)
        said = {
            "referral_id": str(referral_id),
            "revision": 1,
            "act": str(uuid7()),
            "number": number,
            "outcome": outcome,
            "child_identified": known,
            "child_safeguarded": known,
        } | ({"close_reason": "other"} if outcome == "closed" else {})
        addressing = self.world.address(referral_id, POLICE, HOTLINE)
        draft = compose(OUTCOME_REPORTED, OUTCOME_REPORTED.clear.model_validate(said), addressing)
        await self.keep(*self.world.records([draft], "law_enforcement"))

    async def flow(self, referral_id: UUID, *, exercise: bool = True) -> list[dict[str, Any]]:
        """Return the messages of the first page of a flow."""
        return list((await self.flow_page(referral_id, exercise=exercise))["messages"])

    async def flow_page(self, of: UUID, *, exercise: bool = True, cursor: str | None = None) -> Any:
        """Return the first page of a flow, or the one at the cursor."""
        look = Access(AUDITOR, Role.AUDITOR, exercise, PURPOSE)
        return (await use_cases.show_flow(of, look, entries=self.entries, cursor=cursor)).model_dump(mode="json")

    async def page(self, record: Record, *, newest: bool = False, exercise: bool = True) -> Any:
        """Show this record's partition.

        It is that of the record's own incarnation of its topic, or with `newest` of the last one that audit knows.
        """
        look = Access(AUDITOR, Role.AUDITOR, exercise, PURPOSE)
        place = Partition(record.topic, record.partition, 0, None if newest else record.topic_id or self.topic_id)
        page = await use_cases.show_entries(place, look, limit=500, entries=self.entries)
        return page.model_dump(mode="json")


def identity(record: Record) -> tuple[UUID, str]:
    """Return the id and the digest of the message in a record."""
    attributes = decode_headers(record.headers, record.value or b"").attributes
    return attributes.id, leaf_digest(record.salt, covered_bytes(record.headers, record.value or b"")).hex()


def place_of(record: Record) -> StreamPlace | None:
    """Return the place in its stream that a record states."""
    return parse_place(dict(record.headers).get(PLACE), Lane(record.partition))


def of_message(messages: Sequence[dict[str, Any]], record: Record) -> list[dict[str, Any]]:
    """Return the lines of a flow that show this record's message."""
    return [each for each in messages if each["message_id"] == str(identity(record)[0])]


async def without_streams(database: Database) -> Log:
    """Return a log after clearing the stream tables of earlier tests."""
    async with database.transaction() as session:
        await session.driver.execute(
            "DELETE FROM receive_state; DELETE FROM incarnation; DELETE FROM stream_end; DELETE FROM partition_state"
        )
    return Log(database)
