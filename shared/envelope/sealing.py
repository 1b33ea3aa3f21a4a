"""Sealing: HPKE in base mode, single shot (RFC 9180), one recipient.

The text is `v1.` + the recipient key's suite + `.` + base64url of encapsulated key ‖ ciphertext. The context goes into
HPKE's `info`, so a sealed part opens only in the message it was made for. Sealing does not say who sealed: the batch
signature over the whole message does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.keys import OpeningKey, SealingKey, SuiteName
from shared.kernel.canonical import canonical_json
from shared.kernel.errors import Refused

BUCKET_BYTES_MIN = 512
#: The largest bucket is no power of two: what a record of 64 KiB still holds.
BUCKET_BYTES_MAX = 46 * 1024
LENGTH_BYTES = 4

_VERSION = "v1"
_SUITES: dict[SuiteName, Suite] = {
    "x25519": Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    "mlkem768-x25519": Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SealContext:
    """The message a sealed part belongs to. Sender and recipient need the same six values to seal and open."""

    schema: str
    message_id: UUID
    subject: str
    revision: int
    sender: str
    recipient: str

    def info(self) -> bytes:
        """The bytes HPKE binds the seal to."""
        return canonical_json(
            {
                "context": "causeway-seal/v1",
                "schema": self.schema,
                "message_id": str(self.message_id),
                "subject": self.subject,
                "revision": self.revision,
                "sender": self.sender,
                "recipient": self.recipient,
            }
        )


def seal(plaintext: bytes, recipient_key: SealingKey, context: SealContext) -> str:
    """Seal at most 47,100 bytes. Raises `Refused("sealed_too_large")`. The text's length tells the bucket, no more."""
    sealed = _SUITES[recipient_key.suite].encrypt(_pad(plaintext), recipient_key.key, context.info())
    return f"{_VERSION}.{recipient_key.suite}.{to_base64url(sealed)}"


def open_sealed(text: str, private_key: OpeningKey, context: SealContext) -> bytes:
    """The plaintext. Raises `Refused("sealed_unopenable")`: one code for a wrong key, context, bit or padding."""
    prefix = f"{_VERSION}.{private_key.suite}."
    if not text.startswith(prefix):
        raise Refused("sealed_unopenable")
    try:
        sealed = from_base64url(text[len(prefix) :])
        padded = _SUITES[private_key.suite].decrypt(sealed, private_key.key, context.info())
    except (InvalidTag, ValueError):
        raise Refused("sealed_unopenable") from None
    return _unpad(padded)


def open_with_any(text: str, private_keys: Sequence[OpeningKey], context: SealContext) -> bytes:
    """Open with whichever key fits: during a rotation the old one still does. Raises `Refused("sealed_unopenable")`."""
    for key in private_keys:
        try:
            return open_sealed(text, key, context)
        except Refused:
            continue
    raise Refused("sealed_unopenable", field="/sealed")


def _pad(plaintext: bytes) -> bytes:
    """Length (4 bytes, big-endian) ‖ plaintext ‖ zeros, up to the smallest bucket that holds it."""
    bucket = _bucket(len(plaintext))
    if bucket > BUCKET_BYTES_MAX:
        raise Refused("sealed_too_large", f"at most {BUCKET_BYTES_MAX - LENGTH_BYTES} bytes")
    return (len(plaintext).to_bytes(LENGTH_BYTES, "big") + plaintext).ljust(bucket, b"\x00")


def _unpad(padded: bytes) -> bytes:
    """What `_pad` was given. Anything it would not write is refused: padding must not carry bytes past the guard."""
    length = int.from_bytes(padded[:LENGTH_BYTES], "big")
    plaintext = padded[LENGTH_BYTES : LENGTH_BYTES + length]
    if len(padded) > BUCKET_BYTES_MAX or _pad(plaintext) != padded:
        raise Refused("sealed_unopenable")
    return plaintext


def _bucket(length: int) -> int:
    """The smallest power of two from 512 bytes on, or the bound, that holds the length prefix and `length` bytes."""
    bucket = max(BUCKET_BYTES_MIN, 1 << (LENGTH_BYTES + length - 1).bit_length())
    return BUCKET_BYTES_MAX if bucket > BUCKET_BYTES_MAX >= LENGTH_BYTES + length else bucket
