"""Harmless files: two pictures of one colour and one of noise.

They are small, like content that a sender would hide in metadata. They are written by hand, without any library for
media.
"""

from __future__ import annotations

import struct
import zlib
from random import Random


def payloads(seed: int = 7) -> dict[str, bytes]:
    """Return the files by name, 35 to about 1,500 bytes each; the same for the same seed."""
    return {
        "png_solid": _png(48, 48, b"\x30\x60\x90"),
        "jpeg_thumbnail": _jpeg(Random(seed).randbytes(1_200)),
        "gif_pixel": b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x10\x20\x30\x00\x00\x00,"
        b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
    }


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, colour: bytes) -> bytes:
    lines = b"".join(b"\x00" + colour * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines, 9)) + _chunk(b"IEND", b"")
    )


def _jpeg(scan: bytes) -> bytes:
    """Return header, one quantisation table, frame, one Huffman table and a scan of noise, like a thumbnail."""
    table = bytes([16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55] * 4)
    return (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
        b"\xff\xdb\x00\x43\x00"
        + table
        + b"\xff\xc0\x00\x0b\x08\x00\x20\x00\x20\x01\x01\x11\x00"
        + b"\xff\xc4\x00\x1f\x00\x00\x01\x05\x01\x01\x01\x01\x01\x01"
        + bytes(9)
        + bytes(range(12))
        + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
        + scan.replace(b"\xff", b"\xfe")
        + b"\xff\xd9"
    )
