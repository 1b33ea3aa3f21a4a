"""Placement: numbered records and the proof record, as the relay writes and a reader reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import EPOCH
from shared.core.envelope.keys import SigningKey
from shared.core.errors import Refused
from shared.messaging.placement import PLACE, SALT, build_proof_record, digest_record, parse_place, parse_proof_record
from shared.messaging.segments import Segment, select_kept
from shared.messaging.streams import Lane, StreamPlace, begin_chain
from tests.shared.messaging.builders import KEY, compose, keys, letter, message_records, outgoing, place

SMALL = compose([letter(f"provider-{n}.example") for n in range(3)])
SEGMENT = place(SMALL)


def proof_value(segment: Segment) -> bytes:
    return build_proof_record(segment, KEY).value


def test_a_reader_learns_place_and_digests_from_the_proof_record() -> None:
    proven = parse_proof_record(proof_value(SEGMENT), keys, EPOCH)

    assert proven.pair == SEGMENT.pair
    assert (proven.incarnation, proven.lane, proven.first) == (SEGMENT.incarnation, Lane.ORDINARY, 1)
    assert proven.digests == tuple(message.digest for message in SEGMENT.messages)
    assert proven.is_signed == (True, True, True)
    assert proven.chain_before == begin_chain(SEGMENT.incarnation)


def test_each_record_has_its_place_and_its_digest() -> None:
    proven = parse_proof_record(proof_value(SEGMENT), keys, EPOCH)

    for record in message_records(SEGMENT):
        found = parse_place(dict(record.headers)[PLACE], SEGMENT.lane)
        assert found is not None
        assert proven.has(found)
        assert digest_record(record.headers, record.value) == proven.digests[found.number - proven.first]


def test_only_records_above_a_number_are_appended_after_a_return() -> None:
    records = message_records(SEGMENT, above=2)

    assert [parse_place(dict(each.headers)[PLACE], SEGMENT.lane) for each in records] == [
        StreamPlace(SEGMENT.incarnation, Lane.ORDINARY, 3)
    ]


def test_a_segment_that_is_carried_keeps_its_content_proof_at_its_new_place() -> None:
    kept = select_kept(SEGMENT, above=1, erased=frozenset())
    assert kept is not None
    carried = place(kept, outgoing())

    proven = parse_proof_record(proof_value(carried), keys, EPOCH)

    assert proven.first == 1
    assert proven.digests == tuple(message.digest for message in SEGMENT.messages[1:])
    assert proven.is_signed == (True, True)
    assert carried.proof == SEGMENT.proof


def test_an_erased_own_state_is_not_carried() -> None:
    erased = SEGMENT.messages[0].subject
    assert erased is not None

    kept = select_kept(SEGMENT, above=0, erased=frozenset({erased}))

    assert kept is not None
    assert kept.messages == SEGMENT.messages[1:]


@pytest.mark.parametrize(
    "moved",
    [
        replace(SEGMENT, first=2),
        replace(SEGMENT, lane=Lane.URGENT),
        replace(SEGMENT, pair=SEGMENT.pair._replace(addressee="industry-c")),
        replace(SEGMENT, chain_before=bytes(32)),
        replace(SEGMENT, messages=SEGMENT.messages[::-1]),
        replace(SEGMENT, messages=SEGMENT.messages[:2]),
    ],
)
def test_a_place_signature_holds_for_no_other_place(moved: Segment) -> None:
    theirs, ours = proof_value(SEGMENT), proof_value(moved)
    start = 1 + 16 + 1 + 8 + 2 + 32
    forged = ours[:start] + theirs[start : start + 64] + ours[start + 64 :]

    with pytest.raises(Refused, match="signature_invalid"):
        parse_proof_record(forged, keys, EPOCH)


def test_another_instance_signs_no_place_of_this_writer() -> None:
    value = build_proof_record(SEGMENT, SigningKey(bytes(32))).value

    with pytest.raises(Refused, match="key_unknown"):
        parse_proof_record(value, keys, EPOCH)


def test_a_group_with_a_broken_content_signature_is_named_and_the_others_hold() -> None:
    at = SEGMENT.proof.index(bytes([len(KEY.key_id)]) + KEY.key_id.encode()) + 1 + len(KEY.key_id)
    broken = SEGMENT.proof[:at] + bytes([SEGMENT.proof[at] ^ 1]) + SEGMENT.proof[at + 1 :]

    proven = parse_proof_record(proof_value(replace(SEGMENT, proof=broken)), keys, EPOCH)

    assert sorted(proven.is_signed) == [False, True, True]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 8 * len(proof_value(SEGMENT)) - 1))
def test_no_changed_bit_of_a_proof_record_is_accepted(bit: int) -> None:
    value = bytearray(proof_value(SEGMENT))
    value[bit // 8] ^= 1 << bit % 8

    with pytest.raises(Refused):
        parse_proof_record(bytes(value), keys, EPOCH)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_with_a_code(value: bytes) -> None:
    with pytest.raises(Refused):
        parse_proof_record(value, keys, EPOCH)


@pytest.mark.parametrize("value", [None, b"", b"00" * 24, b"11" * 23, b"11" * 25, b"1F" * 24, b"+1" * 24])
def test_a_malformed_place_is_no_place(value: bytes | None) -> None:
    assert parse_place(value, Lane.URGENT) is None


@pytest.mark.parametrize("length", [0, 15, 17, 40])
def test_a_record_with_a_salt_of_another_length_has_no_digest(length: int) -> None:
    record = message_records(SEGMENT)[0]
    headers = [(name, b"00" * length if name == SALT else value) for name, value in record.headers]

    assert digest_record(headers, record.value) is None


def test_bytes_that_move_from_a_header_into_the_salt_give_no_digest() -> None:
    record = message_records(SEGMENT)[0]
    headers = sorted(
        (name, value) for name, value in record.headers if name.startswith("ce_") or name == "content-type"
    )
    name, value = headers[0]
    moved = [(SALT, dict(record.headers)[SALT] + b"%s:%s\n" % (name.encode(), value)), *headers[1:]]

    assert digest_record(moved, record.value) is None


def test_two_salts_or_a_line_feed_in_a_covered_header_give_no_digest() -> None:
    record = message_records(SEGMENT)[0]

    assert digest_record([*record.headers, (SALT, b"00" * 16)], record.value) is None
    assert digest_record([*record.headers, ("ce_x", b"a\nce_y:b")], record.value) is None
    assert digest_record([*record.headers, ("ce_x", None)], record.value) is None
    assert digest_record([*record.headers, ("ce_x", b""), ("ce_x", b"")], record.value) is None
