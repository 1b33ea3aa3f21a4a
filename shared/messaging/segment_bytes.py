"""The stored bytes of a segment's messages: ids, digests, and one content.

    content   version · length of the heads in 4 bytes · heads · the sealed part of each message
    heads     JSON of all messages but ids, digests and values · line feed · their clear parts; all compressed

A clear part ends with the first line feed of its value. Sealed bytes cannot be compressed, and clear parts are alike.
The bytes of keys and headers stand in the JSON as text of the same code points.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812 - the library's class has a lower-case name
from typing import Final, NamedTuple
from uuid import UUID

from pydantic import NonNegativeInt, TypeAdapter

from shared.kernel.errors import Defect
from shared.messaging.segments import OutgoingMessage, PackedMessages, RecordBytes
from shared.messaging.streams import DIGEST_BYTES, Role

ID_BYTES: Final = 16
_VERSION: Final = 3
_BEGIN: Final = Struct(">BI")
#: Headers of several messages are alike: a higher level gains little.
_LEVEL: Final = 1


class _Head(NamedTuple):
    role: Role
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
