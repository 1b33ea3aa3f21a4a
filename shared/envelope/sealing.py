"""What a sealed part is bound to, and how its plaintext is padded. `segment_sealing` seals and opens it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from shared.kernel.errors import Refused

BUCKET_BYTES_MIN = 512
#: The largest bucket is no power of two: what a value of 64 KiB still holds.
BUCKET_BYTES_MAX = 46 * 1024
LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SealContext:
    """The message that a sealed part belongs to: six values, the same at its sender and its recipient.

    None of them holds a line feed: they are ids, and stand in headers.
    """

    schema: str
    message_id: UUID
    subject: str
    revision: int
    sender: str
    recipient: str

    def associated_data(self) -> bytes:
        """The bytes that a sealed part is bound to, a line feed after each value."""
        return (
            f"causeway-seal/v3\n{self.schema}\n{self.message_id}\n{self.subject}\n{self.revision}\n"
            f"{self.sender}\n{self.recipient}\n"
        ).encode()


def is_sealable(length: int) -> bool:
    """Return whether the largest bucket holds a plaintext of so many bytes."""
    return _bucket(length) <= BUCKET_BYTES_MAX


def check_sealable(plaintext: bytes) -> None:
    """Raises `Refused("sealed_too_large")` for more bytes than the largest bucket holds."""
    if not is_sealable(len(plaintext)):
        raise Refused("sealed_too_large", f"at most {BUCKET_BYTES_MAX - LENGTH_BYTES} bytes")


def _unopenable() -> Refused:
    return Refused("sealed_unopenable", field="/sealed")


def pad_plaintext(plaintext: bytes) -> bytes:
    """Length (4 bytes, big-endian) ‖ plaintext ‖ zeros, up to the smallest bucket that holds it.

    Raises `Refused("sealed_too_large")`.
    """
    check_sealable(plaintext)
    return (len(plaintext).to_bytes(LENGTH_BYTES, "big") + plaintext).ljust(_bucket(len(plaintext)), b"\x00")


def unpad_plaintext(padded: bytes) -> bytes:
    """Return the plaintext. Anything that `pad_plaintext` would not write is refused: padding carries no bytes."""
    length = int.from_bytes(padded[:LENGTH_BYTES], "big")
    end = LENGTH_BYTES + length
    if len(padded) > BUCKET_BYTES_MAX or len(padded) != _bucket(length) or padded.count(0, end) != len(padded) - end:
        raise _unopenable()
    return padded[LENGTH_BYTES:end]


def _bucket(length: int) -> int:
    """The smallest power of two from 512 bytes on, or the bound, that holds the length prefix and `length` bytes."""
    bucket = max(BUCKET_BYTES_MIN, 1 << (LENGTH_BYTES + length - 1).bit_length())
    return BUCKET_BYTES_MAX if bucket > BUCKET_BYTES_MAX >= LENGTH_BYTES + length else bucket
