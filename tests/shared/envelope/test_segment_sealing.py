"""Sealing for a segment: one encapsulation a group, one key a message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.envelope.keys import OpeningKey, SuiteName
from shared.envelope.segment_sealing import GroupOpener, GroupSealer, SealContext, open_with_key
from shared.kernel.errors import Refused

CONTEXT = SealContext(
    schema="causeway.referral_routed.v1",
    message_id=UUID("019539f0-7c00-7abc-8def-0123456789ab"),
    subject="019539f0-7c00-7abc-8def-0123456789ac",
    revision=1,
    sender="hotline.example",
    recipient="agency.example",
)
OTHER = replace(CONTEXT, message_id=UUID("019539f0-7c00-7abc-8def-0123456789ad"))
KEYS: dict[SuiteName, OpeningKey] = {
    "x25519": OpeningKey(bytes(range(32))),
    "mlkem768-x25519": OpeningKey(bytes(range(96))),
}


@pytest.mark.parametrize("suite", KEYS)
def test_the_addressee_opens_each_message_of_a_group(suite: SuiteName) -> None:
    sealer = GroupSealer(KEYS[suite].sealing_key)
    opener = GroupOpener(list(KEYS.values()))

    for context, text in ((CONTEXT, b"first"), (OTHER, b"second")):
        assert opener.open(sealer.seal(text, context), sealer.wrap, context) == text


def test_nobody_else_opens_it() -> None:
    sealer = GroupSealer(KEYS["x25519"].sealing_key)
    sealed = sealer.seal(b"text", CONTEXT)

    with pytest.raises(Refused, match="sealed_unopenable"):
        GroupOpener([OpeningKey(bytes(range(1, 33)))]).open(sealed, sealer.wrap, CONTEXT)


@pytest.mark.parametrize("name", ["schema", "subject", "sender", "recipient"])
def test_it_opens_only_in_its_own_message(name: str) -> None:
    sealer = GroupSealer(KEYS["x25519"].sealing_key)
    sealed = sealer.seal(b"text", CONTEXT)
    opener = GroupOpener([KEYS["x25519"]])

    changes: dict[str, Any] = {name: "other"}
    for wrong in (replace(CONTEXT, **changes), replace(CONTEXT, revision=2), OTHER):
        with pytest.raises(Refused, match="sealed_unopenable"):
            opener.open(sealed, sealer.wrap, wrong)


def test_the_key_of_one_message_opens_no_other_message_of_the_group() -> None:
    sealer = GroupSealer(KEYS["x25519"].sealing_key)
    first, second = sealer.seal(b"first", CONTEXT), sealer.seal(b"second", OTHER)
    key = GroupOpener([KEYS["x25519"]]).message_key(sealer.wrap, CONTEXT.message_id)

    assert open_with_key(first, key, CONTEXT) == b"first"
    with pytest.raises(Refused, match="sealed_unopenable"):
        open_with_key(second, key, OTHER)


@given(st.binary(max_size=2000), st.integers(0))
def test_a_changed_bit_of_wrap_or_sealed_part_does_not_open(text: bytes, bit: int) -> None:
    sealer = GroupSealer(KEYS["x25519"].sealing_key)
    whole = bytearray(sealer.wrap + sealer.seal(text, CONTEXT))
    bit %= 8 * len(whole)
    whole[bit // 8] ^= 1 << bit % 8
    wrap, sealed = bytes(whole[: len(sealer.wrap)]), bytes(whole[len(sealer.wrap) :])

    with pytest.raises(Refused, match="sealed_unopenable"):
        GroupOpener([KEYS["x25519"]]).open(sealed, wrap, CONTEXT)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_open_nothing(wrap: bytes) -> None:
    with pytest.raises(Refused, match="sealed_unopenable"):
        GroupOpener([KEYS["x25519"]]).open(b"", wrap, CONTEXT)


@pytest.mark.parametrize("length", [0, 1, 508, 509, 1020])
def test_the_length_tells_the_bucket_only(length: int) -> None:
    sealed = GroupSealer(KEYS["x25519"].sealing_key).seal(bytes(length), CONTEXT)

    assert len(sealed) - 12 - 16 == (512 if length <= 508 else 1024)
