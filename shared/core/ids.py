"""Identifiers: UUID version 7 (RFC 9562 §5.7), time-ordered and unguessable; version 4 where the time must not show."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID, SafeUUID

from shared.core.clock import EPOCH, coarse

_RANDOM_BITS = (1 << 74) - 1
_FORM_BITS = (0xF << 76) | (0b11 << 62)
_FORM_OF_4 = (0x4 << 76) | (0b10 << 62)
_FORM_OF_7 = (0x7 << 76) | (0b10 << 62)
#: Looked up once: the class searches for it at each access.
_UNKNOWN = SafeUUID.unknown

#: The UUID of a text. Each step of a batch reads the ids of its messages. Raises `ValueError`.
parse_uuid = lru_cache(4096)(UUID)


def uuid7() -> UUID:
    """Return a new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    Ids of one millisecond have no order; no code relies on one.
    """
    return _uuid7(time.time_ns() // 1_000_000)


def coarse_uuid7(instant: datetime) -> UUID:
    """Return a new UUIDv7 whose time is `instant` cut to 10 s, as precise as `coarse`."""
    return _uuid7(_coarse_milliseconds(instant))


@lru_cache(1024)
def _coarse_milliseconds(instant: datetime) -> int:
    return int(coarse(instant).timestamp()) * 1000


def time_of(uuid7: UUID) -> datetime:
    """Return the time at which a UUIDv7 was made, as its maker states it. Other ids have some time before year 7000."""
    return EPOCH + timedelta(milliseconds=min(uuid7.int >> 80, 1 << 47))


def first_uuid7(instant: datetime) -> UUID:
    """Return an id below every UUIDv7 of `instant` or later. It is not a UUIDv7 itself."""
    return uuid_of(int(instant.timestamp() * 1000) << 80)


def _uuid7(milliseconds: int) -> UUID:
    random = int.from_bytes(os.urandom(10), "big") & _RANDOM_BITS
    high, low = random >> 62, random & ((1 << 62) - 1)
    return uuid_of((milliseconds << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low)


def uuid4() -> UUID:
    """Return a new UUIDv4, for edges and acts. It does not reveal its time, or which other ids are of that time."""
    random = int.from_bytes(os.urandom(16), "big") & ~_FORM_BITS
    return uuid_of(random | _FORM_OF_4)


def uuid_of(number: int) -> UUID:
    """Return `UUID(int=number)` for a number of 128 bits, without the constructor, which takes twice as long."""
    made = object.__new__(UUID)
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", _UNKNOWN)
    return made


def spelt_uuid(text: str) -> UUID:
    """Return the UUID of a text that the caller has checked: the lower-case form with hyphens."""
    return uuid_of(int(text.replace("-", ""), 16))


def is_uuid7(value: UUID) -> bool:
    """Return whether `value` has the version and variant bits of a UUIDv7."""
    return value.int & _FORM_BITS == _FORM_OF_7


def salt() -> str:
    """Return 32 new random bytes as 64 lower-case hexadecimal digits."""
    return os.urandom(32).hex()
