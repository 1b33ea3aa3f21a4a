"""Stored text: compressed against a dictionary of the texts that an instance keeps most.

    number of the dictionary (1 byte) · raw deflate (RFC 1951)

A dictionary never changes while stored bytes name it: a later one gets the next number. An instance reads
only text that it has compressed itself: many deflate streams open to one text, and a sender could hide data in its
choice of one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from zlib import DEFLATED, Z_SYNC_FLUSH, compressobj, decompressobj
from zlib import error as ZlibError  # noqa: N812 - the library's class has a lower-case name

from shared.core.errors import Defect

#: The longest text; the answer to a batch of 100 referrals with 200 recipients each is shorter.
TEXT_BYTES_MAX: Final = 32 * 1024 * 1024
_NUMBER: Final = 1
_DICTIONARY: Final = (Path(__file__).with_name("data") / f"stored-text-{_NUMBER}.txt").read_bytes()
_LEVEL: Final = 6
#: Raw deflate with a window of 8 KiB, which holds the dictionary. zlib clears its tables for each text. With the
#: largest window, that took five times as long as compressing the text, and saved no byte.
_MEMORY_LEVEL: Final = 6
_WINDOW_BITS: Final = -13
#: It has read the dictionary. A copy costs half of reading it again.
_READY: Final = compressobj(_LEVEL, DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zdict=_DICTIONARY)


def compress(text: bytes, known: bytes = b"") -> bytes:
    """Return the text as it is stored. Its reader needs `known`, which has parts of the text."""
    assert len(text) <= TEXT_BYTES_MAX
    deflating = _READY.copy()
    if known:
        deflating.compress(known)
        deflating.flush(Z_SYNC_FLUSH)
    return b"".join((bytes([_NUMBER]), deflating.compress(text), deflating.flush()))


def decompress(stored: bytes, known: bytes = b"") -> bytes:
    """Return the text of stored bytes. Raises `Defect("record_malformed")` for other bytes."""
    inflating = decompressobj(_WINDOW_BITS, _DICTIONARY + known)
    try:
        text = inflating.decompress(stored[1:], TEXT_BYTES_MAX)
    except ZlibError:
        raise Defect("record_malformed") from None
    if stored[:1] != bytes([_NUMBER]) or not inflating.eof or inflating.unused_data:
        raise Defect("record_malformed")
    return text
