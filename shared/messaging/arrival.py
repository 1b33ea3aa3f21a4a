"""Arrival: the records of one partition, verified in order, before any of them has an effect.

A numbered record counts only if the proof record before it covers its place and has its digest. Any other record is
unreadable: its number is not taken, so the writer is asked to append it again. If a record's content signature is
invalid, its number is taken and it becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.envelope.headers import PLACE
from shared.kernel.errors import Refused
from shared.messaging.acks import ACK, Ack, parse_ack_record
from shared.messaging.placement import (
    KIND,
    PROOF,
    PlaceKeys,
    ProvenSegment,
    digest_record,
    parse_place,
    parse_proof_record,
)
from shared.messaging.streams import Lane, Pair, StreamPlace


class RawRecord(NamedTuple):
    """A record as Kafka holds it."""

    topic_id: UUID
    offset: int
    broker_time: datetime
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None


class PlacedMessage(NamedTuple):
    """A numbered record at its proven place.

    `is_signed`: its content signature is valid. `wrap`: its sealed data key.
    """

    raw: RawRecord
    place: StreamPlace
    digest: bytes
    is_signed: bool
    wrap: bytes
    proven: ProvenSegment


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
        kind = _single(raw.headers, KIND)
        try:
            if kind == PROOF:
                return self._prove(raw)
            if kind == ACK:
                return self._hear(raw)
            return self._place(raw)
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

    def _place(self, raw: RawRecord) -> Verified:
        place = parse_place(_single(raw.headers, PLACE), self._lane)
        if place is None or raw.value is None:
            raise Refused("record_empty" if raw.value is None else "place_malformed")
        proven = self.proven
        if proven is None or not proven.has(place):
            raise Refused("proof_missing")
        index = place.number - proven.first
        if digest_record(raw.headers, raw.value) != proven.digests[index]:
            raise Refused("signature_invalid")
        return PlacedMessage(
            raw, place, proven.digests[index], proven.is_signed[index], proven.wrap(place.number), proven
        )


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
            if _single(record.headers, KIND) == PROOF:
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


def _single(headers: Iterable[tuple[str, bytes | None]], name: str) -> bytes | None:
    """Return the value of a header that occurs once, or None."""
    values = [value for each, value in headers if each == name]
    return values[0] if len(values) == 1 else None
