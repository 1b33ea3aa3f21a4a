"""Sealing: opens for the addressee in its own message, and in no other case."""

from __future__ import annotations

import hmac
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.registry import SEALED_TEXT_MAX
from shared.envelope import sealing
from shared.envelope.base64url import from_base64url, to_base64url
from shared.envelope.keys import OpeningKey, SuiteName
from shared.envelope.sealing import Opener, SealContext, Sealer, open_disclosed, open_sealed, seal
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


def prefix_of(key: OpeningKey) -> str:
    return f"v2.{key.suite}.{key.key_id}."


def sealed_raw(padded: bytes, *, data_key: bytes = b"d" * 32) -> str:
    """Bytes sealed correctly for `KEY`, by the module's own description alone, but not padded by us."""
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    info = f"causeway-wrap/v2\nx25519\n{KEY.key_id}\n{b'b'.hex() * 16}\n".encode()
    key, nonce = hmac.digest(data_key, CONTEXT.message_id.bytes, "sha256"), b"n" * 12
    wrap = suite.encrypt(data_key, KEY.sealing_key.key, info)
    sealed = AESGCM(key).encrypt(nonce, padded, CONTEXT.associated_data())
    return prefix_of(KEY) + to_base64url(b"b" * 16 + wrap + nonce + sealed)


def message(number: int, **changes: Any) -> SealContext:
    return replace(CONTEXT, message_id=UUID(int=CONTEXT.message_id.int + number), **changes)


@pytest.fixture
def encapsulated(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often HPKE sealed and opened."""
    counted: Counter[str] = Counter()

    class Counting:
        def __init__(self, suite: Suite) -> None:
            self._suite = suite

        def encrypt(self, *given: Any) -> bytes:
            counted["sealed"] += 1
            return self._suite.encrypt(*given)

        def decrypt(self, *given: Any) -> bytes:
            counted["opened"] += 1
            return self._suite.decrypt(*given)

    counting = {name: Counting(suite) for name, suite in sealing._SUITES.items()}
    monkeypatch.setattr(sealing, "_SUITES", counting)
    return counted


@SUITES
@given(plaintext=st.binary(max_size=3000))
@settings(max_examples=50)
def test_what_is_sealed_opens_for_its_recipient(suite: SuiteName, plaintext: bytes) -> None:
    key = KEYS[suite]
    assert open_sealed(seal(plaintext, key.sealing_key, CONTEXT), key, CONTEXT) == plaintext


@SUITES
def test_the_text_names_version_suite_and_key(suite: SuiteName) -> None:
    assert seal(b"", KEYS[suite].sealing_key, CONTEXT).startswith(f"v2.{suite}.{KEYS[suite].key_id}.")


@SUITES
def test_what_one_transaction_sends_to_one_recipient_takes_one_encapsulation(
    suite: SuiteName, encapsulated: Counter[str]
) -> None:
    sealer, opener, key = Sealer(), Opener([KEYS[suite]]), KEYS[suite].sealing_key
    texts = [sealer.seal(b"%d" % number, key, message(number)) for number in range(50)]
    assert [opener.open(text, message(number)) for number, text in enumerate(texts)] == [b"%d" % n for n in range(50)]
    assert encapsulated == {"sealed": 1, "opened": 1}
    # Control: each by itself, as it would be without a sealer for them all.
    for number in range(3):
        open_sealed(seal(b"", key, message(number)), KEYS[suite], message(number))
    assert encapsulated == {"sealed": 4, "opened": 4}


def test_two_recipients_of_one_key_have_nothing_in_common() -> None:
    sealer = Sealer()
    packed = [
        from_base64url(sealer.seal(b"same", KEY.sealing_key, message(n, recipient=to)).removeprefix(prefix_of(KEY)))
        for n, to in enumerate(("provider-a", "provider-b", "provider-a"))
    ]
    first, second, third = [{each[at : at + 8] for at in range(len(each) - 7)} for each in packed]
    assert not first & second
    # To the same recipient they have: batch id and wrap, which tells no more than the proof does.
    assert packed[0][:96] == packed[2][:96]
    assert len(first & third) == 96 - 7


def test_one_message_is_disclosed_without_those_beside_it() -> None:
    sealer, opener = Sealer(), Opener([KEY])
    one, other = (sealer.seal(b"%d" % number, KEY.sealing_key, message(number)) for number in (1, 2))
    key = opener.message_key(one, message(1).message_id)
    assert open_disclosed(one, key, message(1)) == b"1"
    for text, context in ((other, message(2)), (other, message(1)), (one, message(2))):
        with pytest.raises(Refused, match="sealed_unopenable"):
            open_disclosed(text, key, context)


def test_an_opener_remembers_a_bounded_number_of_data_keys(encapsulated: Counter[str]) -> None:
    texts = [seal(b"", KEY.sealing_key, CONTEXT) for _ in range(3)]
    opener = Opener([KEY], wraps_max=2)
    for text in (*texts, *texts[1:]):
        opener.open(text, CONTEXT)
    assert encapsulated["opened"] == 3
    opener.open(texts[0], CONTEXT)
    assert encapsulated["opened"] == 4


def test_what_did_not_open_is_not_remembered(encapsulated: Counter[str]) -> None:
    packed = bytearray(from_base64url(seal(b"", KEY.sealing_key, CONTEXT).removeprefix(prefix_of(KEY))))
    packed[20] ^= 1
    opener, text = Opener([KEY]), prefix_of(KEY) + to_base64url(bytes(packed))
    for _ in range(2):
        with pytest.raises(Refused, match="sealed_unopenable"):
            opener.open(text, CONTEXT)
    assert encapsulated["opened"] == 2


def test_during_a_rotation_either_key_opens() -> None:
    old, new = KEY, OpeningKey.generate()
    opener = Opener([old, new])
    assert [opener.open(seal(b"x", key.sealing_key, CONTEXT), CONTEXT) for key in (old, new)] == [b"x", b"x"]


def test_a_wrap_made_for_another_key_or_batch_does_not_open() -> None:
    """The wrap's info names suite, key and batch: neither is changed with what stands around it kept."""
    text, other = seal(b"", KEY.sealing_key, CONTEXT), OpeningKey.generate()
    assert refusal(text.replace(KEY.key_id, other.key_id), other) == "sealed_unopenable"
    packed = from_base64url(text.removeprefix(prefix_of(KEY)))
    assert refusal(prefix_of(KEY) + to_base64url(b"\x00" * 16 + packed[16:])) == "sealed_unopenable"


def test_a_sealer_and_an_opener_show_no_key() -> None:
    sealer = Sealer()
    sealer.seal(b"", KEY.sealing_key, CONTEXT)
    assert repr(sealer) == "Sealer(1)"
    assert repr(next(iter(sealer._wraps.values()))) == "_Wrap(…)"
    assert repr(Opener([KEY])) == f"Opener({KEY.key_id})"


def test_sealing_twice_gives_different_texts() -> None:
    assert seal(b"same", KEY.sealing_key, CONTEXT) != seal(b"same", KEY.sealing_key, CONTEXT)


@SUITES
def test_a_changed_bit_anywhere_in_the_text_does_not_open(suite: SuiteName) -> None:
    key = KEYS[suite]
    text = seal(b"plaintext", key.sealing_key, CONTEXT).encode()
    # Every bit of the prefix and of the last two characters (base64 leaves bits unused there), a sample of the others.
    head = 8 * len(prefix_of(key))
    bits = [*range(head), *range(head, len(text) * 8 - 16, 13), *range(len(text) * 8 - 16, len(text) * 8)]
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


@given(st.text(max_size=60) | st.text(max_size=60).map((prefix_of(KEY) + "{}").format))
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
    assert len(from_base64url(text.removeprefix(prefix_of(KEY)))) == 16 + 80 + 12 + bucket + 16
    assert open_sealed(text, KEY, CONTEXT) == b"x" * length


@SUITES
def test_the_largest_text_is_one_that_the_contracts_let_pass(suite: SuiteName) -> None:
    assert len(seal(b"x" * PLAINTEXT_BYTES_MAX, KEYS[suite].sealing_key, CONTEXT)) <= SEALED_TEXT_MAX


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
    # The data key has 256 bits, whatever was wrapped.
    assert refusal(sealed_raw(padded, data_key=b"d" * 31)) == "sealed_unopenable"


def test_without_the_context_a_moved_part_would_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing.SealContext, "associated_data", lambda _self: b"")
    text = seal(b"plaintext", KEY.sealing_key, CONTEXT)
    assert open_sealed(text, KEY, replace(CONTEXT, recipient="somebody-else")) == b"plaintext"


def test_version_two_binds_these_bytes_for_ever() -> None:
    assert CONTEXT.associated_data() == (
        b"causeway-seal/v2\ncauseway.referral_routed.v1\n019539f0-7c00-7abc-8def-0123456789ab\n"
        b"019539f0-7c00-7abc-8def-0123456789ac\n1\nhotline-a\nagency-b\n"
    )
