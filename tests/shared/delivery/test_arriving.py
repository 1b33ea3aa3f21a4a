"""Verified records get their names, their proofs and the bodies of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from shared.catalog import CATALOG
from shared.core.ids import uuid7
from shared.core.protocol.accept import RECORD_BYTES_MAX
from shared.core.protocol.authority import inbox_topic
from shared.core.protocol.message import Record
from shared.delivery.arriving import pack, read_arrival, unpack
from shared.delivery.control import ControlLetterWriter
from shared.delivery.sending import draft_of
from shared.messaging.arrival import PartitionVerifier, PlacedMessage, RawRecord
from shared.messaging.composition import SegmentComposer
from shared.messaging.exceptions import MALFORMED, NamedMessage, Outcome, OutcomeKind, OutcomeList
from shared.messaging.placement import build_proof_record, covered_bytes, place_record
from shared.messaging.ports import MessageDraft
from shared.messaging.reception import ArrivedMessage
from shared.messaging.relay import list_records
from shared.messaging.segments import Segment, place_segment
from shared.messaging.streams import Lane, WireRole
from tests.shared.delivery.toy_instances import offer
from tests.shared.messaging.builders import KEY, PAIR, keys, outgoing
from tests.shared.platform.builders import NOW
from tests.support.manual_clock import ManualClock

COMPOSER = SegmentComposer(
    KEY,
    sealing_keys=lambda *_: pytest.fail("nothing is sealed"),
    control_letters=ControlLetterWriter(PAIR.writer, ManualClock(NOW)),
)
TOPIC_ID = uuid7()
OUTCOMES = OutcomeList(
    (Outcome(NamedMessage(uuid7(), WireRole.STATE, "referral_offered"), OutcomeKind.DEAD, "handler_defect"),)
)


def segment_of(lane: Lane, drafts: Sequence[MessageDraft], composer: SegmentComposer = COMPOSER) -> Segment:
    streams = outgoing()
    (unplaced,) = composer.compose(PAIR, {lane: drafts})
    return place_segment(unplaced, streams.incarnation, streams.lanes[lane], day=date(2026, 3, 1))


def arrive(segment: Segment, *, added: Sequence[tuple[str, bytes | None]] = ()) -> list[ArrivedMessage]:
    """Return the messages of a segment as their reader takes them. `added`: headers that its writer did not sign."""
    records = [build_proof_record(segment, KEY)]
    records += [place_record(each.record, each.place) for each in list_records([segment], above=0)]
    verifier, found = PartitionVerifier(PAIR, segment.lane, keys), []
    for offset, each in enumerate(records):
        headers = (*each.headers, *added)
        record = Record(
            inbox_topic(PAIR.addressee, PAIR.writer), segment.lane, offset, NOW, each.key, headers, each.value
        )
        raw = RawRecord(TOPIC_ID, offset, NOW, headers, each.value)
        (placed,) = verifier.verify([raw])
        if isinstance(placed, PlacedMessage):
            found.append(read_arrival(record, placed, CATALOG))
    return found


def test_each_message_has_its_name_and_a_proof_for_outsiders() -> None:
    drafts = [offer(PAIR.writer, PAIR.addressee) for _ in range(20)]
    arrived = arrive(segment_of(Lane.ORDINARY, [draft_of(each, PAIR.writer) for each in drafts]))
    assert [each.named.message_id for each in arrived] == [each.message_id for each in drafts]
    assert {(each.named.role, each.named.kind, each.is_p0) for each in arrived} == {
        (WireRole.STATE, "referral_offered", False)
    }
    for each, draft in zip(arrived, drafts, strict=True):
        record = unpack(each.record)
        assert (record.writer, record.key) == (PAIR.writer, draft.subject.encode())
        assert record.proof is not None
        record.proof.check(covered_bytes(record.headers, record.value or b""), KEY.verify_key)


def test_of_headers_that_no_signature_covers_a_good_trace_alone_is_kept() -> None:
    segment = segment_of(Lane.ORDINARY, [draft_of(offer(PAIR.writer, PAIR.addressee), PAIR.writer)])
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    (good,) = arrive(segment)
    for told, is_kept in ((trace, True), (b"x" * 1024, False)):
        (arrived,) = arrive(segment, added=[("note", b"x" * 1024), ("traceparent", told), ("x" * 1024, None)])
        headers = dict(unpack(arrived.record).headers)
        assert (headers.pop("traceparent", None) == trace) is is_kept
        assert headers == dict(unpack(good.record).headers)
        assert b"xxxx" not in pack(unpack(arrived.record))


def test_a_state_in_the_urgent_lane_is_of_a_child_at_risk() -> None:
    (arrived,) = arrive(segment_of(Lane.URGENT, [draft_of(offer(PAIR.writer, PAIR.addressee), PAIR.writer)]))
    assert arrived.is_p0


def test_a_message_of_the_protocol_has_its_body() -> None:
    draft = MessageDraft(PAIR.addressee, WireRole.OUTCOMES, WireRole.OUTCOMES, None, OUTCOMES)
    (arrived,) = arrive(segment_of(Lane.URGENT, [draft]))
    assert (arrived.body, arrived.named.role, arrived.is_p0) == (OUTCOMES, WireRole.OUTCOMES, False)


@pytest.mark.parametrize(
    ("name", "value", "has_subject"),
    [("ce_subject", b"no id", False), ("ce_type", b"\xff", False), ("ce_id", b"no id", True)],
)
def test_a_message_that_cannot_be_named_is_malformed_and_its_number_is_taken(
    name: str, value: bytes, has_subject: bool
) -> None:
    draft = draft_of(offer(PAIR.writer, PAIR.addressee), PAIR.writer)
    letter = draft.body
    headers = tuple((each, value.decode("latin-1") if each == name else text) for each, text in letter.headers)  # type: ignore[attr-defined]
    broken = draft._replace(body=replace(letter, headers=headers))  # type: ignore[type-var]
    (arrived,) = arrive(segment_of(Lane.ORDINARY, [broken]))
    assert (arrived.named.kind == MALFORMED) is not has_subject
    assert (arrived.named.subject is not None) is has_subject
    # An unreadable id is replaced by one made of the digest, so a copy of the record has the same one.
    assert (arrived.named.message_id == letter.message_id) is (name != "ce_id")  # type: ignore[attr-defined]


def test_a_body_of_the_protocol_that_cannot_be_read_is_a_dead_letter() -> None:
    draft = MessageDraft(PAIR.addressee, WireRole.OUTCOMES, WireRole.OUTCOMES, None, OUTCOMES)
    letter = ControlLetterWriter(PAIR.writer, ManualClock(NOW))(PAIR.addressee, WireRole.OUTCOMES, OUTCOMES)
    broken = draft._replace(body=replace(letter, clear={"body": {"outcomes": "none"}}))
    (arrived,) = arrive(segment_of(Lane.URGENT, [broken]))
    assert (arrived.body, arrived.named.kind) == (None, MALFORMED)


@pytest.mark.parametrize("change", ["sender", "recipient", "header"])
def test_a_body_of_the_protocol_counts_only_from_instance_to_instance(change: str) -> None:
    """Audit is no addressee of them: a peer cannot state one thing here and another to audit."""
    letter = ControlLetterWriter(PAIR.writer, ManualClock(NOW))(PAIR.addressee, WireRole.OUTCOMES, OUTCOMES)
    changed = {"sender": ("ce_sender", "hotline.other"), "recipient": ("ce_recipient", "hotline.other")}
    name, text = changed.get(change, ("ce_time", "some day"))
    headers = tuple((each, text if each == name else value) for each, value in letter.headers)
    draft = MessageDraft(PAIR.addressee, WireRole.OUTCOMES, WireRole.OUTCOMES, None, OUTCOMES)
    writer = SegmentComposer(
        KEY,
        sealing_keys=lambda *_: pytest.fail("nothing is sealed"),
        control_letters=lambda *_: replace(letter, headers=headers),
    )
    (arrived,) = arrive(segment_of(Lane.URGENT, [draft], writer))
    assert (arrived.body, arrived.named.kind) == (None, MALFORMED)


def test_of_a_record_over_the_bounds_no_more_is_kept_than_tells_why_it_is_refused() -> None:
    offered = offer(PAIR.writer, PAIR.addressee)
    draft = draft_of(offered, PAIR.writer)
    letter = draft.body
    (good,) = arrive(segment_of(Lane.ORDINARY, [draft]))
    assert unpack(good.record).headers
    large = replace(
        letter,  # type: ignore[type-var]
        headers=(*letter.headers, ("ce_xhint", "x" * 400_000)),  # type: ignore[attr-defined]
        clear={**letter.clear, "more": "x" * 400_000},  # type: ignore[attr-defined]
    )
    segment = segment_of(Lane.ORDINARY, [draft._replace(body=large)])
    (cut,) = arrive(segment)
    assert (cut.named, cut.digest) == (good.named, segment.messages[0].digest)
    assert len(segment.messages[0].record.value) > 400_000
    record = unpack(cut.record)
    assert (record.headers, len(record.value or b"")) == ((), RECORD_BYTES_MAX + 1)
    assert len(pack(record)) < 70_000
