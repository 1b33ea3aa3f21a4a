"""Protection at rest: each referral has a data key, and fields that identify anyone are stored only under it.

The data key is stored wrapped by the instance's key-encryption key, in a table of its own. Deleting that row makes
every field under it unreadable. Both use AES-256-GCM (NIST SP 800-38D): nonce (12 random bytes), ciphertext, tag.

`aad` is the whole place a value belongs to (`Place`: table, row, party, and the column); a value moved to another place
does not open, not even with its key, and not in another party's row of the same id. What does not open is a `Defect`:
these bytes are our own, and someone changed them or asked with the wrong key.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.kernel.errors import Defect, Refused

KEY_BYTES = 32
NONCE_BYTES = 12


class Place(NamedTuple):
    """The row that a value belongs to, and whose it is. Tables, ids and parties have no slash in them."""

    table: str
    row: str
    party: str

    def column(self, name: str) -> bytes:
        """The whole place of one column, as associated data."""
        return "/".join((*self, name)).encode()


class DataKey:
    """The random 256-bit key of one referral. Never shown."""

    __slots__ = ("_raw", "cipher")

    def __init__(self, raw: bytes) -> None:
        self.cipher = _cipher(raw)
        self._raw = raw

    @classmethod
    def generate(cls) -> DataKey:
        return cls(os.urandom(KEY_BYTES))

    def secret_bytes(self) -> bytes:
        """The key itself, to be wrapped and nothing else."""
        return self._raw

    def __repr__(self) -> str:
        return "DataKey(…)"


class KeyEncryptionKey:
    """The instance's 256-bit key that wraps data keys. Never shown, never stored beside what it wraps."""

    __slots__ = ("_actors", "_locations", "_references", "_sessions", "cipher")

    def __init__(self, raw: bytes) -> None:
        self.cipher = _cipher(raw)
        self._actors = hmac.digest(raw, b"causeway-actor/v1", "sha256")
        self._locations = hmac.digest(raw, b"causeway-location/v1", "sha256")
        self._references = hmac.digest(raw, b"causeway-reference/v1", "sha256")
        self._sessions = hmac.digest(raw, b"causeway-session/v1", "sha256")

    @classmethod
    def load(cls, text: str) -> KeyEncryptionKey:
        """Read 32 bytes of base64 (RFC 4648 §4). Raises `Refused("key_malformed")`."""
        try:
            return cls(b64decode(text.strip(), validate=True))
        except ValueError:
            raise Refused("key_malformed", "base64 of 32 bytes") from None

    def actor_id(self, party: str, actor: bytes) -> str:
        """An opaque name for who acts for `party`: HMAC-SHA256 under a key of the party's, cut to 128 bits.

        The same actor has the same name in all facts about this party, and another one in those about any other.
        """
        return hmac.digest(hmac.digest(self._actors, party.encode(), "sha256"), actor, "sha256")[:16].hex()

    def location_token(self, party: str, version: int, form: str) -> bytes:
        """What stands for a location of `party`, 16 bytes: HMAC-SHA256 under a key of the party's and the version's.

        The same location has another token at any other party: rows of two never meet. Whoever has the rows and not
        the key can tell which speak of one place, and not of which.
        """
        key = hmac.digest(self._locations, f"{version}/{party}".encode(), "sha256")
        return hmac.digest(key, form.encode(), "sha256")[:16]

    def reference_token(self, party: str, reference: str) -> bytes:
        """What a reference of `party` is found by, 16 bytes, in the same way; nothing of the reference is in it."""
        return hmac.digest(hmac.digest(self._references, party.encode(), "sha256"), reference.encode(), "sha256")[:16]

    def session_mac(self, text: str) -> bytes:
        """Return the MAC of a console session's random text, 12 bytes: a made-up session costs no query."""
        return hmac.digest(self._sessions, text.encode(), "sha256")[:12]

    def __repr__(self) -> str:
        return "KeyEncryptionKey(…)"


def protect(plaintext: bytes, key: DataKey, aad: bytes) -> bytes:
    """Encrypt one field for the place `aad` names. Equal plaintexts give different bytes."""
    return _encrypt(key.cipher, plaintext, aad)


def reveal(protected: bytes, key: DataKey, aad: bytes) -> bytes:
    """The field that `protect` was given. Raises `Defect("protected_field_unreadable")`."""
    return _decrypt(key.cipher, protected, aad, code="protected_field_unreadable")


def wrap(data_key: DataKey, kek: KeyEncryptionKey, aad: bytes) -> bytes:
    """Encrypt a data key for the row `aad` names, 60 bytes."""
    return _encrypt(kek.cipher, data_key.secret_bytes(), aad)


def unwrap(wrapped: bytes, kek: KeyEncryptionKey, aad: bytes) -> DataKey:
    """The data key that `wrap` was given. Raises `Defect("data_key_unreadable")`."""
    return DataKey(_decrypt(kek.cipher, wrapped, aad, code="data_key_unreadable"))


def _cipher(raw: bytes) -> AESGCM:
    if len(raw) != KEY_BYTES:
        raise Refused("key_malformed", "32 bytes")
    return AESGCM(raw)


def _encrypt(cipher: AESGCM, plaintext: bytes, aad: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plaintext, aad)


def _decrypt(cipher: AESGCM, data: bytes, aad: bytes, *, code: str) -> bytes:
    try:
        return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError):
        raise Defect(code) from None
