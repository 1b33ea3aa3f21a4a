"""A tripwire: it detects the first bytes of a file in a body, in base64 or hexadecimal.

It is only an extra check. Other encodings are not detected, but their cost still counts. Fewer than one in a million
hashes looks like a file by chance.
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
#: The encoded start of each file; in base64 only the characters that do not depend on the following bytes.
_BASE64: Final = tuple(b64encode(each)[: len(each) * 8 // 6] for each in _FILES)
_HEXADECIMAL: Final = tuple(each.hex().encode() for each in _FILES)
_PLAIN: Final = bytes.maketrans(b"-_", b"+/")
#: The size of a part of a large body that is checked in one step, within a millisecond.
PART_BYTES: Final = 32_768
#: The longest pattern with all its characters escaped. Parts overlap by this length.
_OVERLAP: Final = 3 * max(map(len, _BASE64 + _HEXADECIMAL))


def trips(body: bytes) -> bool:
    """Return whether a file begins anywhere in `body`."""
    text, digits = body.translate(_PLAIN).replace(b"%2F", b"/"), body.lower()
    return any(each in text for each in _BASE64) or any(each in digits for each in _HEXADECIMAL)


def trips_by_part(body: bytes) -> Iterator[bool]:
    """Yield the result of `trips` for each part of `body`, lazily.

    A file in the body is found in at least one part.
    """
    return (trips(body[at : at + PART_BYTES + _OVERLAP]) for at in range(0, len(body), PART_BYTES))
