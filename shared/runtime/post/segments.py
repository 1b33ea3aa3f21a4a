"""Segments: the records that one transaction sends along one lane, packed as bytes.

    count · for each record its length and its CRC-32 · the records

A record is a list of byte strings, each with its length: key, value, then names and values of its headers in turn.
What a flipped bit has changed is not read: its record's sum does not fit. The others are read all the same.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final
from zlib import crc32

from shared.runtime.post.ports import Outgoing

_COUNT: Final = struct.Struct(">I")
_ENTRY: Final = struct.Struct(">II")


def pack(records: Sequence[Outgoing]) -> bytes:
    """The bytes that `unpack` reads."""
    packed = [_packed(record) for record in records]
    table = b"".join(_ENTRY.pack(len(each), crc32(each)) for each in packed)
    return _COUNT.pack(len(packed)) + table + b"".join(packed)


def unpack(segment: bytes) -> list[Outgoing | None]:
    """The records of a segment, in order; None for each that is not whole. Never raises."""
    if len(segment) < _COUNT.size:
        return []
    (count,) = _COUNT.unpack_from(segment)
    at = _COUNT.size + count * _ENTRY.size
    if at > len(segment):
        return []
    records: list[Outgoing | None] = []
    for length, checksum in _ENTRY.iter_unpack(segment[_COUNT.size : at]):
        packed = segment[at : at + length]
        at += length
        records.append(_unpacked(packed) if crc32(packed) == checksum else None)
    return records


def _packed(record: Outgoing) -> bytes:
    texts = [record.key, record.value]
    for name, value in record.headers:
        texts += [name.encode(), value]
    return b"".join(part for text in texts for part in (_COUNT.pack(len(text)), text))


def _unpacked(packed: bytes) -> Outgoing | None:
    texts: list[bytes] = []
    at = 0
    try:
        while at < len(packed):
            (length,) = _COUNT.unpack_from(packed, at)
            at += _COUNT.size + length
            texts.append(packed[at - length : at])
        key, value, *headers = texts
        names = [name.decode() for name in headers[::2]]
        return Outgoing(key, tuple(zip(names, headers[1::2], strict=True)), value)
    except (struct.error, ValueError):
        return None
