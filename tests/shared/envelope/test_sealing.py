"""Sealing: opens for the addressee in its own message, and in no other case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.envelope import sealing
from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.keys import OpeningKey, SuiteName
from shared.envelope.sealing import SealContext, open_sealed, seal
from shared.kernel.errors import Refused

CONTEXT = SealContext(
    schema="causeway.referral_routed.v1",
    message_id=UUID("019539f0-7c00-7abc-8def-0123456789ab"),
    subject="019539f0-7c00-7abc-8def-0123456789ac",
    revision=1,
    sender="hotline-a",
    recipient="agency-b",
)
KEYS: dict[SuiteName, OpeningKey] = {
    "x25519": OpeningKey(bytes(range(32))),
    "mlkem768-x25519": OpeningKey(bytes(range(96))),
}
KEY = KEYS["x25519"]
SUITES = pytest.mark.parametrize("suite", KEYS)
PLAINTEXT_BYTES_MAX = 46 * 1024 - 4


def refusal(text: str, key: OpeningKey = KEY, context: SealContext = CONTEXT) -> str:
    with pytest.raises(Refused) as caught:
        open_sealed(text, key, context)
    return caught.value.code


def sealed_raw(padded: bytes) -> str:
    """Bytes sealed correctly for `KEY` but not padded by us."""
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    return "v1.x25519." + to_base64url(suite.encrypt(padded, KEY.sealing_key.key, CONTEXT.info()))


@SUITES
@given(plaintext=st.binary(max_size=3000))
@settings(max_examples=50)
def test_what_is_sealed_opens_for_its_recipient(suite: SuiteName, plaintext: bytes) -> None:
    key = KEYS[suite]
    assert open_sealed(seal(plaintext, key.sealing_key, CONTEXT), key, CONTEXT) == plaintext


@SUITES
def test_the_text_names_version_and_suite(suite: SuiteName) -> None:
    assert seal(b"", KEYS[suite].sealing_key, CONTEXT).startswith(f"v1.{suite}.")


def test_sealing_twice_gives_different_texts() -> None:
    assert seal(b"same", KEY.sealing_key, CONTEXT) != seal(b"same", KEY.sealing_key, CONTEXT)


@SUITES
def test_a_changed_bit_anywhere_in_the_text_does_not_open(suite: SuiteName) -> None:
    key = KEYS[suite]
    text = seal(b"plaintext", key.sealing_key, CONTEXT).encode()
    # Every bit of the prefix and of the last two characters (base64 leaves bits unused there), a sample of the others.
    bits = [*range(8 * 26), *range(8 * 26, len(text) * 8 - 16, 13), *range(len(text) * 8 - 16, len(text) * 8)]
    for bit in bits:
        changed = bytearray(text)
        changed[bit // 8] ^= 1 << bit % 8
        assert refusal(changed.decode("latin-1"), key) == "sealed_unopenable"


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "causeway.referral_routed.v2"},
        {"message_id": UUID("019539f0-7c00-7abc-8def-0123456789ad")},
        {"subject": "other"},
        {"revision": 2},
        {"sender": "agency-b"},
        {"recipient": "hotline-a"},
        {"sender": "agency-b", "recipient": "hotline-a"},
    ],
)
@SUITES
def test_a_sealed_part_moved_into_another_message_does_not_open(suite: SuiteName, changes: dict[str, Any]) -> None:
    text = seal(b"plaintext", KEYS[suite].sealing_key, CONTEXT)
    assert refusal(text, KEYS[suite], replace(CONTEXT, **changes)) == "sealed_unopenable"


@SUITES
def test_another_key_of_the_same_suite_does_not_open(suite: SuiteName) -> None:
    assert refusal(seal(b"", KEYS[suite].sealing_key, CONTEXT), OpeningKey.generate(suite)) == "sealed_unopenable"


def test_a_key_of_the_other_suite_does_not_open() -> None:
    assert refusal(seal(b"", KEY.sealing_key, CONTEXT), KEYS["mlkem768-x25519"]) == "sealed_unopenable"


@given(st.text(max_size=60) | st.text(max_size=60).map("v1.x25519.{}".format))
def test_a_text_that_nobody_sealed_does_not_open(text: str) -> None:
    assert refusal(text) == "sealed_unopenable"


@pytest.mark.parametrize(
    ("length", "bucket"),
    [
        (0, 512),
        (508, 512),
        (509, 1024),
        (1020, 1024),
        (1021, 2048),
        (16_380, 16_384),
        (32_764, 32_768),
        (32_765, 47_104),
        (PLAINTEXT_BYTES_MAX, 47_104),
    ],
)
def test_the_length_of_a_text_tells_its_bucket_only(length: int, bucket: int) -> None:
    text = seal(b"x" * length, KEY.sealing_key, CONTEXT)
    assert len(from_base64url(text.removeprefix("v1.x25519."))) == 32 + bucket + 16
    assert open_sealed(text, KEY, CONTEXT) == b"x" * length


def test_a_plaintext_above_the_largest_bucket_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        seal(b"x" * (PLAINTEXT_BYTES_MAX + 1), KEY.sealing_key, CONTEXT)
    assert caught.value.code == "sealed_too_large"


@pytest.mark.parametrize(
    "padded",
    [
        b"",
        b"\x00\x00",
        (5).to_bytes(4, "big") + b"hello",
        ((5).to_bytes(4, "big") + b"hello").ljust(511, b"\x00"),
        ((5).to_bytes(4, "big") + b"hello").ljust(1024, b"\x00"),
        ((5).to_bytes(4, "big") + b"hello").ljust(511, b"\x00") + b"\x01",
        ((5).to_bytes(4, "big") + b"hello" + b"smuggled").ljust(512, b"\x00"),
        (509).to_bytes(4, "big").ljust(512, b"\x00"),
        b"\xff" * 512,
        (32_765).to_bytes(4, "big").ljust(65_536, b"\x00"),
    ],
    ids=len,
)
def test_padding_that_we_would_not_have_written_does_not_open(padded: bytes) -> None:
    assert refusal(sealed_raw(padded)) == "sealed_unopenable"


def test_the_same_way_of_sealing_opens_when_the_padding_is_ours() -> None:
    padded = ((5).to_bytes(4, "big") + b"hello").ljust(512, b"\x00")
    assert open_sealed(sealed_raw(padded), KEY, CONTEXT) == b"hello"


def test_without_the_context_a_moved_part_would_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing.SealContext, "info", lambda _self: b"")
    text = seal(b"plaintext", KEY.sealing_key, CONTEXT)
    assert open_sealed(text, KEY, replace(CONTEXT, recipient="somebody-else")) == b"plaintext"


def test_version_one_binds_these_bytes_for_ever() -> None:
    assert CONTEXT.info() == (
        b'{"context":"causeway-seal/v1","message_id":"019539f0-7c00-7abc-8def-0123456789ab",'
        b'"recipient":"agency-b","revision":1,"schema":"causeway.referral_routed.v1","sender":"hotline-a",'
        b'"subject":"019539f0-7c00-7abc-8def-0123456789ac"}'
    )
