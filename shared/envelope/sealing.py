"""Sealing: one HPKE encapsulation (RFC 9180, base mode, single shot) for what one transaction sends to one recipient.

HPKE seals a data key, which lives no longer than its `Sealer`; each message is under a key of its own, made of the data
key and the message's id, so that one can be disclosed without the others:

    text         `v2.` suite `.` key id `.` base64url(batch id 16 ‖ wrap ‖ nonce 12 ‖ ciphertext)
    wrap         encapsulated key ‖ sealed data key: 80 bytes, or 1,168 where the suite has ML-KEM-768
    its info     `causeway-wrap/v2`, suite, key id, batch id in hexadecimal; a line feed after each
    message key  HMAC-SHA-256(data key, the message id's 16 bytes)
    ciphertext   AES-256-GCM of the padded plaintext; the message's context is the associated data

Whoever seals draws a batch id and a data key for each recipient: two messages of one referral to two recipients have
nothing in common. Messages to one recipient that share a wrap were sent in one transaction, as their proof says, too.
Sealing does not say who sealed: the batch signature over the whole message does.
"""

from __future__ import annotations

import hmac
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.keys import OpeningKey, SealingKey, SuiteName
from shared.envelope.operations import KEY_OPERATIONS
from shared.kernel.errors import Refused

BUCKET_BYTES_MIN = 512
#: The largest bucket is no power of two: what a record of 64 KiB still holds.
BUCKET_BYTES_MAX = 46 * 1024
LENGTH_BYTES = 4
#: How many data keys an opener remembers, at most.
WRAPS_MAX: Final = 256

_VERSION = "v2"
_SUITES: dict[SuiteName, Suite] = {
    "x25519": Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
    "mlkem768-x25519": Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM),
}
_KEY_BYTES, _TAG_BYTES, _NONCE_BYTES, _BATCH_ID_BYTES = 32, 16, 12, 16
#: Encapsulated key, data key, tag.
_WRAP_BYTES: dict[str, int] = {
    "x25519": 32 + _KEY_BYTES + _TAG_BYTES,
    "mlkem768-x25519": 1088 + 32 + _KEY_BYTES + _TAG_BYTES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SealContext:
    """The message a sealed part belongs to. Sender and recipient need the same six values to seal and open.

    None of them has a line feed: they are ids, and stand in headers.
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
            f"causeway-seal/v2\n{self.schema}\n{self.message_id}\n{self.subject}\n{self.revision}\n"
            f"{self.sender}\n{self.recipient}\n"
        ).encode()


class Sealer:
    """Seals what one transaction sends. It is made for the transaction and forgotten with it: the data keys go, too."""

    __slots__ = ("_wraps",)

    def __init__(self) -> None:
        self._wraps: dict[tuple[str, str], _Wrap] = {}

    def seal(self, plaintext: bytes, recipient_key: SealingKey, context: SealContext) -> str:
        """Seal at most 47,100 bytes. Raises `Refused("sealed_too_large")`. The text's length tells the bucket only."""
        padded = pad_plaintext(plaintext)
        # By recipient, too: parties that one instance serves share its key, and must not be joined by a wrap.
        place = (context.recipient, recipient_key.key_id)
        wrap = self._wraps.get(place)
        if wrap is None:
            wrap = self._wraps[place] = _Wrap.draw(recipient_key)
        nonce = os.urandom(_NONCE_BYTES)
        cipher = AESGCM(_message_key(wrap.data_key, context.message_id))
        sealed = cipher.encrypt(nonce, padded, context.associated_data())
        return wrap.prefix + to_base64url(b"".join((wrap.head, nonce, sealed)))

    def __repr__(self) -> str:
        return f"Sealer({len(self._wraps)})"


class Opener:
    """Opens what was sealed for any of its keys: during a rotation the old one still does.

    It remembers the data keys unwrapped last, at most `wraps_max`, the one unused longest goes first; and none that
    did not open. Made for one batch of records. Not thread-safe.
    """

    __slots__ = ("_keys", "_unwrapped", "_wraps_max")

    def __init__(self, private_keys: Sequence[OpeningKey], *, wraps_max: int = WRAPS_MAX) -> None:
        self._keys = {key.key_id: key for key in private_keys}
        self._wraps_max = wraps_max
        self._unwrapped: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()

    def open(self, text: str, context: SealContext) -> bytes:
        """The plaintext. Raises `Refused("sealed_unopenable")`: one code for a wrong key, context, bit or padding."""
        sealed = _Sealed.read(text)
        return sealed.open(_message_key(self._data_key(sealed), context.message_id), context)

    def message_key(self, text: str, message_id: UUID) -> bytes:
        """What opens this one message, and none beside it: 32 bytes. Raises `Refused("sealed_unopenable")`."""
        return _message_key(self._data_key(_Sealed.read(text)), message_id)

    def _data_key(self, sealed: _Sealed) -> bytes:
        place = (sealed.key_id, sealed.head)
        data_key = self._unwrapped.get(place)
        if data_key is None:
            data_key = self._unwrapped[place] = self._unwrap(sealed)
            if len(self._unwrapped) > self._wraps_max:
                self._unwrapped.popitem(last=False)
        else:
            self._unwrapped.move_to_end(place)
        return data_key

    def _unwrap(self, sealed: _Sealed) -> bytes:
        key = self._keys.get(sealed.key_id)
        if key is None or key.suite != sealed.suite:
            raise _unopenable()
        batch_id, wrapped = sealed.head[:_BATCH_ID_BYTES], sealed.head[_BATCH_ID_BYTES:]
        KEY_OPERATIONS.decapsulated += 1
        try:
            data_key = _SUITES[key.suite].decrypt(wrapped, key.key, _wrap_info(key.sealing_key, batch_id))
        except (InvalidTag, ValueError):
            raise _unopenable() from None
        if len(data_key) != _KEY_BYTES:
            raise _unopenable()
        return data_key

    def __repr__(self) -> str:
        return f"Opener({', '.join(self._keys)})"


def seal(plaintext: bytes, recipient_key: SealingKey, context: SealContext) -> str:
    """Seal one message by itself: `Sealer.seal` says what it takes and raises."""
    return Sealer().seal(plaintext, recipient_key, context)


def open_sealed(text: str, private_key: OpeningKey, context: SealContext) -> bytes:
    """Open one message by itself: `Opener.open` says what it raises."""
    return Opener([private_key]).open(text, context)


def open_disclosed(text: str, message_key: bytes, context: SealContext) -> bytes:
    """Open one message with its own key alone. Raises `Refused("sealed_unopenable")`."""
    return _Sealed.read(text).open(message_key, context)


class _Wrap(NamedTuple):
    """A data key, and what stands of it in every text: the readable prefix, and batch id ‖ wrap."""

    data_key: bytes
    prefix: str
    head: bytes

    @classmethod
    def draw(cls, recipient_key: SealingKey) -> _Wrap:
        data_key, batch_id = os.urandom(_KEY_BYTES), os.urandom(_BATCH_ID_BYTES)
        info = _wrap_info(recipient_key, batch_id)
        KEY_OPERATIONS.encapsulated += 1
        wrapped = _SUITES[recipient_key.suite].encrypt(data_key, recipient_key.key, info)
        return cls(data_key, f"{_VERSION}.{recipient_key.suite}.{recipient_key.key_id}.", batch_id + wrapped)

    def __repr__(self) -> str:
        return "_Wrap(…)"


class _Sealed(NamedTuple):
    """The parts of a text. `head`: batch id ‖ wrap."""

    suite: str
    key_id: str
    head: bytes
    nonce: bytes
    ciphertext: bytes

    @classmethod
    def read(cls, text: str) -> _Sealed:
        parts = text.split(".")
        if len(parts) != 4 or parts[0] != _VERSION:
            raise _unopenable()
        suite = parts[1]
        if suite not in _WRAP_BYTES:
            raise _unopenable()
        try:
            packed = from_base64url(parts[3])
        except ValueError:
            raise _unopenable() from None
        head = _BATCH_ID_BYTES + _WRAP_BYTES[suite]
        nonce = head + _NONCE_BYTES
        return cls(suite, parts[2], packed[:head], packed[head:nonce], packed[nonce:])

    def open(self, message_key: bytes, context: SealContext) -> bytes:
        try:
            padded = AESGCM(message_key).decrypt(self.nonce, self.ciphertext, context.associated_data())
        except (InvalidTag, ValueError):
            raise _unopenable() from None
        return unpad_plaintext(padded)


def _message_key(data_key: bytes, message_id: UUID) -> bytes:
    return hmac.digest(data_key, message_id.bytes, "sha256")


def _wrap_info(recipient_key: SealingKey, batch_id: bytes) -> bytes:
    return f"causeway-wrap/v2\n{recipient_key.suite}\n{recipient_key.key_id}\n{batch_id.hex()}\n".encode()


def _unopenable() -> Refused:
    return Refused("sealed_unopenable", field="/sealed")


def pad_plaintext(plaintext: bytes) -> bytes:
    """Length (4 bytes, big-endian) ‖ plaintext ‖ zeros, up to the smallest bucket that holds it."""
    bucket = _bucket(len(plaintext))
    if bucket > BUCKET_BYTES_MAX:
        raise Refused("sealed_too_large", f"at most {BUCKET_BYTES_MAX - LENGTH_BYTES} bytes")
    return (len(plaintext).to_bytes(LENGTH_BYTES, "big") + plaintext).ljust(bucket, b"\x00")


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
