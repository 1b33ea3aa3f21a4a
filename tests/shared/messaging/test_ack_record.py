"""The record of an acknowledgement: signed, small, and refused after any change."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.canonical import canonical_json
from shared.core.clock import EPOCH
from shared.core.envelope.keys import SigningKey, VerifyKey
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.messaging.acks import ACK_BYTES_MAX, Ack, LaneAck, build_ack_record, parse_ack_record
from shared.messaging.streams import LaneEnd
from tests.shared.messaging.builders import PAIR

READER = SigningKey(bytes(range(5, 37)))
AT = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)
FULL = Ack(
    reader="industry-b",
    pair=PAIR,
    incarnation=uuid7(),
    lanes=(LaneAck(7, bytes(32), has_gap=True), LaneAck(2**53 - 1, b"\x01" * 32, is_full=True)),
    at=AT,
    closed=uuid7(),
    nonce=uuid7(),
    echo=uuid7(),
    own_incarnation=uuid7(),
    heads=(LaneEnd(3, b"\x02" * 32), LaneEnd(0, b"\x03" * 32)),
)
EMPTY = Ack(reader="industry-b", pair=PAIR, incarnation=None, lanes=(LaneAck(0, b""), LaneAck(0, b"")), at=AT)


def keys(instance: str, key_id: str, at: datetime) -> VerifyKey | None:
    return READER.verify_key if (instance, key_id) == ("industry-b", READER.key_id) else None


def value_of(ack: Ack) -> bytes:
    return build_ack_record(ack, READER).value


@pytest.mark.parametrize("ack", [FULL, EMPTY])
def test_an_acknowledgement_is_read_as_it_was_built(ack: Ack) -> None:
    assert parse_ack_record(value_of(ack), keys, EPOCH) == ack


def test_the_record_is_small() -> None:
    assert len(value_of(FULL)) < 1600


@given(st.integers(0, 8 * len(value_of(FULL)) - 1))
def test_no_changed_bit_is_accepted(bit: int) -> None:
    value = bytearray(value_of(FULL))
    value[bit // 8] ^= 1 << bit % 8

    with pytest.raises(Refused):
        parse_ack_record(bytes(value), keys, EPOCH)


@pytest.mark.parametrize("name", ["reader", "pair", "at", "closed", "heads", "incarnation", "lanes"])
def test_every_member_is_signed(name: str) -> None:
    stated = json.loads(value_of(FULL))
    others = {"reader": "hotline-x", "pair": ["hotline-x", "industry-b"], "at": "2026-03-01T12:00:20Z"}
    stated["ack"][name] = (json.loads(value_of(EMPTY))["ack"] | others)[name]

    with pytest.raises(Refused):
        parse_ack_record(canonical_json(stated), keys, EPOCH)


def test_a_record_above_the_bound_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(Refused, match="ack_malformed"):
        parse_ack_record(b" " * (ACK_BYTES_MAX + 1), keys, EPOCH)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_with_a_code(value: bytes) -> None:
    with pytest.raises(Refused, match="ack_malformed"):
        parse_ack_record(value, keys, EPOCH)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("at", "0001-01-01T00:00:00+14:00"),
        ("at", "9999-12-31T23:59:59-14:00"),
        ("pair", ["hotline-a", "nul\x00peer"]),
        ("lanes", [[2**53, "", False, False, None, 0]] * 2),
        ("lanes", [[0, "00", False, False, None, 0]] * 2),
        ("reader", ""),
    ],
)
def test_odd_times_names_and_numbers_are_refused_with_a_code(name: str, value: object) -> None:
    stated = json.loads(value_of(FULL))
    stated["ack"] |= {name: value}

    with pytest.raises(Refused, match="ack_malformed"):
        parse_ack_record(json.dumps(stated, sort_keys=True, separators=(",", ":")).encode(), keys, EPOCH)
