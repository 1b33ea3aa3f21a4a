"""A tripwire: whether a body has a file's first bytes in it, in base64 or hexadecimal. Nothing rests on it.

Whoever encodes otherwise is not seen, and is charged all the same. Of a million hashes fewer than one looks like a
file by chance.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Final

#: JPEG, PNG, GIF, WebP and AVI, MP4, Matroska, PDF, ZIP, TIFF.
_FILES: Final = (
    *(b"\xff\xd8\xff\xdb", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a"),
    *(b"RIFF", b"\0\0\0\x18ftyp", b"\0\0\0\x1cftyp", b"\0\0\0\x20ftyp", b"\x1aE\xdf\xa3", b"%PDF-", b"PK\x03\x04"),
    *(b"II*\0", b"MM\0*"),
)
#: As each is spelt where an encoded file begins; of base64 the characters that do not depend on what follows.
_BASE64: Final = tuple(b64encode(each)[: len(each) * 8 // 6] for each in _FILES)
_HEXADECIMAL: Final = tuple(each.hex().encode() for each in _FILES)
_PLAIN: Final = bytes.maketrans(b"-_", b"+/")
#: So much of a large body is looked at in one step: within a millisecond.
PART_BYTES: Final = 32_768
#: The longest spelling, each of its characters escaped: parts overlap by it.
_OVERLAP: Final = 3 * max(map(len, _BASE64 + _HEXADECIMAL))


def trips(body: bytes) -> bool:
    """Whether a file begins somewhere in `body`, whatever stands before it."""
    text, digits = body.translate(_PLAIN).replace(b"%2F", b"/"), body.lower()
    return any(each in text for each in _BASE64) or any(each in digits for each in _HEXADECIMAL)


def trips_by_part(body: bytes) -> Iterator[bool]:
    """Whether a file begins in it, of each part of `body`, as it is asked for: in any, where `trips` says so."""
    return (trips(body[at : at + PART_BYTES + _OVERLAP]) for at in range(0, len(body), PART_BYTES))
