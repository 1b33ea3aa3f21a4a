"""Encryption at rest: data is readable only with the right key in the right place, and lost with the key."""

from __future__ import annotations

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from shared.core.envelope.datakeys import DataKey, KeyEncryptionKey, protect, reveal, unwrap, wrap
from shared.core.errors import Defect, Refused

RAW = bytes(range(32))
KEY, KEK = DataKey(RAW), KeyEncryptionKey(RAW[::-1])
PLACE = b"items/019539f0-7c00-7abc-8def-0123456789ab/locator"


def code_of_reveal(protected: bytes, key: DataKey = KEY, place: bytes = PLACE) -> str:
    with pytest.raises(Defect) as caught:
        reveal(protected, key, place)
    return caught.value.code


@given(plaintext=st.binary(max_size=2000), place=st.binary(max_size=80))
def test_what_is_protected_is_revealed_in_its_place(plaintext: bytes, place: bytes) -> None:
    assert reveal(protect(plaintext, KEY, place), KEY, place) == plaintext


def test_the_stored_form_is_nonce_then_aes_256_gcm() -> None:
    stored = protect(b"field", KEY, PLACE)
    assert AESGCM(RAW).decrypt(stored[:12], stored[12:], PLACE) == b"field"


def test_equal_fields_are_stored_as_different_bytes() -> None:
    assert len({protect(b"same", KEY, PLACE) for _ in range(100)}) == 100


def test_a_changed_bit_anywhere_in_a_stored_field_makes_it_unreadable() -> None:
    stored = protect(b"field", KEY, PLACE)
    for bit in range(len(stored) * 8):
        changed = bytearray(stored)
        changed[bit // 8] ^= 1 << bit % 8
        assert code_of_reveal(bytes(changed)) == "protected_field_unreadable"


@pytest.mark.parametrize("length", range(0, 33, 4))
def test_a_truncated_field_is_unreadable(length: int) -> None:
    assert code_of_reveal(protect(b"field", KEY, PLACE)[:length]) == "protected_field_unreadable"


def test_a_wrapped_key_is_60_bytes_and_does_not_hold_the_key() -> None:
    wrapped = wrap(KEY, KEK, b"referral-1")
    assert len(wrapped) == 60
    assert RAW[:8] not in wrapped


@pytest.mark.parametrize(
    ("kek", "row"), [(KeyEncryptionKey(RAW), b"referral-1"), (KEK, b"referral-2")], ids=["other kek", "other row"]
)
def test_a_data_key_unwraps_only_with_its_own_kek_in_its_own_row(kek: KeyEncryptionKey, row: bytes) -> None:
    with pytest.raises(Defect, match="data_key_unreadable"):
        unwrap(wrap(KEY, KEK, b"referral-1"), kek, row)


def test_a_key_encryption_key_loads_from_base64() -> None:
    loaded = KeyEncryptionKey.load(b64encode(RAW[::-1]).decode() + "\n")
    assert unwrap(wrap(KEY, KEK, b"row"), loaded, b"row").secret_bytes() == RAW


@pytest.mark.parametrize("lines", ["B A", "2B A", "2B 3A", "A B", "A 3B 2C", "A 2B 2C", "A 1B", "2A", "A B 2C", "A xB"])
def test_lines_in_another_order_are_refused(lines: str) -> None:
    """`A` to `C` are the keys, in the order in which they were made, after the number that each line has."""
    keys = {name: b64encode(bytes([at] * 32)).decode() for at, name in enumerate("ABC")}
    spelt = ["A 2B", "A 2B 3C", "A 3C", lines]
    texts = ["\n".join(f"{each[:-1]} {keys[each[-1]]}".strip() for each in of.split()) for of in spelt]
    assert [len(KeyEncryptionKey.load(text).ciphers) for text in texts[:3]] == [2, 3, 2]
    with pytest.raises(Refused, match="key_malformed"):
        KeyEncryptionKey.load(texts[3])


@pytest.mark.parametrize("text", ["****", "ключ", *(b64encode((RAW * 2)[:n]).decode() for n in (0, 16, 24, 31, 33))])
def test_a_key_encryption_key_of_another_length_or_alphabet_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="key_malformed"):
        KeyEncryptionKey.load(text)
