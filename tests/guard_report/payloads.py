"""Harmless files of thirty-two kinds, made of solid colours, silence, noise and empty containers.

They are small, like content that a sender would hide in metadata. They are written by hand, without any library for
media.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from random import Random

Payloads = dict[str, bytes]


def payloads(seed: int = 7) -> Payloads:
    """Return all payloads by name, 35 to about 1,900 bytes each; the same for the same seed."""
    r = Random(seed)
    return _pictures(r) | _film_and_sound(r) | _archives_and_documents(r)


def _pictures(r: Random) -> Payloads:
    jpeg = _jpeg(r.randbytes(160))
    return {
        "png_pixel": _png(1, 1, b"\xd0\x80\x40"),
        "png_solid": _png(48, 48, b"\x30\x60\x90"),
        "png_noise": _png(18, 18, b"", r),
        "jpeg_noise": jpeg,
        "jpeg_thumbnail": _jpeg(r.randbytes(1_200)),
        "jpeg_without_start": jpeg[20:],
        "jpeg_with_exif": jpeg[:2] + _exif(_jpeg(r.randbytes(90))) + jpeg[2:],
        "gif_pixel": b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x10\x20\x30\x00\x00\x00,"
        b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
        "gif_noise": b"GIF87a\x20\x00\x20\x00\xf2\x00\x00"
        + r.randbytes(24)
        + b",\x00\x00\x00\x00\x20\x00\x20\x00\x00\x03\xff"
        + r.randbytes(255)
        + b"\x00;",
        "webp_lossy": _riff(
            b"WEBP", b"VP8 " + struct.pack("<I", 220) + b"\x30\x01\x00\x9d\x01\x2a\x20\x00\x20\x00" + r.randbytes(210)
        ),
        "webp_lossless": _riff(b"WEBP", b"VP8L" + struct.pack("<I", 60) + b"\x2f\x1f\xc0\x07\x00" + r.randbytes(55)),
        "bmp": _bmp(12, 12, r),
        "tiff": b"II*\x00\x08\x00\x00\x00\x04\x00"
        + b"".join(struct.pack("<HHII", tag, 3, 1, 8) for tag in (256, 257, 262, 273))
        + bytes(4)
        + r.randbytes(192),
        "icon": b"\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00\x20\x00\x80\x01\x00\x00\x16\x00\x00\x00"
        b"\x28\x00\x00\x00\x10\x00\x00\x00" + r.randbytes(360),
        "avif": _box(b"ftyp", b"avif\x00\x00\x00\x00avifmif1miaf")
        + _box(b"meta", bytes(4) + _box(b"hdlr", bytes(8) + b"pict" + bytes(13)) + r.randbytes(120)),
        "jpeg2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n"
        + _box(b"ftyp", b"jp2 \x00\x00\x00\x00jp2 ")
        + b"\xff\x4f\xff\x51\x00\x29"
        + r.randbytes(150),
        "heic": _box(b"ftyp", b"heic\x00\x00\x00\x00mif1heic") + _box(b"mdat", r.randbytes(260)),
    }


def _film_and_sound(r: Random) -> Payloads:
    return {
        "mp4": _box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2avc1mp41")
        + _box(b"moov", _box(b"mvhd", bytes(100)))
        + _box(b"mdat", r.randbytes(300)),
        "mp4_without_type": _box(b"moov", _box(b"mvhd", bytes(100))) + _box(b"mdat", r.randbytes(180)),
        "webm": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08"
        b"\x42\x82\x84webm\x42\x87\x81\x04\x42\x85\x81\x02" + r.randbytes(260),
        "mp3": b"".join(b"\xff\xfb\x90\x64" + r.randbytes(413) for _ in range(3)),
        "mp3_tagged": b"ID3\x03\x00\x00\x00\x00\x00\x16TIT2\x00\x00\x00\x0c\x00\x00\x00tone 440 Hz"
        b"\xff\xfb\x90\x64" + r.randbytes(200),
        "wav": _riff(
            b"WAVE",
            b"fmt "
            + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
            + b"data"
            + struct.pack("<I", 400)
            + r.randbytes(400),
        ),
        "ogg": b"OggS\x00\x02"
        + bytes(8)
        + r.randbytes(4)
        + bytes(4)
        + r.randbytes(4)
        + b"\x01\x13OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
        + r.randbytes(180),
        "flac": b"fLaC\x00\x00\x00\x22\x10\x00\x10\x00" + bytes(6) + b"\x0a\xc4\x42\xf0" + r.randbytes(260),
    }


def _archives_and_documents(r: Random) -> Payloads:
    return {
        "zip": _zip(r.randbytes(240)),
        "tar_gzip": _tar_gzip(r.randbytes(300)),
        "pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9"><rect width="9" height="9" fill="#369"/></svg>',
        "seven_zip": b"7z\xbc\xaf\x27\x1c\x00\x04" + r.randbytes(300),
        "bzip2": bz2.compress(_png(16, 16, b"\x10\x20\x30") + r.randbytes(120)),
        "xz": lzma.compress(_png(16, 16, b"\x10\x20\x30") + r.randbytes(120)),
    }


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, colour: bytes, noise: Random | None = None) -> bytes:
    lines = b"".join(b"\x00" + (noise.randbytes(3 * width) if noise else colour * width) for _ in range(height))
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


def _exif(thumbnail: bytes) -> bytes:
    body = (
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x02\x01\x00\x04\x00\x00\x00\x01\x00\x00\x00\x1a"
        + bytes(4)
        + thumbnail
    )
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _riff(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4) + kind + body


def _bmp(width: int, height: int, r: Random) -> bytes:
    pixels = r.randbytes(3 * width * height)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(pixels), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def _zip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("noise.bin"), data)
    return buffer.getvalue()


def _tar_gzip(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("noise.bin")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)
