"""The intake of audit: verified records, stored in the transaction that moves the positions of their streams."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import Final, cast
from uuid import UUID

from services.audit.domain.entries import AuditBatch, AuditEntry, DroppedMessage
from services.audit.domain.partitions import Loss, LossReason, PartitionId, ReadStart, entry_of, find_beginning
from services.audit.domain.reading import ObservedRecord, Reading, note_ack, read_records
from services.audit.store.entries import PostgresEntries
from shared.catalog import CATALOG
from shared.core.contracts.registry import WITHDRAWALS
from shared.core.ids import uuid7
from shared.core.protocol.authority import AUDIT, INBOXES, inbox_topic
from shared.core.protocol.message import Record
from shared.core.protocol.sender_verification import SigningKeys
from shared.messaging.acks import Ack
from shared.messaging.arrival import (
    CopyVerifier,
    PartitionVerifier,
    PlacedMessage,
    RawRecord,
    StatedAck,
    UnreadableRecord,
    Verified,
)
from shared.messaging.composition import SegmentComposer
from shared.messaging.exceptions import MALFORMED, NamedMessage
from shared.messaging.placement import digest_record
from shared.messaging.ports import Subjects
from shared.messaging.reception import ArrivedMessage, ArrivedRecord, observe_batch, observe_copies
from shared.messaging.scope import Inbound, Scope
from shared.messaging.sending import SEGMENT_MESSAGES_MAX
from shared.messaging.streams import LANES, Incoming, Lane, Pair, WireRole
from shared.messaging.upkeep import give_ack
from shared.platform.kafka.topic_metadata import Coordinate, Offsets

#: Audit has no subjects and sends no numbered message.
_SUBJECTS: Final = cast(Subjects, None)
_COMPOSER: Final = cast(SegmentComposer, None)
_INBOUND: Final = cast(Inbound, None)
_UNNAMED: Final = NamedMessage(UUID(int=0), WireRole.FACT, MALFORMED)
_TOPIC: Final = re.compile(re.escape(INBOXES) + r"([a-z][a-z0-9_-]{0,63})\.([a-z][a-z0-9_-]{0,63})\.v1")
#: A segment with its proof record: within this distance before its position a reader finds the next records' proof.
SEGMENT_RECORDS: Final = SEGMENT_MESSAGES_MAX + 1
#: The codes of records that may be copies of another pair's messages.
_NOT_OF_PAIR: Final = frozenset({"topic_wrong", "proof_missing"})


def pair_of(topic: str) -> Pair | None:
    """Return the pair whose topic this is, or None for another topic."""
    found = _TOPIC.fullmatch(topic)
    return None if found is None else Pair(found[2], found[1])


@dataclass(slots=True)
class StreamBatch:
    """Verified records of one partition, in the order of their offsets.

    `numbered`: its numbered messages with their pairs. `copies`: messages of other pairs among them, by pair.
    `unreadable`: records without effect, with the code of each.
    """

    pair: Pair
    lane: Lane
    arrived: list[ArrivedRecord] = field(default_factory=list)
    numbered: list[tuple[Pair, ArrivedMessage, Record]] = field(default_factory=list)
    copies: dict[Pair, list[ArrivedRecord]] = field(default_factory=dict)
    unreadable: list[ObservedRecord] = field(default_factory=list)
    acks: list[StatedAck] = field(default_factory=list)


class StreamVerifier:
    """The verifier of one partition. In audit's own topics, it verifies copies of other pairs' messages too.

    Records below `next_offset` were stored before; they are verified only for the proofs among them.
    """

    def __init__(self, pair: Pair, lane: Lane, keys: SigningKeys, *, topic_id: UUID, next_offset: int = 0) -> None:
        self._pair = pair
        self._lane = lane
        self._topic_id = topic_id
        self._next_offset = next_offset
        self._own = PartitionVerifier(pair, lane, keys)
        self._copies = CopyVerifier(pair.writer, keys) if pair.addressee == AUDIT else None
        #: The last message of the segment whose records come now.
        self._number = 0

    def verify(self, records: Iterable[Record]) -> StreamBatch:
        """Return the records as a batch."""
        batch, before = (StreamBatch(self._pair, self._lane) for _ in range(2))
        for record in records:
            self._add(before if record.offset < self._next_offset else batch, record)
        return batch

    def resume_offset(self, next_offset: int) -> int:
        """Return the offset from which a new verifier can prove the records at `next_offset`.

        Inside a segment it is the offset of the segment's proof record.
        """
        proven = self._own.proven
        is_inside = proven is not None and self._number < proven.first + len(proven.digests) - 1
        return self._own.proof_offset if is_inside else next_offset

    def _add(self, batch: StreamBatch, record: Record) -> None:
        raw = RawRecord(self._topic_id, record.offset, record.broker_time, tuple(record.headers), record.value)
        proven = self._own.proven
        verified: Verified = UnreadableRecord(raw, "broker_time_stated")
        if not record.time_stated:
            (verified,) = self._own.verify([raw])
        if self._own.proven is not proven:
            self._number = 0
        content: ArrivedMessage | Ack | None = None
        if isinstance(verified, PlacedMessage):
            content = _arrive(batch, record, verified)
            self._number = verified.place.number
        elif isinstance(verified, StatedAck):
            content = verified.ack
            batch.acks.append(verified)
        else:
            verified = self._as_copy(raw, verified)
            if isinstance(verified, PlacedMessage):
                copy = ArrivedRecord(*raw[:3], _arrive(batch, record, verified))
                batch.copies.setdefault(verified.proven.pair, []).append(copy)
            elif not isinstance(verified, StatedAck) and verified.code is not None:
                known = replace(record, topic_id=self._topic_id)
                batch.unreadable.append(ObservedRecord(known, self._pair, code=verified.code))
        batch.arrived.append(ArrivedRecord(*raw[:3], content))

    def _as_copy(self, raw: RawRecord, verified: Verified) -> Verified:
        """Verify a record that is not of this pair as a copy."""
        if self._copies is None or isinstance(verified, PlacedMessage | StatedAck):
            return verified
        if verified.code not in _NOT_OF_PAIR:
            return verified
        (copy,) = self._copies.verify([raw])
        if isinstance(copy, PlacedMessage) and pair_of(inbox_topic(*reversed(copy.proven.pair))) != copy.proven.pair:
            return UnreadableRecord(raw, "topic_wrong")
        return copy


def _arrive(batch: StreamBatch, record: Record, placed: PlacedMessage) -> ArrivedMessage:
    """Add a numbered message to a batch with its proof. It has no name here, because audit answers no message."""
    envelope = placed.envelope  # without one, the entry names the error in the headers
    message = None if envelope is None else CATALOG.by_type.get(envelope.attributes.type)
    is_p0 = placed.place.lane is Lane.URGENT and message is not None and message not in WITHDRAWALS
    arrived = ArrivedMessage(placed.place, placed.digest, _UNNAMED, b"", is_p0)
    batch.numbered.append((placed.proven.pair, arrived, placed.know(record, placed.raw.headers)))
    return arrived


async def keep(batches: Iterable[StreamBatch], *, entries: PostgresEntries, reading: Reading) -> None:
    """Store batches of different partitions in one transaction. Messages that audit already has are skipped.

    Records without a number have no proven writer, so they are counted by the day (`domain.entries.folded_as`). Rows
    are locked in the order of pairs. Raises `Unavailable`.
    """
    read = AuditBatch()
    async with entries.transaction() as opened:
        incoming: dict[Pair, Incoming] = {}
        news = sorted(batches, key=lambda each: (each.pair, each.lane))
        for pair in sorted({pair for batch in news for pair in (batch.pair, *batch.copies)}):
            incoming[pair] = await opened.messaging.load_incoming(pair, lock=True)
        observed: list[ObservedRecord] = []
        for batch in news:
            found = _observe(incoming, batch)
            read.dropped += _list_dropped(batch, found)
            observed += found
            for ack in batch.acks:
                note_ack(ack, batch.pair, read)
        read_of = {batch.pair for batch in news} | {each.pair for each in observed if each.place is not None}
        for pair in incoming.keys() & read_of:
            await opened.messaging.save_incoming(incoming[pair])
        read_records(observed, read, reading=reading)
        await opened.append(read)


def _observe(incoming: Mapping[Pair, Incoming], batch: StreamBatch) -> list[ObservedRecord]:
    """Take the messages of a batch, and of the copies in it; return the records that audit stores."""
    records = {record.offset: record for _, _, record in batch.numbered}
    taken = [(batch.pair, each) for each in observe_batch(incoming[batch.pair], batch.lane, batch.arrived)]
    for pair, copies in sorted(batch.copies.items()):
        taken += [(pair, each) for each in observe_copies(incoming[pair], copies)]
    return batch.unreadable + [
        ObservedRecord(records[each.where.offset], pair, each.place, each.chain) for pair, each in taken
    ]


_coordinates_of: Final = attrgetter("topic", "partition", "offset", "broker_time")


def _list_dropped(batch: StreamBatch, observed: Iterable[ObservedRecord]) -> list[DroppedMessage]:
    """Return the numbered messages of a batch that audit did not take, copies included."""
    taken = {each.record.offset for each in observed if each.place is not None}
    return [
        DroppedMessage._make((*pair, *arrived.place, arrived.digest.hex(), *_coordinates_of(record)))
        for pair, arrived, record in batch.numbered
        if record.offset not in taken
    ]


async def begin(
    held: Mapping[Coordinate, tuple[UUID, Offsets]], *, entries: PostgresEntries, now: datetime
) -> dict[Coordinate, tuple[int, ReadStart]]:
    """Return the next offset of each partition, and store the losses since the last read.

    `held`: for each partition of a pair's topic the topic's id, and the offsets that it holds. Raises `Unavailable`.
    """
    found: dict[Coordinate, tuple[int, ReadStart]] = {}
    losses: list[AuditEntry] = []
    lives: list[PartitionId] = []
    async with entries.transaction() as opened:
        for pair, places in sorted(_by_pair(held).items()):
            incoming = await opened.messaging.load_incoming(pair, lock=True)
            for place in places:
                topic_id, bounds = held[place]
                life, lane = PartitionId(place.topic, topic_id, place.partition), Lane(place.partition)
                read = incoming.lanes[lane]
                beginning = find_beginning(life, read, first=bounds.first, end=bounds.end)
                if read.topic_id == topic_id:
                    # Records before the end were read, unless `note_replaced` finds that they were lost, too.
                    read.next_offset = min(read.next_offset, bounds.end)
                offset = incoming.seek(lane, topic_id, first=bounds.first, end=bounds.end)
                found[place] = offset, beginning
                losses += [entry_of(loss, now) for loss in beginning.losses]
                lives.append(life)
            await opened.messaging.save_incoming(incoming)
        await opened.begin(losses, lives)
    return found


async def note_replaced(
    place: Coordinate, topic_id: UUID, records: Sequence[Record], *, entries: PostgresEntries, now: datetime
) -> bool:
    """Compare records that were read before with their entries; return whether the topic now has other records.

    In that case the topic lost its end and grew again. The loss is stored, and the position returns to its first
    offset. Raises `Unavailable`.
    """
    pair, life = pair_of(place.topic), PartitionId(place.topic, topic_id, place.partition)
    assert pair is not None
    digests = [(each.offset, digest_record(each.headers, each.value or b"")) for each in records]
    async with entries.transaction() as opened:
        first = await opened.find_replaced(life, digests)
        if first is None:
            return False
        incoming = await opened.messaging.load_incoming(pair, lock=True)
        read = incoming.lanes[Lane(place.partition)]
        loss = Loss(life, first, read.next_offset - 1, LossReason.TAIL_LOST)
        await opened.begin([entry_of(loss, now)], [])
        read.next_offset = first
        await opened.messaging.save_incoming(incoming)
    return True


def _by_pair(places: Iterable[Coordinate]) -> dict[Pair, list[Coordinate]]:
    by_pair: dict[Pair, list[Coordinate]] = {}
    for place in places:
        pair = pair_of(place.topic)
        if pair is not None and place.partition < len(LANES):
            by_pair.setdefault(pair, []).append(place)
    return by_pair


async def acknowledge(pair: Pair, *, entries: PostgresEntries, now: datetime) -> Ack | None:
    """Return the acknowledgement that is due to the writer of a pair, and store that it was given.

    If its record is lost, the writer asks for it again. Raises `Unavailable`.
    """
    async with entries.transaction() as opened:
        scope = Scope(AUDIT, AUDIT, opened.messaging, _SUBJECTS, _INBOUND, _COMPOSER, uuid7, now)
        return await give_ack(scope, pair)
