"""Arrival: only a record that is covered by the preceding proof has a place. All others are unreadable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.core.envelope.content_proof import pack_proof, unpack_proof
from shared.core.envelope.keys import KEY_OPERATIONS, SigningKey
from shared.core.ids import uuid7
from shared.core.protocol.message import Record
from shared.messaging.acks import Ack, LaneAck, build_ack_record
from shared.messaging.arrival import (
    CopyVerifier,
    PartitionVerifier,
    PlacedMessage,
    RawRecord,
    StatedAck,
    UnreadableRecord,
    Verified,
)
from shared.messaging.incarnations import Head
from shared.messaging.kafka.log import find_heads
from shared.messaging.placement import KIND, PLACE, PROOF, SALT, build_proof_record
from shared.messaging.segments import RecordBytes, Segment
from shared.messaging.streams import LANES, Lane, LaneEnd, Pair
from tests.shared.messaging.builders import (
    COMPOSER,
    KEY,
    PAIR,
    compose,
    draft,
    keys,
    letter,
    message_records,
    outgoing,
    place,
)

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOPIC = uuid7()
STREAMS = outgoing()
FIRST, SECOND = (place(compose([letter() for _ in range(3)]), STREAMS) for _ in range(2))


def raw(records: Sequence[RecordBytes], start: int = 0) -> list[RawRecord]:
    return [RawRecord(TOPIC, offset, AT, each.headers, each.value) for offset, each in enumerate(records, start)]


def appended(segment: Segment, above: int = 0) -> list[RecordBytes]:
    return [build_proof_record(segment, KEY), *message_records(segment, above=above)]


def verifier() -> PartitionVerifier:
    return PartitionVerifier(PAIR, Lane.ORDINARY, keys)


def numbers(found: Sequence[Verified]) -> list[int]:
    return [each.place.number for each in found if isinstance(each, PlacedMessage)]


def codes(found: Sequence[Verified]) -> list[str]:
    return [each.code for each in found if isinstance(each, UnreadableRecord) and each.code is not None]


def test_two_segments_are_read_in_order() -> None:
    found = verifier().verify(raw([*appended(FIRST), *appended(SECOND)]))

    assert numbers(found) == [1, 2, 3, 4, 5, 6]
    assert codes(found) == []


def test_a_segment_that_is_appended_again_from_the_middle_is_read() -> None:
    assert numbers(verifier().verify(raw(appended(FIRST, above=1)))) == [2, 3]


def test_a_record_without_its_proof_is_unreadable() -> None:
    found = verifier().verify(raw(appended(FIRST)[1:]))

    assert (numbers(found), codes(found)) == ([], ["proof_missing"] * 3)


def test_a_record_behind_the_proof_of_another_segment_is_unreadable() -> None:
    found = verifier().verify(raw([appended(FIRST)[0], *appended(SECOND)[1:]]))

    assert (numbers(found), codes(found)) == ([], ["proof_missing"] * 3)


@pytest.mark.parametrize("name", ["ce_id", SALT, "content-type"])
def test_a_record_whose_bytes_changed_is_unreadable_and_its_neighbours_are_read(name: str) -> None:
    proof, first, second, third = appended(FIRST)
    changed = tuple((each, b"other" if each == name else value) for each, value in second.headers)

    found = verifier().verify(raw([proof, first, second._replace(headers=changed), third]))

    assert (numbers(found), codes(found)) == ([1, 3], ["signature_invalid"])


def test_a_record_at_the_place_of_another_one_is_unreadable() -> None:
    proof, first, second, _ = appended(FIRST)
    place_of_first = dict(first.headers)[PLACE]
    moved = tuple((each, place_of_first if each == PLACE else value) for each, value in second.headers)

    found = verifier().verify(raw([proof, second._replace(headers=moved)]))

    assert (numbers(found), codes(found)) == ([], ["signature_invalid"])


def test_a_place_that_stands_twice_or_is_malformed_is_no_place() -> None:
    proof, first, second, _ = appended(FIRST)
    twice = first._replace(headers=(*first.headers, (PLACE, dict(second.headers)[PLACE])))
    short = second._replace(
        headers=tuple((name, value[:-1] if name == PLACE else value) for name, value in second.headers)
    )

    assert codes(verifier().verify(raw([proof, twice, short]))) == ["place_malformed"] * 2


def test_a_proof_for_another_pair_or_lane_proves_nothing_here() -> None:
    other = PartitionVerifier(Pair(PAIR.writer, "hotline-c"), Lane.ORDINARY, keys)
    urgent = PartitionVerifier(PAIR, Lane.URGENT, keys)

    for each in (other, urgent):
        found = each.verify(raw(appended(FIRST)))
        assert (numbers(found), codes(found)[0]) == ([], "topic_wrong")


def test_a_forged_proof_ends_the_trust_in_the_one_before() -> None:
    forged = RecordBytes(b"", ((KIND, PROOF),), build_proof_record(SECOND, SigningKey(bytes(32))).value)

    found = verifier().verify(raw([appended(FIRST)[0], forged, *appended(FIRST)[1:]]))

    assert (numbers(found), codes(found)) == ([], ["key_unknown"] + ["proof_missing"] * 3)


def test_a_record_with_a_broken_content_signature_keeps_its_place_and_is_marked() -> None:
    at = FIRST.proof.index(KEY.key_id.encode()) + len(KEY.key_id)
    broken = replace(FIRST, proof=FIRST.proof[:at] + bytes([FIRST.proof[at] ^ 1]) + FIRST.proof[at + 1 :])

    found = verifier().verify(raw(appended(broken)))

    marked = [each.is_signed for each in found if isinstance(each, PlacedMessage)]
    assert (numbers(found), False in marked) == ([1, 2, 3], True)


def test_an_acknowledgement_is_read_among_the_records_and_does_not_end_a_segment() -> None:
    ack = Ack("hotline-a", Pair("industry-b", "hotline-a"), None, (LaneAck(0, b""), LaneAck(0, b"")), AT)
    record = build_ack_record(ack, KEY)
    proof, *messages = appended(FIRST)

    found = verifier().verify(raw([proof, messages[0], record, *messages[1:]]))

    assert numbers(found) == [1, 2, 3]
    assert [each.ack for each in found if isinstance(each, StatedAck)] == [ack]


@pytest.mark.parametrize(
    ("reader", "writer"), [("industry-c", "industry-b"), ("hotline-a", "industry-c")], ids=["reader", "streams"]
)
def test_an_acknowledgement_in_the_topic_of_another_pair_is_unreadable(reader: str, writer: str) -> None:
    ack = Ack(reader, Pair(writer, reader), None, (LaneAck(0, b""), LaneAck(0, b"")), AT)
    knows_all = PartitionVerifier(PAIR, Lane.URGENT, lambda *_: KEY.verify_key)
    assert codes(knows_all.verify(raw([build_ack_record(ack, KEY)]))) == ["topic_wrong"]


def test_the_last_acknowledgement_in_an_own_topic_shows_what_was_taken() -> None:
    """Only the own reader's acknowledgement counts, not one that audit wrote about a pair."""
    pair, incarnation = Pair("industry-b", "hotline-a"), uuid7()
    own = Ack("hotline-a", pair, incarnation, (LaneAck(3, bytes(32)), LaneAck(5, bytes(32))), AT)
    records = [*appended(FIRST), build_ack_record(own, KEY), *appended(SECOND)]
    (last, *taken) = find_heads(verifier(), [_record(each) for each in raw(records)], TOPIC)
    assert (last.number, last.is_taken) == (6, False)
    assert taken == [Head(incarnation, Lane(lane), count, is_taken=True) for lane, count in enumerate((3, 5))]
    for ack in (replace(own, reader="audit"), replace(own, incarnation=None)):
        topic = PartitionVerifier(Pair(ack.reader, pair.writer), Lane.URGENT, lambda *_: KEY.verify_key)
        assert find_heads(topic, [_record(each) for each in raw([build_ack_record(ack, KEY)])], TOPIC) == []


def test_the_last_acknowledgement_in_an_own_topic_shows_the_ends_of_the_own_streams() -> None:
    ends, incarnation = (LaneEnd(4, bytes(32)), LaneEnd(9, bytes(32))), uuid7()
    lanes = (LaneAck(0, bytes(32)), LaneAck(0, bytes(32)))
    ack = Ack("hotline-a", Pair("industry-b", "hotline-a"), None, lanes, AT, own_incarnation=incarnation, heads=ends)
    heads = find_heads(verifier(), [_record(each) for each in raw([build_ack_record(ack, KEY)])], TOPIC)
    assert heads == [Head(incarnation, lane, *ends[lane]) for lane in LANES]


def test_a_proof_that_was_appended_without_its_messages_shows_the_end_of_its_segment() -> None:
    for records in (appended(SECOND)[:1], [*appended(FIRST), *appended(SECOND)[:1]]):
        heads = find_heads(verifier(), [_record(each) for each in raw(records)], TOPIC)
        assert heads == [Head(SECOND.incarnation, SECOND.lane, SECOND.last, chain=SECOND.chain)]


def _record(each: RawRecord) -> Record:
    return Record("t", 0, each.offset, each.broker_time, None, each.headers, each.value)


def test_records_of_strangers_have_no_effect() -> None:
    strange = [
        RecordBytes(b"", (), b"text"),
        RecordBytes(b"", ((KIND, b"other"),), b""),
        RecordBytes(b"", ((KIND, PROOF), (KIND, PROOF)), b""),
    ]
    found = verifier().verify([*raw(strange), RawRecord(TOPIC, 9, AT, ((KIND, PROOF),), None)])

    assert codes(found) == ["place_malformed"] * 3 + ["proof_malformed"]


def test_the_content_of_a_group_in_both_lanes_is_checked_once() -> None:
    lanes = {lane: [draft(letter("a.example")) for _ in range(2)] for lane in LANES}
    segments = [place(each) for each in COMPOSER.compose(PAIR, lanes)]
    before = KEY_OPERATIONS.verified

    for _ in range(2):
        for segment in segments:
            found = PartitionVerifier(PAIR, segment.lane, keys).verify(raw(appended(segment)))
            assert [each.is_signed for each in found if isinstance(each, PlacedMessage)] == [True, True]

    assert KEY_OPERATIONS.verified - before == 1 + 4  # the content, and each place at each reading


def test_a_group_that_was_checked_does_not_hold_under_another_key_or_root() -> None:
    segment = place(compose([letter()]))
    assert numbers(verifier().verify(raw(appended(segment)))) == [1]
    proof = unpack_proof(segment.proof)
    for other in (replace(proof.groups[0], seed=bytes(16)), replace(proof.groups[0], key_id="ed25519-0")):
        wrong = replace(segment, proof=pack_proof(replace(proof, groups=(other,))))
        found = verifier().verify(raw(appended(wrong)))
        assert [each.is_signed for each in found if isinstance(each, PlacedMessage)] == [False]


def test_audit_reads_copies_of_any_pair_of_their_writer() -> None:
    urgent = place(compose([letter()])._replace(lane=Lane.URGENT))

    found = CopyVerifier(PAIR.writer, keys).verify(raw([*appended(FIRST), *appended(urgent)]))

    assert numbers(found) == [1, 2, 3, 1]
    assert codes(CopyVerifier("hotline-z", keys).verify(raw(appended(FIRST)))) == ["proof_missing"] * 4
