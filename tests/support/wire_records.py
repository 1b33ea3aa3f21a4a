"""Records as Kafka holds them, made from drafts: sealed, proven and placed in the streams of their writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from shared.core.envelope.content_proof import (
    draw_salt,
    leaf_digest,
    pack_proof,
    prove_content,
)
from shared.core.envelope.headers import SALT
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Defect
from shared.core.ids import uuid7
from shared.core.protocol.authority import inbox_topic
from shared.core.protocol.message import Draft, Record
from shared.delivery.sending import draft_of
from shared.messaging import ports
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, RawRecord
from shared.messaging.composition import DraftBody, SealingKeys, SegmentComposer
from shared.messaging.contract import ControlBody
from shared.messaging.placement import PlaceKeys, build_proof_record, covered_bytes, place_record, write_hex
from shared.messaging.relay import list_records
from shared.messaging.segments import NewMessages, OutgoingMessage, RecordBytes, Segment, place_segment
from shared.messaging.streams import Lane, Outgoing, Pair, WireRole, begin_outgoing, find_lane
from shared.messaging.tracks import role_of
from tests.support.kafka_records import StoredRecord

PROBE_PAUSE_S: Final = 60


class Written(NamedTuple):
    """One record of a topic: a proof, or a message with its place."""

    pair: Pair
    lane: Lane
    record: RecordBytes

    @property
    def topic(self) -> str:
        return inbox_topic(self.pair.addressee, self.pair.writer)


@dataclass
class Streams:
    """The streams of every pair in a test, and the next offset of each partition."""

    outgoing: dict[Pair, Outgoing] = field(default_factory=dict)
    offsets: dict[tuple[str, Lane], int] = field(default_factory=dict)
    topic_ids: dict[str, UUID] = field(default_factory=dict)

    def place(self, unplaced: NewMessages, at: datetime) -> Segment:
        """Number messages after those that their stream already has."""
        streams = self.outgoing.get(unplaced.pair)
        if streams is None:
            streams = self.outgoing[unplaced.pair] = begin(unplaced.pair, at)
        return place_segment(unplaced, streams.incarnation, streams.lanes[unplaced.lane], day=at.date())

    def raw(self, written: Written, at: datetime) -> RawRecord:
        """Return a record at the next offset of its partition."""
        where = written.topic, written.lane
        offset = self.offsets.get(where, 0)
        self.offsets[where] = offset + 1
        topic_id = self.topic_ids.setdefault(written.topic, uuid7())
        return RawRecord(topic_id, offset, at, written.record.headers, written.record.value)


def begin(pair: Pair, at: datetime, incarnation: UUID | None = None) -> Outgoing:
    """Return the streams of a pair without any message."""
    return begin_outgoing(pair, incarnation or uuid7(), at, is_audited=True, pause_s=PROBE_PAUSE_S)


def compose(drafts: Sequence[Draft], instance: str, *, key: SigningKey, sealing_keys: SealingKeys) -> list[NewMessages]:
    """Seal and prove drafts as the last step of one transaction does."""
    pairs: dict[Pair, dict[Lane, list[ports.MessageDraft]]] = {}
    for draft in drafts:
        lanes = pairs.setdefault(Pair(instance, draft.recipient_instance), {})
        lane = find_lane(role_of(draft.message), is_p0=draft.is_p0)
        lanes.setdefault(lane, []).append(draft_of(draft, instance))
    composer = SegmentComposer(key, sealing_keys=sealing_keys, control_letters=_no_letter)
    return [unplaced for pair, lanes in pairs.items() for unplaced in composer.compose(pair, lanes)]


def write_segment(segment: Segment, key: SigningKey) -> list[Written]:
    """Return the records of one append: the proof, then the messages at their places."""
    messages = [place_record(each.record, each.place) for each in list_records([segment], above=0)]
    return [Written(segment.pair, segment.lane, each) for each in (build_proof_record(segment, key), *messages)]


def compose_altered(
    record: Record, headers: Sequence[tuple[str, bytes]], value: bytes, *, pair: Pair, key: SigningKey
) -> NewMessages:
    """Prove another message under the group's wrap of `record`, as its own group."""
    salt = draw_salt()
    digest = leaf_digest(salt, covered_bytes(headers, value))
    made = OutgoingMessage(
        message_id=uuid7(),
        role=WireRole.STATE,
        kind="altered",
        subject=None,
        digest=digest,
        record=RecordBytes(record.key or b"", (*headers, (SALT, write_hex(salt))), value),
    )
    proof = prove_content([((0,), record.wrap)], [digest], key)
    return NewMessages(pair, Lane(record.partition), (made,), pack_proof(proof))


def as_written(record: StoredRecord, pair: Pair) -> Written:
    """Return the record of one pair's topic as a record of another pair."""
    return Written(pair, record.lane, RecordBytes(record.key or b"", record.headers, record.value or b""))


def verify(written: Iterable[Written], streams: Streams, *, at: datetime, keys: PlaceKeys) -> list[Record]:
    """Return the messages as a recipient's `accept` gets them. Records that prove nothing are omitted."""
    verifiers: dict[tuple[Pair, Lane], PartitionVerifier] = {}
    found: list[Record] = []
    for each in written:
        where = each.pair, each.lane
        verifier = verifiers.setdefault(where, PartitionVerifier(each.pair, each.lane, keys))
        (verified,) = verifier.verify([streams.raw(each, at)])
        if isinstance(verified, PlacedMessage):
            found.append(accepted(verified, each))
    return found


def accepted(placed: PlacedMessage, written: Written) -> Record:
    """Return a verified record as `accept` gets it."""
    raw, lane = placed.raw, int(written.lane)
    record = Record(written.topic, lane, raw.offset, raw.broker_time, written.record.key, raw.headers, raw.value)
    return replace(placed.know(record, raw.headers), decoded=None)


def _no_letter(peer: str, role: WireRole, body: ControlBody) -> DraftBody:
    raise Defect("control_in_a_test", "these records are messages of parties and facts")
