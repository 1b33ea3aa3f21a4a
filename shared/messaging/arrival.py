"""Arrival: the records of one partition, verified in order, before any of them has an effect.

A numbered record counts only if the proof record before it covers its place and has its digest. Any other record is
unreadable: its number is not taken, so the writer is asked to append it again. If a record's content signature is
invalid, its number is taken and it becomes a dead letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

from shared.core.envelope.attributes import Envelope
from shared.core.envelope.content_proof import SALT_BYTES, leaf_digest
from shared.core.envelope.headers import PLACE, SALT, decode_headers
from shared.core.errors import Refused
from shared.core.protocol.message import DecodedHeaders, Record
from shared.messaging.acks import ACK, Ack, parse_ack_record
from shared.messaging.placement import (
    KIND,
    PROOF,
    PlaceKeys,
    ProvenSegment,
    digest_record,
    parse_place,
    parse_proof_record,
    read_hex,
)
from shared.messaging.streams import Lane, Pair, StreamPlace

RawHeaders: TypeAlias = tuple[tuple[str, bytes | None], ...]


class RawRecord(NamedTuple):
    """A record as Kafka holds it."""

    topic_id: UUID
    offset: int
    broker_time: datetime
    headers: RawHeaders
    value: bytes | None


class PlacedMessage(NamedTuple):
    """A numbered record at its proven place.

    `is_signed`: its content signature is valid. `wrap`: its sealed data key. `envelope`: None for malformed headers.
    """

    raw: RawRecord
    place: StreamPlace
    digest: bytes
    is_signed: bool
    wrap: bytes
    proven: ProvenSegment
    salt: bytes
    envelope: Envelope | None

    def know(self, record: Record, headers: RawHeaders) -> Record:
        """Return `record`, as Kafka has it, with these of its headers and the results of its proofs."""
        as_read = record.topic, record.partition, record.offset, record.broker_time, record.key, headers, record.value
        proof = self.proven.prove(self.place.number, self.salt) if self.is_signed else None
        proven = self.raw.topic_id, self.proven.pair.writer, self.wrap, proof, self.salt
        decoded = None if self.envelope is None else DecodedHeaders(self.envelope, self.digest.hex())
        shared = self.proven.proof.shared if self.is_signed else None
        return Record(*as_read, record.time_stated, *proven, decoded, shared)


@dataclass(frozen=True, slots=True)
class StatedAck:
    """An acknowledgement with a valid signature."""

    raw: RawRecord
    ack: Ack


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record without effect. `code` is None for a proof record, which is not counted as a fault."""

    raw: RawRecord
    code: str | None


Verified = PlacedMessage | StatedAck | UnreadableRecord


class PartitionVerifier:
    """The verifier of one partition's records, in the order of their offsets.

    `proven` is the segment whose records come now, and `proof_offset` the offset of its proof record: a reader that
    stops inside the segment begins there again.
    """

    __slots__ = ("_keys", "_lane", "_pair", "proof_offset", "proven")

    def __init__(self, pair: Pair, lane: Lane, keys: PlaceKeys) -> None:
        self._pair = pair
        self._lane = lane
        self._keys = keys
        self.proven: ProvenSegment | None = None
        self.proof_offset = 0

    def verify(self, records: Iterable[RawRecord]) -> list[Verified]:
        """Return each record in order, verified or unreadable."""
        return [self._verify(record) for record in records]

    def _verify(self, raw: RawRecord) -> Verified:
        single = _list_single(raw.headers)
        kind = single.get(KIND)
        try:
            if kind == PROOF:
                return self._prove(raw)
            if kind == ACK:
                return self._hear(raw)
            return self._place(raw, single)
        except Refused as error:
            return UnreadableRecord(raw, error.code)

    def _hear(self, raw: RawRecord) -> Verified:
        ack = parse_ack_record(raw.value or b"", self._keys, raw.broker_time)
        if (ack.reader, ack.pair.writer) != self._pair:
            raise Refused("topic_wrong")
        return StatedAck(raw, ack)

    def _prove(self, raw: RawRecord) -> Verified:
        self.proven = None
        proven = parse_proof_record(raw.value or b"", self._keys, raw.broker_time)
        if (proven.pair, proven.lane) != (self._pair, self._lane):
            raise Refused("topic_wrong")
        self.proven, self.proof_offset = proven, raw.offset
        return UnreadableRecord(raw, None)

    def _place(self, raw: RawRecord, single: Mapping[str, bytes | None]) -> Verified:
        place = parse_place(single.get(PLACE), self._lane)
        if place is None or raw.value is None:
            raise Refused("record_empty" if raw.value is None else "place_malformed")
        proven = self.proven
        if proven is None or not proven.has(place):
            raise Refused("proof_missing")
        index = place.number - proven.first
        digest, salt = proven.digests[index], read_hex(single.get(SALT), SALT_BYTES)
        envelope = _decode(raw.headers, raw.value)
        if salt is None or digest != (
            leaf_digest(salt, envelope.attributes.head.encode() + raw.value)
            if envelope
            else digest_record(raw.headers, raw.value)
        ):
            raise Refused("signature_invalid")
        wrap = proven.wrap(place.number)
        return PlacedMessage(raw, place, digest, proven.is_signed[index], wrap, proven, salt, envelope)


class CopyVerifier:
    """The verifier of copies of other pairs' messages in audit's own partition, by the same rule."""

    __slots__ = ("_keys", "_verifier", "_writer")

    def __init__(self, writer: str, keys: PlaceKeys) -> None:
        self._writer = writer
        self._keys = keys
        self._verifier: PartitionVerifier | None = None

    def verify(self, records: Sequence[RawRecord]) -> list[Verified]:
        """Return each record; the pair and lane of a copy are those of the proof record before it."""
        found: list[Verified] = []
        for record in records:
            if _list_single(record.headers).get(KIND) == PROOF:
                self._begin(record)
            verifier = self._verifier
            found += [UnreadableRecord(record, "proof_missing")] if verifier is None else verifier.verify([record])
        return found

    def _begin(self, record: RawRecord) -> None:
        self._verifier = None
        try:
            proven = parse_proof_record(record.value or b"", self._keys, record.broker_time)
        except Refused:
            return
        if proven.pair.writer == self._writer:
            self._verifier = PartitionVerifier(proven.pair, proven.lane, self._keys)


def _decode(headers: RawHeaders, value: bytes) -> Envelope | None:
    """Return the decoded headers, or None if they are malformed: `decode_headers` says why."""
    try:
        return decode_headers(headers, value)
    except Refused:
        return None


def _list_single(headers: RawHeaders) -> Mapping[str, bytes | None]:
    """Return the headers that occur once, by name."""
    found = dict(headers)
    if len(found) == len(headers):
        return found
    counts = Counter(name for name, _ in headers)
    return {name: value for name, value in found.items() if counts[name] == 1}
