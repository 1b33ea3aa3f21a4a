"""Sealing of a segment: one HPKE encapsulation (RFC 9180, base mode, single shot) for each group.

    wrap         suite number ‖ key id length ‖ key id ‖ batch id 16 ‖ encapsulated key ‖ sealed data key
    its info     `causeway-wrap/v3`, suite, key id, batch id in hexadecimal; a line feed after each
    message key  HMAC-SHA-256(data key, the message id's 16 bytes)
    sealed part  nonce 12 ‖ AES-256-GCM of the padded plaintext; the message's context is the associated data

The wrap is in the segment's content proof, once a group. The data key is lost with the sealer. A message key opens one
message, so one message can be disclosed without the others.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from shared.core.envelope.keys import KEY_OPERATIONS, OpeningKey, SealingKey, SuiteName
from shared.core.errors import Refused

BUCKET_BYTES_MIN = 512
#: The largest bucket is the most that a value of 64 KiB can contain.
BUCKET_BYTES_MAX = 46 * 1024
LENGTH_BYTES = 4


# Not frozen: each message has one, and a frozen class costs three times as much.
@dataclass(slots=True, kw_only=True)
class SealContext:
    """The message of a sealed part, in six values that its sender and its recipient have.

    None of them contains a line feed, because they are ids from headers.
    """

    schema: str
    message_id: UUID
    subject: str
    revision: int
    sender: str
    recipient: str

    def associated_data(self) -> bytes:
        """Return the bytes that bind a sealed part to its message, with a line feed after each value."""
        return (
            f"causeway-seal/v3\n{self.schema}\n{self.message_id}\n{self.subject}\n{self.revision}\n"
            f"{self.sender}\n{self.recipient}\n"
        ).encode()


def is_sealable(length: int) -> bool:
    """Return whether a plaintext of this length fits in the largest bucket."""
    return LENGTH_BYTES + length <= BUCKET_BYTES_MAX


def check_sealable(plaintext: bytes) -> None:
    """Check that the plaintext fits in the largest bucket. Raises `Refused("sealed_too_large")`."""
    if not is_sealable(len(plaintext)):
        raise Refused("sealed_too_large", f"at most {BUCKET_BYTES_MAX - LENGTH_BYTES} bytes")


def _unopenable() -> Refused:
    return Refused("sealed_unopenable", field="/sealed")


def pad_plaintext(plaintext: bytes) -> bytes:
    """Return length (4 bytes, big-endian) ‖ plaintext ‖ zeros, up to the smallest bucket that fits.

    Raises `Refused("sealed_too_large")`.
    """
    check_sealable(plaintext)
    return (len(plaintext).to_bytes(LENGTH_BYTES, "big") + plaintext).ljust(_bucket(len(plaintext)), b"\x00")


def unpad_plaintext(padded: bytes) -> bytes:
    """Return the plaintext. Only padding of `pad_plaintext` is accepted, so padding carries no data."""
    length = int.from_bytes(padded[:LENGTH_BYTES], "big")
    end = LENGTH_BYTES + length
    if len(padded) != _bucket(length) or padded.count(0, end) != len(padded) - end:
        raise _unopenable()
    return padded[LENGTH_BYTES:end]


def _bucket(length: int) -> int:
    """Return the smallest of 512, 768, 1024, 1536, 2048 … that holds the length and the text, up to the limit."""
    size = LENGTH_BYTES + length
    power = 1 << (size - 1).bit_length()
    between = power // 4 * 3
    return min(max(BUCKET_BYTES_MIN, between if size <= between else power), BUCKET_BYTES_MAX)


_SUITES: Final[tuple[tuple[SuiteName, Suite], ...]] = (
    ("x25519", Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)),
    ("mlkem768-x25519", Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)),
)
_NAMES: Final = tuple(name for name, _ in _SUITES)
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_BATCH_ID_BYTES: Final = 16


class GroupSealer:
    """Seals the messages of one group under a new data key. Never shown."""

    __slots__ = ("_data_key", "wrap")

    #: The encapsulated data key, for the group's content proof.
    wrap: bytes

    def __init__(self, recipient_key: SealingKey) -> None:
        self._data_key = os.urandom(KEY_BYTES)
        batch_id = os.urandom(_BATCH_ID_BYTES)
        number = _NAMES.index(recipient_key.suite)
        key_id = recipient_key.key_id.encode()
        info = _info(recipient_key, batch_id)
        KEY_OPERATIONS.encapsulated += 1
        sealed_key = _SUITES[number][1].encrypt(self._data_key, recipient_key.key, info)
        self.wrap = b"".join((bytes([number, len(key_id)]), key_id, batch_id, sealed_key))

    def seal(self, plaintext: bytes, context: SealContext) -> bytes:
        """Seal one message. Its length reveals only the padding bucket. Raises `Refused("sealed_too_large")`."""
        key = derive_message_key(self._data_key, context.message_id)
        return seal_with_key(plaintext, key, context.associated_data(), nonce=os.urandom(NONCE_BYTES))

    def __repr__(self) -> str:
        return "GroupSealer(…)"


class GroupOpener:
    """Opens groups that were sealed for any of its keys: the old key still opens during a rotation.

    It unwraps each group once. It is made for one batch of records and discarded with it. Not thread-safe.
    """

    __slots__ = ("_data_keys", "_keys")

    def __init__(self, private_keys: Sequence[OpeningKey]) -> None:
        self._keys = {key.key_id: key for key in private_keys}
        self._data_keys: dict[bytes, bytes] = {}

    def message_key(self, wrap: bytes, message_id: UUID) -> bytes:
        """Return the key that opens this message alone, 32 bytes. Raises `Refused("sealed_unopenable")`."""
        data_key = self._data_keys.get(wrap)
        if data_key is None:
            data_key = self._data_keys[wrap] = self._unwrap(wrap)
        return derive_message_key(data_key, message_id)

    def open(self, sealed: bytes, wrap: bytes, context: SealContext) -> bytes:
        """Return the plaintext.

        Raises `Refused("sealed_unopenable")` for a wrong key or context, or changed bytes.
        """
        return self.open_part(sealed, wrap, context).plaintext

    def open_part(self, sealed: bytes, wrap: bytes, context: SealContext) -> OpenedPart:
        """Return the opened part, with the values to seal it again. Raises as `open`."""
        key = self.message_key(wrap, context.message_id)
        associated = context.associated_data()
        return OpenedPart(open_with_key(sealed, key, associated), key, sealed[:NONCE_BYTES], associated)

    def _unwrap(self, wrap: bytes) -> bytes:
        parts = _Wrap.read(wrap)
        key = self._keys.get(parts.key_id)
        if key is None or key.suite != _NAMES[parts.suite]:
            raise _unopenable()
        KEY_OPERATIONS.decapsulated += 1
        try:
            info = _info(key.sealing_key, parts.batch_id)
            data_key = _SUITES[parts.suite][1].decrypt(parts.sealed_key, key.key, info)
        except (InvalidTag, ValueError):
            raise _unopenable() from None
        if len(data_key) != KEY_BYTES:
            raise _unopenable()
        return data_key

    def __repr__(self) -> str:
        return f"GroupOpener({', '.join(self._keys)})"


class OpenedPart(NamedTuple):
    """A sealed part, opened. Its plaintext and these values seal it again to the same bytes."""

    plaintext: bytes
    key: bytes
    nonce: bytes
    associated: bytes

    def seal_again(self) -> bytes:
        """Return the sealed part as received."""
        return seal_with_key(self.plaintext, self.key, self.associated, nonce=self.nonce)


def seal_with_key(plaintext: bytes, message_key: bytes, associated: bytes, *, nonce: bytes) -> bytes:
    """Seal one message with its own key: the same values give the same bytes."""
    return nonce + AESGCM(message_key).encrypt(nonce, pad_plaintext(plaintext), associated)


def open_with_key(sealed: bytes, message_key: bytes, associated: bytes) -> bytes:
    """Open one message with its own key. Raises `Refused("sealed_unopenable")`."""
    nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        padded = AESGCM(message_key).decrypt(nonce, ciphertext, associated)
    except (InvalidTag, ValueError):
        raise _unopenable() from None
    return unpad_plaintext(padded)


def derive_message_key(data_key: bytes, message_id: UUID) -> bytes:
    """Return the key of one message of a group, 32 bytes."""
    return hmac.digest(data_key, message_id.bytes, "sha256")


class _Wrap(NamedTuple):
    suite: int
    key_id: str
    batch_id: bytes
    sealed_key: bytes

    @classmethod
    def read(cls, wrap: bytes) -> _Wrap:
        if len(wrap) < 2 or wrap[0] >= len(_SUITES):
            raise _unopenable()
        key_end = 2 + wrap[1]
        batch_end = key_end + _BATCH_ID_BYTES
        return cls(wrap[0], wrap[2:key_end].decode("ascii", "replace"), wrap[key_end:batch_end], wrap[batch_end:])


def _info(key: SealingKey, batch_id: bytes) -> bytes:
    return f"causeway-wrap/v3\n{key.suite}\n{key.key_id}\n{batch_id.hex()}\n".encode()
