"""The stored bytes of a segment's messages: ids, digests, and one compact binary content.

    content   version · texts · headers · one entry a message, until the end
    texts     count · each text: the roles, kinds and header names
    headers   count · each header of several messages: index of its name · value
    entry     flags · subject, if any · index of role and kind · key · header count · each header · value
    header    twice the index of its name · value, or one more than twice the index of a header above

A key, value or text is its length and its bytes. All counts, lengths and indexes are unsigned LEB128. Sealed bytes
cannot be compressed, but a header that several messages share is stored once a segment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from shared.kernel.errors import Defect
from shared.messaging.segments import OutgoingMessage, RecordBytes
from shared.messaging.streams import DIGEST_BYTES, Role

ID_BYTES: Final = 16
_VERSION: Final = 1
_HAS_SUBJECT: Final = 1
_IS_P0: Final = 2
#: Bytes of one unsigned number: lengths are below 2 GiB.
_NUMBER_BYTES_MAX: Final = 5

_Header = tuple[str, bytes]
_Item = TypeVar("_Item")


class PackedMessages(NamedTuple):
    """The messages of a segment in three columns: ids of 16 bytes, digests of 32 bytes, and the content."""

    message_ids: bytes
    digests: bytes
    content: bytes


def pack_messages(messages: Sequence[OutgoingMessage]) -> PackedMessages:
    """Pack messages into the columns that `parse_messages` reads."""
    counts = Counter(chain.from_iterable(message.record.headers for message in messages))
    names = chain.from_iterable((message.role, message.kind) for message in messages)
    texts = dict.fromkeys(chain(names, (name for name, _ in counts)))
    indexes = {text: index for index, text in enumerate(texts)}
    shared = [header for header, count in counts.items() if count > 1]
    parts = [bytes((_VERSION,)), _format_number(len(texts)), *(_format_bytes(text.encode()) for text in texts)]
    parts.append(_format_number(len(shared)))
    parts += (_format_number(indexes[name]) + _format_bytes(value) for name, value in shared)
    headers = {header: _format_number(2 * index + 1) for index, header in enumerate(shared)}
    headers |= {
        (name, value): _format_number(2 * indexes[name]) + _format_bytes(value)
        for (name, value), count in counts.items()
        if count == 1
    }
    for message in messages:
        record = message.record
        parts += (
            bytes((_HAS_SUBJECT * (message.subject is not None) | _IS_P0 * message.is_p0,)),
            b"" if message.subject is None else message.subject.bytes,
            _format_number(indexes[message.role]),
            _format_number(indexes[message.kind]),
            _format_bytes(record.key),
            _format_number(len(record.headers)),
            *map(headers.__getitem__, record.headers),
            _format_number(len(record.value)),
            record.value,
        )
    return PackedMessages(
        b"".join(message.message_id.bytes for message in messages),
        b"".join(message.digest for message in messages),
        b"".join(parts),
    )


def parse_messages(packed: PackedMessages) -> tuple[OutgoingMessage, ...]:
    """Return the messages of a segment. Raise `Defect("segment_malformed")` if a byte is missing, spare or unknown."""
    ids, digests = _split(packed.message_ids, ID_BYTES), split_digests(packed.digests)
    cursor = _Cursor(packed.content)
    if len(ids) != len(digests) or cursor.take(1) != bytes((_VERSION,)):
        raise _malformed()
    texts = [_decode(cursor.take_sized()) for _ in range(cursor.number())]
    shared = [(_select(texts, cursor.number()), cursor.take_sized()) for _ in range(cursor.number())]
    messages = tuple(
        _parse_message(cursor, texts, shared, message_id=UUID(bytes=message_id), digest=digest)
        for message_id, digest in zip(ids, digests, strict=True)
    )
    if not cursor.is_at_end():
        raise _malformed()
    return messages


def split_digests(digests: bytes) -> list[bytes]:
    """Return the digests of a segment's messages, in order. Raise `Defect("segment_malformed")` for a part of one."""
    return _split(digests, DIGEST_BYTES)


def _parse_message(
    cursor: _Cursor, texts: list[str], shared: list[_Header], *, message_id: UUID, digest: bytes
) -> OutgoingMessage:
    flags = cursor.take(1)[0]
    if flags > _HAS_SUBJECT | _IS_P0:
        raise _malformed()
    subject = UUID(bytes=cursor.take(ID_BYTES)) if flags & _HAS_SUBJECT else None
    role = _parse_role(_select(texts, cursor.number()))
    kind = _select(texts, cursor.number())
    key = cursor.take_sized()
    headers = tuple(_parse_headers(cursor, texts, shared))
    return OutgoingMessage(
        message_id=message_id,
        role=role,
        kind=kind,
        subject=subject,
        digest=digest,
        record=RecordBytes(key, headers, cursor.take_sized()),
        is_p0=bool(flags & _IS_P0),
    )


def _parse_headers(cursor: _Cursor, texts: list[str], shared: list[_Header]) -> Iterator[_Header]:
    for _ in range(cursor.number()):
        number = cursor.number()
        yield _select(shared, number >> 1) if number & 1 else (_select(texts, number >> 1), cursor.take_sized())


class _Cursor:
    """A position in bytes; each method reads from there and moves it."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def is_at_end(self) -> bool:
        return self._at == len(self._content)

    def take(self, length: int) -> bytes:
        """Return this number of bytes."""
        begin, self._at = self._at, self._at + length
        if self._at > len(self._content):
            raise _malformed()
        return self._content[begin : self._at]

    def take_sized(self) -> bytes:
        """Return the bytes that follow their length."""
        return self.take(self.number())

    def number(self) -> int:
        """Return an unsigned LEB128 number in its shortest form."""
        number = 0
        for index, octet in enumerate(self._content[self._at : self._at + _NUMBER_BYTES_MAX]):
            number |= (octet & 0x7F) << 7 * index
            if octet < 0x80:
                if octet == 0 and index:
                    break
                self._at += index + 1
                return number
        raise _malformed()


def _format_bytes(content: bytes) -> bytes:
    return _format_number(len(content)) + content


def _format_number(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    octets = []
    while number >= 0x80:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*octets, number))


def _select(items: Sequence[_Item], index: int) -> _Item:
    if index >= len(items):
        raise _malformed()
    return items[index]


def _parse_role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise _malformed() from None


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise _malformed() from None


def _split(column: bytes, width: int) -> list[bytes]:
    if len(column) % width:
        raise _malformed()
    return [column[at : at + width] for at in range(0, len(column), width)]


def _malformed() -> Defect:
    return Defect("segment_malformed", "the stored bytes of a segment are not those that were packed")
