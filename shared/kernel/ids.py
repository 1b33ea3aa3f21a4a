"""Identifiers: UUID version 7 (RFC 9562 §5.7), time-ordered and unguessable; version 4 for what tells no time."""

from __future__ import annotations

import os
import time
from uuid import UUID, SafeUUID

_RANDOM_BITS = (1 << 74) - 1
_FORM_BITS = (0xF << 76) | (0b11 << 62)
_FORM_OF_4 = (0x4 << 76) | (0b10 << 62)
_FORM_OF_7 = (0x7 << 76) | (0b10 << 62)


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Ids made in one millisecond are not ordered among each other; nothing relies on that.
    """
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big") & _RANDOM_BITS
    high, low = random >> 62, random & ((1 << 62) - 1)
    return uuid_of((milliseconds << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)


def uuid4() -> UUID:
    """A new UUIDv4: 122 random bits. For what must tell no time: acts, edges."""
    random = int.from_bytes(os.urandom(16), "big")
    return uuid_of(random & ~_FORM_BITS | _FORM_OF_4)


def uuid_of(number: int) -> UUID:
    """`UUID(int=number)` for a number that has 128 bits: made without the constructor, which costs twice as much."""
    made = object.__new__(UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


def is_uuid7(value: UUID) -> bool:
    """Whether `value` has the version and variant bits of a UUIDv7."""
    return value.int & _FORM_BITS == _FORM_OF_7


def salt() -> str:
    """32 fresh random bytes, 64 lower-case hexadecimal digits."""
    return os.urandom(32).hex()
