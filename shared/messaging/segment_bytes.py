"""The stored bytes of a segment's messages: ids, digests, and one content.

    content   version · length of the heads in 4 bytes · heads · the value of each message
    heads     JSON of all messages but ids, digests and values, compressed

Sealed bytes cannot be compressed. The bytes of keys and headers stand in the JSON as text of the same code points.
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
_VERSION: Final = 2
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
    value_bytes: NonNegativeInt


_HEADS: Final = TypeAdapter(list[_Head])


def pack_messages(messages: Sequence[OutgoingMessage]) -> PackedMessages:
    """Pack messages into the columns that `parse_messages` reads."""
    records = [message.record for message in messages]
    heads = [
        _Head(
            message.role,
            message.kind,
            message.subject,
            message.is_p0,
            record.key.decode("latin-1"),
            [(name, value.decode("latin-1")) for name, value in record.headers],
            len(record.value),
        )
        for message, record in zip(messages, records, strict=True)
    ]
    packed = zlib.compress(_HEADS.dump_json(heads), _LEVEL)
    return PackedMessages(
        b"".join([message.message_id.bytes for message in messages]),
        b"".join([message.digest for message in messages]),
        b"".join([_BEGIN.pack(_VERSION, len(packed)), packed, *(record.value for record in records)]),
    )


def parse_messages(packed: PackedMessages) -> tuple[OutgoingMessage, ...]:
    """Return the messages of a segment. Raise `Defect("segment_malformed")` if a byte is missing, spare or unknown."""
    ids, digests, content = _split(packed.message_ids, ID_BYTES), split_digests(packed.digests), packed.content
    try:
        version, length = _BEGIN.unpack_from(content)
        at = _BEGIN.size + length
        inflating = zlib.decompressobj()
        heads = _HEADS.validate_json(inflating.decompress(content[_BEGIN.size : at]))
        messages = []
        for message_id, digest, head in zip(ids, digests, heads, strict=True):
            headers = tuple((name, text.encode("latin-1")) for name, text in head.headers)
            record = RecordBytes(head.key.encode("latin-1"), headers, content[at : at + head.value_bytes])
            at += head.value_bytes
            messages.append(OutgoingMessage(UUID(bytes=message_id), *head[:3], digest, record, head.is_p0))
        if (version, inflating.eof, inflating.unused_data, at) != (_VERSION, True, b"", len(content)):
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
