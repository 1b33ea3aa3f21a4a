"""What the simulation does cheaply, since nobody in it lies: signatures, and reading the same headers again."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha512

from shared.envelope.headers import Envelope, decode_headers
from shared.envelope.keys import SigningKey


class Key(SigningKey):
    """Signs with a digest of as many bytes as a signature has."""

    def sign(self, message: bytes) -> bytes:
        return sha512(message).digest()


@lru_cache(4096)
def opened(headers: tuple[tuple[str, bytes | None], ...], value: bytes) -> Envelope:
    """As `decode_headers`, and as it raises `Refused`."""
    return decode_headers(headers, value)
