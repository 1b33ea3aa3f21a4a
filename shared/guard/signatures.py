"""Recognises files in bytes: pictures, film, sound, archives, documents.

A signature found anywhere must be long enough that chance does not produce it in the thousands of decodings that
are tried; a short one counts only at the head, and only with the structure that must follow it.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Sequence

#: At least five improbable bytes each: these count at any offset.
SIGNATURES: tuple[bytes, ...] = (
    # pictures
    b"\x89PNG\r\n\x1a\n",
    b"PNG\r\n\x1a\n",
    b"\x00\x00\x00\rIHDR",
    b"IEND\xaeB`\x82",
    b"IDAT\x78\x01",
    b"IDAT\x78\x9c",
    b"IDAT\x78\xda",
    b"IDAT\x78\x5e",
    b"GIF87a",
    b"GIF89a",
    b"JFIF\x00\x01",
    b"Exif\x00\x00",
    b"\xff\xdb\x00\x43\x00",
    b"\xff\xdb\x00\x84\x00",
    b"\xff\xc0\x00\x11\x08",
    b"\xff\xc2\x00\x11\x08",
    b"\xff\xc0\x00\x0b\x08",
    b"\xff\xc4\x00\x1f\x00",
    b"\xff\xc4\x00\xb5\x10",
    b"\xff\xda\x00\x0c\x03\x01",
    b"\xff\xda\x00\x08\x01\x01",
    b"WEBPVP8",
    b"\x36\x00\x00\x00\x28\x00\x00\x00",
    b"II*\x00\x08\x00\x00\x00",
    b"MM\x00*\x00\x00\x00\x08",
    b"\x00\x00\x00\x0cjP  \r\n",
    b"\xff\x4f\xff\x51\x00",
    b"8BPS\x00\x01\x00",
    b"\x00\x00\x00\x0cJXL \r\n",
    b"#?RADIANCE",
    b"v/1\x01\x02\x00\x00",
    b"farbfeld\x00",
    # film and sound
    b"\x42\x82\x84webm",
    b"\x42\x82\x88matroska",
    b"lmvhd\x00",
    b"moov\x00\x00\x00",
    b"OggS\x00\x02",
    b"\x01vorbis",
    b"OpusHead\x01",
    b"fLaC\x00\x00\x00\x22",
    b"WAVEfmt ",
    b"ID3\x03\x00\x00",
    b"ID3\x04\x00\x00",
    b"#!AMR\n",
    b"#!AMR-WB",
    b"MThd\x00\x00\x00\x06",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    b"FLV\x01\x05\x00\x00\x00\x09",
    b"FLV\x01\x01\x00\x00\x00\x09",
    b"LAME3.",
    # archives and documents
    b"PK\x03\x04\x14\x00",
    b"PK\x03\x04\x0a\x00",
    b"PK\x03\x04\x2d\x00",
    b"PK\x01\x02\x14\x03",
    b"PK\x05\x06\x00\x00\x00\x00",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a\x07",
    b"\xfd7zXZ\x00",
    b"BZh91AY&SY",
    b"MSCF\x00\x00\x00\x00",
    b"ustar\x0000",
    b"ustar  \x00",
    b"!<arch>\n",
    b"%PDF-1.",
    b"%PDF-2.",
    b"%!PS-Adobe",
    b"{\\rtf1",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"SQLite format 3\x00",
)
_PATTERNS: tuple[bytes, ...] = (
    rb"ftyp(?:isom|iso[2-9]|mp4[12v]|avi[fs1]|M4[ABVP] |qt  |3g[pe2][1-9a-z]|mif1|msf1|hei[cmsx]|hev[cx]|jp2 |dash)",
    rb"RIFF[\s\S]{4}(?:WEBP|WAVE|AVI )",
    rb"<(?:[sS][vV][gG][\s>/]|\?xml|!(?:doctype|DOCTYPE)|html[\s>]|img\s|script)",
    rb"data:(?:image|video|audio|application|text)/[a-z0-9.+-]+[;,]",
)
_JPEG = rb"\xff\xd8\xff[\xe0-\xef\xdb\xc4\xc0\xc2\xfe]\x00[\x04-\xff](?:[\s\S]{2,60}\xff|JFIF|Exif)"


def _one_pattern(signatures: Iterable[bytes], patterns: Iterable[bytes]) -> bytes:
    """All of them as one expression, grouped by first byte: one pass instead of a hundred."""
    groups: dict[bytes, list[bytes]] = {}
    for signature in signatures:
        groups.setdefault(signature[:1], []).append(re.escape(signature[1:]))
    grouped = (re.escape(first) + b"(?:" + b"|".join(rest) + b")" for first, rest in groups.items())
    return b"|".join((*grouped, *patterns))


_CONTENT = re.compile(_one_pattern(SIGNATURES, (*_PATTERNS, _JPEG)))
_NETPBM = re.compile(rb"P[1-6][\s#][\s\S]{0,24}?\d+\s+\d+\s")
_INFLATED_MAX = 65_536


def find_content(data: bytes) -> bool:
    """Whether `data` is, begins with or contains a file that one of the signatures knows."""
    return len(data) >= 8 and (_CONTENT.search(data) is not None or begins_with_content(data))


def find_content_in_any(several: Sequence[bytes]) -> bool:
    """Whether `find_content` finds something in one of `several`. Together they are searched once."""
    if any(map(begins_with_content, several)) or _CONTENT.search(b"\x00".join(several)):
        return any(map(find_content, several))
    return False


def may_hold_content(texts: Iterable[str]) -> bool:
    """False when `find_content` finds nothing in any of `texts`, and one pass over all of them together shows it.

    Most signatures have bytes that printable ASCII does not; a space before each text stands for its beginning.
    """
    joined = " ".join(("", *texts))
    return not (joined.isascii() and joined.isprintable()) or _PRINTABLE_CONTENT.search(joined) is not None


def begins_with_content(data: bytes) -> bool:
    """Whether `data` begins with a file, by a short signature and the structure after it. Below a microsecond.

    A box of ISO base media is also known without its leading zeros, which a large number loses.
    """
    head = data[:2]
    if head in FIRST_PAIRS and (
        (head in _HEADS and _HEADS[head](data))
        or (head in _PREFIXES and data.startswith(_PREFIXES[head]))
        or (head == b"\x00\x00" and data[4:8] in _BOX_TYPES)
    ):
        return True
    return data[1:5] in _BOX_TYPES and data[5:9].isalnum()


def begins_with_sound(data: bytes) -> bool:
    """Whether `data` begins with the header of an MPEG layer III frame as encoders write it: few bits, so no more
    than a handful of decodings may be asked."""
    return data[:2] == b"\xff\xfb" and data[2:3] in _FRAME_RATES and len(data) > 3 and not data[3] & 0x03


def inflated(data: bytes) -> bytes | None:
    """What `data` holds when it is a compressed stream; None when it is not. At most 64 KiB are inflated."""
    head = data[:2]
    if head not in FIRST_PAIRS:
        return None
    try:
        if head == b"\x1f\x8b" or (head[:1] in (b"\x78", b"\x58", b"\x68") and int.from_bytes(head, "big") % 31 == 0):
            return _inflate(data, 47)
        if head == b"BZ":
            return bz2.BZ2Decompressor().decompress(data, _INFLATED_MAX)
        if data[:6] == b"\xfd7zXZ\x00" or (data[:3] == b"\x5d\x00\x00" and data[5:13] == b"\xff" * 8):
            return lzma.LZMADecompressor(memlimit=1 << 26).decompress(data, _INFLATED_MAX)
    except (zlib.error, OSError, lzma.LZMAError, EOFError, MemoryError):
        return None
    return None


def inflated_inside(data: bytes) -> bool:
    """Whether a compressed stream of some length starts somewhere in `data`, behind other bytes."""
    for magic in (b"\x1f\x8b\x08", b"\x78\x9c", b"\x78\xda"):
        at = data.find(magic)
        if at > 0:
            held = inflated(data[at:])
            if held is not None and (len(held) >= 64 or find_content(held)):
                return True
    return False


def inflated_raw(data: bytes) -> bytes | None:
    """What a headerless deflate stream at the start of `data` holds, when it ends properly inside `data`."""
    block = data[0] >> 1 & 3 if data else 3
    if block == 3 or (block == 0 and data[1:3] != bytes(byte ^ 0xFF for byte in data[3:5])):
        return None  # no such type of block, or a stored block whose length is not repeated (RFC 1951 §3.2.4)
    stream = zlib.decompressobj(-15)
    try:
        held = stream.decompress(data, _INFLATED_MAX)
    except zlib.error:
        return None
    return held if stream.eof and len(held) >= 24 else None


def _inflate(data: bytes, window_bits: int) -> bytes | None:
    held = zlib.decompressobj(window_bits).decompress(data, _INFLATED_MAX)
    return held if len(held) >= 16 else None


def _bmp(data: bytes) -> bool:
    offset, header = int.from_bytes(data[10:14], "little"), int.from_bytes(data[14:18], "little")
    return (
        len(data) >= 18
        and data[6:10] == b"\x00" * 4
        and header in (12, 40, 52, 56, 64, 108, 124)
        and 26 <= offset <= 2_048
    )


def _tiff(data: bytes) -> bool:
    order = "little" if data[:1] == b"I" else "big"
    magic, offset = int.from_bytes(data[2:4], order), int.from_bytes(data[4:8], order)  # type: ignore[arg-type]
    return magic in (42, 43) and 8 <= offset < 1 << 24 and offset % 2 == 0


def _icon(data: bytes) -> bool:
    count = int.from_bytes(data[4:6], "little")
    return (
        data[2:4] in (b"\x01\x00", b"\x02\x00")
        and 1 <= count <= 20
        and data[9:10] == b"\x00"
        and data[10:11] in (b"\x00", b"\x01")
    )


def _frames(data: bytes) -> bool:
    """MPEG audio: a second frame header where the first frame's length says (ISO/IEC 11172-3 §2.4)."""
    if len(data) < 4 or data[2] >> 4 in (0, 15) or data[2] >> 2 & 3 == 3:
        return False
    version, layer = data[1] >> 3 & 3, data[1] >> 1 & 3
    if layer != 1 or version == 1:
        return False
    rates = (
        (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
        if version == 3
        else (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    )
    hertz = (44_100, 48_000, 32_000)[data[2] >> 2 & 3] // {3: 1, 2: 2, 0: 4}[version]
    length = (144 if version == 3 else 72) * rates[data[2] >> 4] * 1000 // hertz + (data[2] >> 1 & 1)
    second = data[length : length + 2]
    if len(data) <= length:
        return data[4:24].count(0) >= 12  # one frame cut short: its side information is mostly zero in silence
    return second == data[:2]


def _adts(data: bytes) -> bool:
    length = int.from_bytes(data[3:6], "big") >> 5 & 0x1FFF
    return 7 <= length < len(data) and data[length : length + 2] == data[:2]


def _zstandard(data: bytes) -> bool:
    return data[:4] == b"\x28\xb5\x2f\xfd" and len(data) > 5 and not data[4] & 0x08


def _starts(*prefixes: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(prefixes)


_BOX_TYPES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"sidx", b"free", b"skip", b"wide", b"meta"})
_HEADS: dict[bytes, Callable[[bytes], bool]] = {
    b"BM": _bmp,
    b"II": _tiff,
    b"MM": _tiff,
    b"\x00\x00": _icon,
    b"\xff\xfb": _frames,
    b"\xff\xfa": _frames,
    b"\xff\xf3": _frames,
    b"\xff\xf2": _frames,
    b"\xff\xe3": _frames,
    b"\xff\xe2": _frames,
    b"\xff\xf1": _adts,
    b"\xff\xf9": _adts,
    b"\x28\xb5": _zstandard,
    b"\x04\x22": _starts(b"\x04\x22\x4d\x18"),
    b"ID": _starts(b"ID3\x02\x00", b"ID3\x03\x00", b"ID3\x04\x00"),
    b"Og": _starts(b"OggS"),
    b"fL": _starts(b"fLaC"),
    b"qo": _starts(b"qoif"),
    b"BP": _starts(b"BPG\xfb"),
    b"DD": _starts(b"DDS |"),
    b"\xd7\xcd": _starts(b"\xd7\xcd\xc6\x9a"),
    b"%P": _starts(b"%PDF-"),
    b"PK": _starts(b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),
    b"\x1a\x45": _starts(b"\x1a\x45\xdf\xa3"),
    b"AT": _starts(b"AT&TFORM"),
    b"FO": _starts(b"FORM"),
    b"RI": _starts(b"RIFF"),
    b"\xff\xd8": lambda data: data[2:3] == b"\xff" and data[3:4] > b"\xbf",
    b"\x89P": _starts(b"\x89PNG"),
    b"GI": _starts(b"GIF8"),
    b"7z": _starts(b"7z\xbc\xaf"),
    b"Ra": _starts(b"Rar!"),
    b"BZ": _starts(b"BZh"),
    b"<s": _starts(b"<svg"),
    b"<?": _starts(b"<?xml"),
    b"<!": _starts(b"<!DOC", b"<!doc"),
    b"da": _starts(b"data:"),
    b"<h": _starts(b"<html"),
    b"\x0a\x05": _starts(b"\x0a\x05\x01\x08"),
    b"FL": _starts(b"FLV\x01"),
    **{b"P" + str(digit).encode(): lambda data: _NETPBM.match(data) is not None for digit in range(1, 7)},
}
#: Third bytes of frame headers: 32 to 320 kbit/s at 44.1 or 48 kHz.
_FRAME_RATES = frozenset(bytes((rate << 4 | rest,)) for rate in range(1, 15) for rest in (0, 2, 4, 6))
_PREFIXES: dict[bytes, tuple[bytes, ...]] = {
    first: tuple(signature for signature in SIGNATURES if signature[:2] == first)
    for first in {s[:2] for s in SIGNATURES}
}
#: The first two bytes with which a file or a compressed stream can begin: what to ask before decoding the rest.
FIRST_PAIRS: frozenset[bytes] = frozenset(
    {*_HEADS, *_PREFIXES, b"\x1f\x8b", b"\x5d\x00", b"\xfd7"}
    | {bytes((first, second)) for first in b"\x58\x68\x78" for second in range(256) if (first << 8 | second) % 31 == 0}
)


def _is_printable(data: bytes) -> bool:
    return data.isascii() and data.decode().isprintable()


_PRINTABLE_CONTENT = re.compile(
    _one_pattern(
        filter(_is_printable, SIGNATURES),
        (
            *_PATTERNS,
            b" (?:" + b"|".join(map(re.escape, filter(_is_printable, _HEADS))) + b")",
            b" .(?:" + b"|".join(_BOX_TYPES) + b")",
        ),
    ).decode()
)
