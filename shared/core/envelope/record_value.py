"""The value of a message record: clear part as canonical JSON, a line feed, sealed part as bytes.

Canonical JSON contains no line feed, so the first one ends the clear part. Without a sealed part the line feed is the
last byte.
"""

from __future__ import annotations

from shared.core.errors import Refused


def join_value(clear: bytes, sealed: bytes | None) -> bytes:
    """Return the value of a record."""
    return clear + b"\n" + (sealed or b"")


def split_value(value: bytes) -> tuple[bytes, bytes | None]:
    """Split a record's value into the clear part's JSON and the sealed part.

    Raises `Refused("body_invalid")`.
    """
    clear, found, sealed = value.partition(b"\n")
    if not found:
        raise Refused("body_invalid")
    return clear, sealed or None
