"""Sealing: only the addressee can open a part, and only in its own message."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.envelope import segment_sealing as sealing
from shared.core.envelope.keys import KEY_OPERATIONS, OpeningKey, SuiteName
from shared.core.envelope.segment_sealing import GroupOpener, GroupSealer, SealContext, check_sealable, open_with_key
from shared.core.errors import Refused

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


class Sealed(NamedTuple):
    """A group of one message."""

    wrap: bytes
    text: bytes


def seal(plaintext: bytes, key: OpeningKey = KEY, context: SealContext = CONTEXT) -> Sealed:
    sealer = GroupSealer(key.sealing_key)
    return Sealed(sealer.wrap, sealer.seal(plaintext, context))


def opened(sealed: Sealed, key: OpeningKey = KEY, context: SealContext = CONTEXT) -> bytes:
    return GroupOpener([key]).open(sealed.text, sealed.wrap, context)


def refusal(sealed: Sealed, key: OpeningKey = KEY, context: SealContext = CONTEXT) -> str:
    with pytest.raises(Refused) as caught:
        opened(sealed, key, context)
    return caught.value.code


def sealed_raw(padded: bytes, *, data_key: bytes = b"d" * 32) -> Sealed:
    """Return bytes that are sealed correctly for `KEY` by the module's description, without our padding."""
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    info = f"causeway-wrap/v3\nx25519\n{KEY.key_id}\n{b'b'.hex() * 16}\n".encode()
    key, nonce = hmac.digest(data_key, CONTEXT.message_id.bytes, "sha256"), b"n" * 12
    key_id = KEY.key_id.encode()
    wrap = bytes([0, len(key_id)]) + key_id + b"b" * 16 + suite.encrypt(data_key, KEY.sealing_key.key, info)
    return Sealed(wrap, nonce + AESGCM(key).encrypt(nonce, padded, CONTEXT.associated_data()))


def message(number: int) -> SealContext:
    return replace(CONTEXT, message_id=UUID(int=CONTEXT.message_id.int + number))


@SUITES
@given(plaintext=st.binary(max_size=3000))
@settings(max_examples=50)
def test_what_is_sealed_opens_for_its_recipient(suite: SuiteName, plaintext: bytes) -> None:
    key = KEYS[suite]
    assert opened(seal(plaintext, key), key) == plaintext


@SUITES
def test_a_group_takes_one_encapsulation(suite: SuiteName) -> None:
    before = KEY_OPERATIONS.by_kind()
    sealer, opener = GroupSealer(KEYS[suite].sealing_key), GroupOpener([KEYS[suite]])
    texts = [sealer.seal(b"%d" % number, message(number)) for number in range(50)]
    found = [opener.open(text, sealer.wrap, message(number)) for number, text in enumerate(texts)]
    assert found == [b"%d" % number for number in range(50)]
    after = KEY_OPERATIONS.by_kind()
    assert {kind: after[kind] - before[kind] for kind in ("encapsulate", "decapsulate")} == {
        "encapsulate": 1,
        "decapsulate": 1,
    }


def test_two_groups_for_one_key_have_nothing_in_common_but_its_name() -> None:
    first, second = (seal(b"same") for _ in range(2))
    head = 2 + len(KEY.key_id)
    assert first.wrap[:head] == second.wrap[:head]
    parts = [
        {each[at : at + 8] for each in (sealed.wrap[head:], sealed.text) for at in range(len(each) - 7)}
        for sealed in (first, second)
    ]
    assert not parts[0] & parts[1]


def test_a_wrap_made_for_another_key_or_batch_does_not_open() -> None:
    """The wrap's info contains suite, key and batch. Changing any of them makes the wrap unreadable."""
    (wrap, text), other = seal(b""), OpeningKey.generate()
    assert len(other.key_id) == len(KEY.key_id)
    assert refusal(Sealed(wrap.replace(KEY.key_id.encode(), other.key_id.encode()), text), other) == "sealed_unopenable"
    head = 2 + len(KEY.key_id)
    assert refusal(Sealed(wrap[:head] + bytes(16) + wrap[head + 16 :], text)) == "sealed_unopenable"


def test_a_sealer_and_an_opener_show_no_key() -> None:
    assert repr(GroupSealer(KEY.sealing_key)) == "GroupSealer(…)"
    assert repr(GroupOpener([KEY])) == f"GroupOpener({KEY.key_id})"


def test_sealing_twice_gives_different_texts() -> None:
    sealer = GroupSealer(KEY.sealing_key)
    assert sealer.seal(b"same", CONTEXT) != sealer.seal(b"same", CONTEXT)


@SUITES
def test_a_changed_bit_anywhere_does_not_open(suite: SuiteName) -> None:
    key = KEYS[suite]
    wrap, text = seal(b"plaintext", key)
    whole, head = wrap + text, 8 * (2 + len(key.key_id) + 16)
    for bit in [*range(head), *range(head, len(whole) * 8, 13)]:
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        forged = Sealed(bytes(changed[: len(wrap)]), bytes(changed[len(wrap) :]))
        assert refusal(forged, key) == "sealed_unopenable"


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
    sealed = seal(b"plaintext", KEYS[suite])
    assert refusal(sealed, KEYS[suite], replace(CONTEXT, **changes)) == "sealed_unopenable"


@given(st.binary(max_size=200))
def test_what_no_sender_made_does_not_open(made: bytes) -> None:
    wrap, text = seal(b"")
    assert refusal(Sealed(wrap, made)) == refusal(Sealed(made, text)) == "sealed_unopenable"


def test_the_key_of_one_message_opens_no_other_message_of_the_group() -> None:
    sealer = GroupSealer(KEY.sealing_key)
    first, second = sealer.seal(b"first", CONTEXT), sealer.seal(b"second", message(1))
    key = GroupOpener([KEY]).message_key(sealer.wrap, CONTEXT.message_id)
    assert open_with_key(first, key, CONTEXT.associated_data()) == b"first"
    with pytest.raises(Refused, match="sealed_unopenable"):
        open_with_key(second, key, message(1).associated_data())


@pytest.mark.parametrize(
    ("length", "bucket"),
    [
        (0, 512),
        (508, 512),
        (509, 768),
        (764, 768),
        (765, 1024),
        (1020, 1024),
        (1021, 1536),
        (1533, 2048),
        (16_380, 16_384),
        (16_381, 24_576),
        (32_764, 32_768),
        (32_765, 47_104),
        (PLAINTEXT_BYTES_MAX, 47_104),
    ],
)
def test_the_length_of_a_text_tells_its_bucket_only(length: int, bucket: int) -> None:
    sealed = seal(b"x" * length)
    assert len(sealed.text) == 12 + bucket + 16
    assert opened(sealed) == b"x" * length


def test_a_plaintext_above_the_largest_bucket_is_refused() -> None:
    check_sealable(b"x" * PLAINTEXT_BYTES_MAX)
    for refuse in (check_sealable, seal):
        with pytest.raises(Refused, match="sealed_too_large"):
            refuse(b"x" * (PLAINTEXT_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "padded",
    [
        b"",
        b"\x00\x00",
        (5).to_bytes(4, "big") + b"hello",
        ((5).to_bytes(4, "big") + b"hello").ljust(511, b"\x00"),
        ((5).to_bytes(4, "big") + b"hello").ljust(768, b"\x00"),
        (600).to_bytes(4, "big").ljust(1024, b"\x00"),
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
    assert opened(sealed_raw(padded)) == b"hello"
    # The data key has 256 bits, regardless of the wrapped content.
    assert refusal(sealed_raw(padded, data_key=b"d" * 31)) == "sealed_unopenable"


def test_without_the_context_a_moved_part_would_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing.SealContext, "associated_data", lambda _self: b"")
    assert opened(seal(b"plaintext"), KEY, replace(CONTEXT, recipient="another-agency")) == b"plaintext"


def test_version_three_binds_these_bytes_for_ever() -> None:
    assert CONTEXT.associated_data() == (
        b"causeway-seal/v3\ncauseway.referral_routed.v1\n019539f0-7c00-7abc-8def-0123456789ab\n"
        b"019539f0-7c00-7abc-8def-0123456789ac\n1\nhotline-a\nagency-b\n"
    )
