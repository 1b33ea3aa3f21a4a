"""Segments: the messages that one transaction sends in one stream, as the writer keeps them and as Kafka gets them.

A segment is stored without its place: the relay adds the numbers. So a segment that is carried into a new incarnation
keeps its bytes, its message ids and its content proof, and gets a new place. Its messages are stored as ids, digests,
and one content:

    content   version · length of the heads in 4 bytes · heads · the sealed part of each message
    heads     JSON of all messages but ids, digests and values · line feed · their clear parts; all compressed

A clear part ends with the first line feed of its value. Sealed bytes cannot be compressed, and clear parts are similar.
The JSON has the bytes of keys and headers as text of the same code points.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from struct import Struct
from struct import error as StructError  # noqa: N812 - the library's class has a lower-case name
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import NonNegativeInt, TypeAdapter

from shared.core.errors import Defect
from shared.messaging.streams import (
    DIGEST_BYTES,
    SUBJECT_ROLES,
    Lane,
    OutgoingLane,
    Pair,
    SourceLane,
    StreamPlace,
    WireRole,
    extend_chain,
)

ID_BYTES: Final = 16
_VERSION: Final = 3
_BEGIN: Final = Struct(">BI")
#: Headers of several messages are similar: a higher level gains little.
_LEVEL: Final = 1


class RecordBytes(NamedTuple):
    """Key, headers and value of one record, without its place: the same bytes at every append."""

    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message, sealed and proven, before it has a number.

    `digest`: the salted hash of its covered headers and value, 32 bytes. It names the message in the chain and in
    evidence. `subject` is None for messages of the protocol itself. `is_p0`: a child at risk waits for it, so its gap
    is reported at once.
    """

    message_id: UUID
    role: WireRole
    kind: str
    subject: UUID | None
    digest: bytes
    record: RecordBytes
    is_p0: bool = False


class PackedMessages(NamedTuple):
    """The messages of a segment in three columns: ids of 16 bytes, digests of 32 bytes, and the content."""

    message_ids: bytes
    digests: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """Numbers `first` to `first + len(messages) - 1` of one stream, from one transaction.

    `chain_before`: the chain before `first`. `proof`: the content proof of the messages, packed
    (`shared.core.envelope.content_proof`); it does not depend on the place. `packed`: the messages as they are stored.
    """

    pair: Pair
    incarnation: UUID
    lane: Lane
    first: int
    chain_before: bytes
    messages: tuple[OutgoingMessage, ...]
    proof: bytes
    day: date
    packed: PackedMessages | None = field(default=None, compare=False, repr=False)

    @property
    def last(self) -> int:
        """The number of the last message."""
        return self.first + len(self.messages) - 1

    @property
    def chain(self) -> bytes:
        """The chain after the last message."""
        return extend_chain(self.chain_before, (message.digest for message in self.messages))

    def places(self) -> dict[UUID, StreamPlace]:
        """Return the place of each message by its id."""
        return {
            message.message_id: StreamPlace(self.incarnation, self.lane, number)
            for number, message in enumerate(self.messages, self.first)
        }


class NewMessages(NamedTuple):
    """The messages of one transaction for one stream, before they have numbers.

    `packed`: as they are stored; so the streams are not locked meanwhile.
    """

    pair: Pair
    lane: Lane
    messages: tuple[OutgoingMessage, ...]
    proof: bytes
    packed: PackedMessages | None = None


def place_segment(unplaced: NewMessages, incarnation: UUID, lane: OutgoingLane | SourceLane, *, day: date) -> Segment:
    """Number the messages after the last number of the lane, and move the lane's end to the last of them."""
    place = incarnation, unplaced.lane, lane.last + 1, lane.chain
    segment = Segment(unplaced.pair, *place, unplaced.messages, unplaced.proof, day, unplaced.packed)
    lane.last, lane.chain = segment.last, segment.chain
    if any(message.is_p0 for message in segment.messages):
        lane.p0_last = segment.last
    return segment


def select_kept(segment: Segment, *, above: int, erased: frozenset[UUID]) -> NewMessages | None:
    """Return the messages of a segment that a new incarnation carries, or None if no message is left.

    They have numbers above `above`. Resync requests are left out: the incarnation has its own. States and answers on
    erased subjects are left out, too.
    """
    kept = tuple(
        message
        for number, message in enumerate(segment.messages, segment.first)
        if number > above
        and message.role is not WireRole.RESYNC
        and not (message.role in SUBJECT_ROLES and message.subject in erased)
    )
    return NewMessages(segment.pair, segment.lane, kept, segment.proof) if kept else None


class _Head(NamedTuple):
    role: WireRole
    kind: str
    subject: UUID | None
    is_p0: bool
    key: str
    headers: list[tuple[str, str]]
    clear_bytes: NonNegativeInt
    sealed_bytes: NonNegativeInt


_HEADS: Final = TypeAdapter(list[_Head])


def pack_messages(messages: Sequence[OutgoingMessage]) -> PackedMessages:
    """Pack messages into the columns that `parse_messages` reads."""
    records = [message.record for message in messages]
    ends = [record.value.find(b"\n") + 1 for record in records]
    heads = [
        _Head(
            message.role,
            message.kind,
            message.subject,
            message.is_p0,
            record.key.decode("latin-1"),
            [(name, value.decode("latin-1")) for name, value in record.headers],
            end,
            len(record.value) - end,
        )
        for message, record, end in zip(messages, records, ends, strict=True)
    ]
    clear = [record.value[:end] for record, end in zip(records, ends, strict=True)]
    sealed = [record.value[end:] for record, end in zip(records, ends, strict=True)]
    packed = zlib.compress(b"".join([_HEADS.dump_json(heads), b"\n", *clear]), _LEVEL)
    return PackedMessages(
        b"".join([message.message_id.bytes for message in messages]),
        b"".join([message.digest for message in messages]),
        b"".join([_BEGIN.pack(_VERSION, len(packed)), packed, *sealed]),
    )


def parse_messages(packed: PackedMessages) -> tuple[OutgoingMessage, ...]:
    """Return the messages of a segment. Raise `Defect("segment_malformed")` if a byte is missing, spare or unknown."""
    ids, digests, content = _split(packed.message_ids, ID_BYTES), split_digests(packed.digests), packed.content
    try:
        version, length = _BEGIN.unpack_from(content)
        at = _BEGIN.size + length
        inflating = zlib.decompressobj()
        listed, _, clear = inflating.decompress(content[_BEGIN.size : at]).partition(b"\n")
        heads = _HEADS.validate_json(listed)
        messages, clear_at = [], 0
        for message_id, digest, head in zip(ids, digests, heads, strict=True):
            headers = tuple((name, text.encode("latin-1")) for name, text in head.headers)
            value = clear[clear_at : clear_at + head.clear_bytes] + content[at : at + head.sealed_bytes]
            record = RecordBytes(head.key.encode("latin-1"), headers, value)
            clear_at, at = clear_at + head.clear_bytes, at + head.sealed_bytes
            messages.append(OutgoingMessage(UUID(bytes=message_id), *head[:3], digest, record, head.is_p0))
        ends = version, inflating.eof, inflating.unused_data, clear_at, at
        if ends != (_VERSION, True, b"", len(clear), len(content)):
            raise _malformed()
    except (StructError, ValueError, zlib.error):
        raise _malformed() from None
    return tuple(messages)


def split_digests(digests: bytes) -> list[bytes]:
    """Return the digests of a segment's messages, in order. Raise `Defect("segment_malformed")` for a part of one."""
    return _split(digests, DIGEST_BYTES)


def _split(column: bytes, width: int) -> list[bytes]:
    if len(column) % width:
        raise _malformed()
    return [column[at : at + width] for at in range(0, len(column), width)]


def _malformed() -> Defect:
    return Defect("segment_malformed", "the stored bytes of a segment are not those that were packed")
