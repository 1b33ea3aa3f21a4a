"""Protection at rest: each referral has a data key.

Fields that identify a person are stored only encrypted under it. The data key is stored wrapped by the instance's
key-encryption key, in a separate table. Deleting that row makes every field under the key unreadable. Both use
AES-256-GCM (NIST SP 800-38D): nonce (12 random bytes), ciphertext, tag.

`aad` is the complete place of a value (`RowRef`: table, row, party, and the column). A value moved to another place
does not decrypt, even with its key, nor in another party's row with the same id. A failed decryption is a `Defect`: the
bytes are the service's own, so they were changed or the key is wrong.
"""

from __future__ import annotations

import hmac
import os
from base64 import b64decode
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.core.errors import Defect, Refused

KEY_BYTES = 32
NONCE_BYTES = 12


class RowRef(NamedTuple):
    """The row of a value, and its party. Tables, ids and parties contain no slash."""

    table: str
    row: str
    party: str

    def column(self, name: str) -> bytes:
        """Return the complete place of one column, as associated data."""
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
        """Return the raw key, only for wrapping."""
        return self._raw

    def __repr__(self) -> str:
        return "DataKey(…)"


class KeyEncryptionKey:
    """The instance's 256-bit keys that wrap data keys. Never shown, and never stored with wrapped keys.

    The newest wraps, and each of them unwraps. Ids, tokens and MACs come from the first, so they stay equal.
    """

    __slots__ = ("_actors", "_locations", "_references", "_sessions", "ciphers")

    def __init__(self, raw: bytes, *later: bytes) -> None:
        #: The newest comes first.
        self.ciphers = [_cipher(each) for each in (raw, *later)][::-1]
        self._actors = hmac.digest(raw, b"causeway-actor/v1", "sha256")
        self._locations = hmac.digest(raw, b"causeway-location/v1", "sha256")
        self._references = hmac.digest(raw, b"causeway-reference/v1", "sha256")
        self._sessions = hmac.digest(raw, b"causeway-session/v1", "sha256")

    @classmethod
    def load(cls, text: str) -> KeyEncryptionKey:
        """Read 32 bytes in base64 (RFC 4648 §4) a line, the first key first, with a number before each later one.

        The numbers rise from 2, so that no other key is taken for the first or the newest. Raises
        `Refused("key_malformed")`.
        """
        first, *later = text.strip().splitlines() or [""]
        numbered = [line.partition(" ")[::2] for line in later]
        try:
            numbers = [1, *(int(number) for number, _ in numbered)]
            if numbers != sorted({*numbers}):
                raise Refused("key_malformed", "the numbers of later lines rise from 2")
            return cls(*(b64decode(each, validate=True) for each in (first, *(key for _, key in numbered))))
        except ValueError:
            raise Refused("key_malformed", "base64 of 32 bytes") from None

    def actor_id(self, party: str, actor: bytes) -> str:
        """Return an opaque id for an actor of `party`: HMAC-SHA256 under the party's key, cut to 128 bits.

        An actor has the same id in all facts about this party, and another id in facts about other parties.
        """
        return hmac.digest(hmac.digest(self._actors, party.encode(), "sha256"), actor, "sha256")[:16].hex()

    def location_token(self, party: str, version: int, form: str) -> bytes:
        """Return a location's token, 16 bytes: HMAC-SHA256 under a key of the party and the version.

        The same location has another token at any other party, so rows of two parties never match. Without the key,
        the rows show which of them have the same location, but not which location it is.
        """
        key = hmac.digest(self._locations, f"{version}/{party}".encode(), "sha256")
        return hmac.digest(key, form.encode(), "sha256")[:16]

    def reference_token(self, party: str, reference: str) -> bytes:
        """Return the search token for a reference of `party`, 16 bytes, built likewise.

        It reveals nothing of it.
        """
        return hmac.digest(hmac.digest(self._references, party.encode(), "sha256"), reference.encode(), "sha256")[:16]

    def session_mac(self, text: str) -> bytes:
        """Return the MAC of a console session's random text, 12 bytes.

        An invented session then costs no query.
        """
        return hmac.digest(self._sessions, text.encode(), "sha256")[:12]

    def __repr__(self) -> str:
        return "KeyEncryptionKey(…)"


def protect(plaintext: bytes, key: DataKey, aad: bytes) -> bytes:
    """Encrypt one field for the place `aad` names. Equal plaintexts give different bytes."""
    return _encrypt(key.cipher, plaintext, aad)


def reveal(protected: bytes, key: DataKey, aad: bytes) -> bytes:
    """Return the plaintext of a field from `protect`. Raises `Defect("protected_field_unreadable")`."""
    return _decrypt([key.cipher], protected, aad, code="protected_field_unreadable")


def wrap(data_key: DataKey, kek: KeyEncryptionKey, aad: bytes) -> bytes:
    """Encrypt a data key for the row `aad` names, 60 bytes."""
    return _encrypt(kek.ciphers[0], data_key.secret_bytes(), aad)


def rewrap(wrapped: bytes, kek: KeyEncryptionKey, aad: bytes) -> bytes | None:
    """Return the data key wrapped by the newest key; None if it is. Raises `Defect("data_key_unreadable")`."""
    try:
        kek.ciphers[0].decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError):
        return wrap(unwrap(wrapped, kek, aad), kek, aad)
    return None


def unwrap(wrapped: bytes, kek: KeyEncryptionKey, aad: bytes) -> DataKey:
    """Return the data key from `wrap`. Raises `Defect("data_key_unreadable")`."""
    return DataKey(_decrypt(kek.ciphers, wrapped, aad, code="data_key_unreadable"))


def _cipher(raw: bytes) -> AESGCM:
    if len(raw) != KEY_BYTES:
        raise Refused("key_malformed", "32 bytes")
    return AESGCM(raw)


def _encrypt(cipher: AESGCM, plaintext: bytes, aad: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plaintext, aad)


def _decrypt(ciphers: Iterable[AESGCM], data: bytes, aad: bytes, *, code: str) -> bytes:
    for cipher in ciphers:
        with suppress(InvalidTag, ValueError):
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], aad)
    raise Defect(code)
