"""Keys: Ed25519 for signing; X25519, alone or with ML-KEM-768, for sealing.

    private      public
    SigningKey   VerifyKey     one party signs, all others verify
    OpeningKey   SealingKey    all others seal, one party opens

A key's text is the base64 (RFC 4648 §4) of its raw bytes. `load` also reads PEM where the format exists, and raises
`Refused("key_malformed")`. A key id is the algorithm's name and the first 128 bits of the SHA-256 of the public key, so
it cannot be moved to another key.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from shared.core.errors import Refused


class KeyOperations:
    """The number of key uses of this process since its start, by kind of operation.

    Plain integers, incremented right before the operation. CPython does not switch threads within `+= 1` on a slot, so
    no count is lost.
    """

    __slots__ = ("decapsulated", "encapsulated", "signed", "verified")

    def __init__(self) -> None:
        self.signed = self.verified = self.encapsulated = self.decapsulated = 0

    def by_kind(self) -> Mapping[str, int]:
        """Return each count by its name in the metric."""
        return {
            "sign": self.signed,
            "verify": self.verified,
            "encapsulate": self.encapsulated,
            "decapsulate": self.decapsulated,
        }


KEY_OPERATIONS: Final = KeyOperations()


SuiteName = Literal["x25519", "mlkem768-x25519"]

_KEY_ERRORS = (ValueError, TypeError, UnsupportedAlgorithm)
_X25519_BYTES = 32


class _PublicKey:
    """The raw bytes of a public key, and its id."""

    __slots__ = ("_raw", "key_id")

    def __init__(self, algorithm: str, raw: bytes) -> None:
        self._raw = raw
        self.key_id = f"{algorithm}-{hashlib.sha256(raw).hexdigest()[:32]}"

    def text(self) -> str:
        """Return the form that is published in the directory."""
        return b64encode(self._raw).decode()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key_id})"


class _PrivateKey:
    """The raw bytes of a private key, and the id of its public key, which is the only part ever shown."""

    __slots__ = ("_raw", "key_id")

    def __init__(self, raw: bytes, key_id: str) -> None:
        self._raw, self.key_id = raw, key_id

    def secret_text(self) -> str:
        """Return the secret, only for a key file."""
        return b64encode(self._raw).decode()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key_id})"


class VerifyKey(_PublicKey):
    """An Ed25519 public key (RFC 8032), 32 bytes."""

    __slots__ = ("_key",)

    def __init__(self, raw: bytes) -> None:
        try:
            self._key = Ed25519PublicKey.from_public_bytes(raw)
        except _KEY_ERRORS:
            raise _malformed("an Ed25519 public key") from None
        super().__init__("ed25519", raw)

    @classmethod
    def load(cls, text: str) -> VerifyKey:
        return cls(_raw_of(text, Ed25519PublicKey))

    def verify(self, signature: bytes, data: bytes) -> None:
        """Check a signature over exactly `data`. Raises `Refused("signature_invalid")`."""
        KEY_OPERATIONS.verified += 1
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            raise Refused("signature_invalid") from None


class SigningKey(_PrivateKey):
    """An Ed25519 private key, 32 bytes."""

    __slots__ = ("_key", "verify_key")

    def __init__(self, raw: bytes) -> None:
        try:
            self._key = Ed25519PrivateKey.from_private_bytes(raw)
        except _KEY_ERRORS:
            raise _malformed("an Ed25519 private key") from None
        self.verify_key = VerifyKey(self._key.public_key().public_bytes_raw())
        super().__init__(raw, self.verify_key.key_id)

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def load(cls, text: str) -> SigningKey:
        return cls(_raw_of(text, Ed25519PrivateKey))

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`, 64 bytes."""
        KEY_OPERATIONS.signed += 1
        return self._key.sign(data)


class SealingKey(_PublicKey):
    """A recipient's public key: X25519 (32 bytes), or ML-KEM-768 ‖ X25519 (1,184 + 32 bytes)."""

    __slots__ = ("key", "suite")

    key: X25519PublicKey | MLKEM768X25519PublicKey
    suite: SuiteName

    def __init__(self, raw: bytes) -> None:
        try:
            classical = X25519PublicKey.from_public_bytes(raw[-_X25519_BYTES:])
            # A point of small order gives every sender the same secret. Reject it here, not at the first sealing.
            X25519PrivateKey.generate().exchange(classical)
            if len(raw) == _X25519_BYTES:
                self.key, self.suite = classical, "x25519"
            else:
                quantum_safe = MLKEM768PublicKey.from_public_bytes(raw[:-_X25519_BYTES])
                self.key, self.suite = MLKEM768X25519PublicKey(quantum_safe, classical), "mlkem768-x25519"
        except _KEY_ERRORS:
            raise _malformed("an X25519 or ML-KEM-768 ‖ X25519 public key") from None
        super().__init__(self.suite, raw)

    @classmethod
    def load(cls, text: str) -> SealingKey:
        return cls(_raw_of(text, X25519PublicKey))


class OpeningKey(_PrivateKey):
    """A recipient's private key: X25519 (32 bytes), or ML-KEM-768 seed ‖ X25519 (64 + 32 bytes)."""

    __slots__ = ("key", "sealing_key")

    key: X25519PrivateKey | MLKEM768X25519PrivateKey

    def __init__(self, raw: bytes) -> None:
        try:
            classical = X25519PrivateKey.from_private_bytes(raw[-_X25519_BYTES:])
            public = classical.public_key().public_bytes_raw()
            if len(raw) == _X25519_BYTES:
                self.key = classical
            else:
                quantum_safe = MLKEM768PrivateKey.from_seed_bytes(raw[:-_X25519_BYTES])
                self.key = MLKEM768X25519PrivateKey(quantum_safe, classical)
                public = quantum_safe.public_key().public_bytes_raw() + public
        except _KEY_ERRORS:
            raise _malformed("an X25519 or ML-KEM-768 ‖ X25519 private key") from None
        self.sealing_key = SealingKey(public)
        super().__init__(raw, self.sealing_key.key_id)

    @classmethod
    def generate(cls, suite: SuiteName = "x25519") -> OpeningKey:
        classical = X25519PrivateKey.generate().private_bytes_raw()
        if suite == "x25519":
            return cls(classical)
        return cls(MLKEM768PrivateKey.generate().private_bytes_raw() + classical)

    @classmethod
    def load(cls, text: str) -> OpeningKey:
        return cls(_raw_of(text, X25519PrivateKey))

    @property
    def suite(self) -> SuiteName:
        return self.sealing_key.suite


_Kind = type[Ed25519PublicKey | X25519PublicKey | Ed25519PrivateKey | X25519PrivateKey]


def _raw_of(text: str, kind: _Kind) -> bytes:
    """Return the raw bytes of a key's text. The caller checks their length."""
    try:
        if not text.lstrip().startswith("-----BEGIN "):
            return b64decode(text.strip(), validate=True)
        if issubclass(kind, Ed25519PublicKey | X25519PublicKey):
            public = load_pem_public_key(text.encode())
            if isinstance(public, kind):
                return public.public_bytes_raw()
        else:
            private = load_pem_private_key(text.encode(), password=None)
            if isinstance(private, kind):
                return private.private_bytes_raw()
    except _KEY_ERRORS:
        pass  # raised below, without the library's message: it may quote the text, which is a private key
    raise _malformed("an unencrypted key of this kind, as PEM or base64")


def _malformed(rule: str) -> Refused:
    return Refused("key_malformed", rule)
