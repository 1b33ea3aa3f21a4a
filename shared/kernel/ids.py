"""Identifiers: UUID version 7 (RFC 9562 §5.7), time-ordered and unguessable."""

from __future__ import annotations

import os
import time
from uuid import UUID

_RANDOM_BITS = (1 << 74) - 1


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Ids made in one millisecond are not ordered among each other; nothing relies on that.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big") & _RANDOM_BITS
    high, low = random >> 62, random & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)


def is_uuid7(value: UUID) -> bool:
    """Whether `value` has the version and variant bits of a UUIDv7."""
    return value.version == 7


def salt() -> str:
    """32 fresh random bytes, 64 lower-case hexadecimal digits."""
    return os.urandom(32).hex()
