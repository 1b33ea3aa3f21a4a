"""Segments: the records that one transaction sends along one lane, packed as bytes.

    count · for each record its length and its CRC-32 · the records

A record is its headers' names and, after the key, their values, a line feed between each, which none of them holds; the
lengths of both stand before them, its value after them.
What a flipped bit has changed is not read: its record's sum does not fit. The others are read all the same.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final
from zlib import crc32

from shared.kernel.errors import Defect
from shared.runtime.post.ports import Outgoing

_COUNT: Final = struct.Struct(">I")
_ENTRY: Final = struct.Struct(">II")
_PARTS: Final = struct.Struct(">II")


def pack(records: Sequence[Outgoing]) -> bytes:
    """The bytes that `unpack` reads. Raises `Defect` for a line feed in a key or a header."""
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
    names, values = zip(*record.headers, strict=True)
    named, valued = "\n".join(names).encode(), b"\n".join((record.key, *values))
    if valued.count(b"\n") != len(values) or named.count(b"\n") != len(names) - 1:
        raise Defect("line_feed_in_header")
    return _PARTS.pack(len(named), len(valued)) + named + valued + record.value


def _unpacked(packed: bytes) -> Outgoing | None:
    try:
        named, valued = _PARTS.unpack_from(packed)
        names_end, values_end = _PARTS.size + named, _PARTS.size + named + valued
        names = packed[_PARTS.size : names_end].decode().split("\n")
        key, *values = packed[names_end:values_end].split(b"\n")
        return Outgoing(key, tuple(zip(names, values, strict=True)), packed[values_end:])
    except (struct.error, ValueError):
        return None
