"""Streams at each end: chains, lanes, and the fit of one record."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared.messaging.streams import (
    Incoming,
    Lane,
    LaneEnd,
    Pair,
    RecordFit,
    StreamPlace,
    WireRole,
    begin_chain,
    extend_chain,
    find_lane,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FIRST, SECOND = UUID(int=1), UUID(int=2)
PAIR = Pair("a.example", "b.example")


def digest(number: int) -> bytes:
    return hashlib.sha256(bytes((number,))).digest()


def read_to(number: int, lane: Lane = Lane.URGENT) -> Incoming:
    """Return a reader that has entered the first incarnation and taken `count` numbers of a lane."""
    incoming = Incoming(PAIR)
    incoming.enter(FIRST, NOW)
    for each in range(1, number + 1):
        incoming.take(StreamPlace(FIRST, lane, each), digest(each), is_p0=False)
    return incoming


def test_a_chain_links_each_digest_to_all_before_it() -> None:
    start = hashlib.sha256(FIRST.bytes).digest()
    assert begin_chain(FIRST) == start
    one = hashlib.sha256(start + digest(1)).digest()
    assert extend_chain(start, [digest(1)]) == one
    assert extend_chain(start, [digest(1), digest(2)]) == hashlib.sha256(one + digest(2)).digest()
    assert extend_chain(start, []) == start


@pytest.mark.parametrize(
    ("role", "is_p0", "lane"),
    [
        (WireRole.STATE, False, Lane.ORDINARY),
        (WireRole.STATE, True, Lane.URGENT),
        (WireRole.ANSWER, False, Lane.ORDINARY),
        (WireRole.FACT, False, Lane.ORDINARY),
        (WireRole.WITHDRAWAL, False, Lane.URGENT),
        (WireRole.OUTCOMES, False, Lane.URGENT),
        (WireRole.RESYNC, False, Lane.URGENT),
        (WireRole.HOLDINGS, False, Lane.URGENT),
    ],
)
def test_outcomes_and_lists_of_exceptions_share_the_urgent_lane(role: WireRole, is_p0: bool, lane: Lane) -> None:
    assert find_lane(role, is_p0=is_p0) is lane


def test_only_the_next_number_of_the_present_incarnation_is_taken() -> None:
    incoming = read_to(2)
    assert incoming.fit(StreamPlace(FIRST, Lane.URGENT, 3), NOW) is RecordFit.TAKE
    assert incoming.fit(StreamPlace(FIRST, Lane.URGENT, 2), NOW) is RecordFit.DROP
    assert incoming.fit(StreamPlace(FIRST, Lane.ORDINARY, 1), NOW) is RecordFit.TAKE
    assert not incoming.lanes[Lane.URGENT].has_gap


def test_a_higher_number_is_dropped_and_owes_an_acknowledgement_of_the_gap() -> None:
    incoming = read_to(2)
    assert incoming.fit(StreamPlace(FIRST, Lane.URGENT, 4), NOW) is RecordFit.DROP
    assert incoming.lanes[Lane.URGENT].has_gap
    assert not incoming.lanes[Lane.ORDINARY].has_gap
    incoming.take(StreamPlace(FIRST, Lane.URGENT, 3), digest(3), is_p0=False)
    assert not incoming.lanes[Lane.URGENT].has_gap


def test_an_unknown_incarnation_is_entered_at_number_1_of_the_urgent_lane_alone() -> None:
    incoming = read_to(2)
    assert incoming.fit(StreamPlace(SECOND, Lane.URGENT, 2), NOW) is RecordFit.DROP
    assert incoming.fit(StreamPlace(SECOND, Lane.ORDINARY, 1), NOW) is RecordFit.DROP
    assert incoming.missed == SECOND
    assert incoming.fit(StreamPlace(SECOND, Lane.URGENT, 1), NOW) is RecordFit.ENTER


def test_entering_closes_the_incarnation_before_in_both_lanes() -> None:
    incoming = read_to(2)
    before = incoming.lanes[Lane.URGENT].chain
    incoming.fit(StreamPlace(SECOND, Lane.ORDINARY, 1), NOW)
    incoming.enter(SECOND, NOW)
    assert incoming.closed == {FIRST: (LaneEnd(2, before), LaneEnd(0, begin_chain(FIRST)))}
    assert [(lane.through, lane.chain) for lane in incoming.lanes] == [(0, begin_chain(SECOND))] * 2
    assert incoming.missed is None
    # Its ordinary records were dropped before, so the writer sends them again.
    assert [lane.has_gap for lane in incoming.lanes] == [False, True]


def test_a_closed_incarnation_is_dropped_for_ever_and_named() -> None:
    incoming = read_to(2)
    incoming.enter(SECOND, NOW)
    assert incoming.fit(StreamPlace(FIRST, Lane.URGENT, 1), NOW) is RecordFit.DROP
    assert incoming.fit(StreamPlace(FIRST, Lane.URGENT, 3), NOW) is RecordFit.DROP
    assert incoming.dropped_closed == FIRST
    assert incoming.missed is None


def test_no_more_than_ten_incarnations_are_entered_in_an_hour() -> None:
    incoming = read_to(2)
    for number in range(2, 11):
        at = NOW + timedelta(minutes=number)
        assert incoming.fit(StreamPlace(UUID(int=number), Lane.URGENT, 1), at) is RecordFit.ENTER
        incoming.enter(UUID(int=number), at)
    assert incoming.fit(StreamPlace(UUID(int=11), Lane.URGENT, 1), NOW + timedelta(minutes=59)) is RecordFit.DROP
    assert (incoming.missed, incoming.incarnation, len(incoming.closed)) == (UUID(int=11), UUID(int=10), 9)
    later = NOW + timedelta(hours=1)
    assert incoming.fit(StreamPlace(UUID(int=11), Lane.URGENT, 1), later) is RecordFit.ENTER
    incoming.enter(UUID(int=11), later)
    assert (incoming.entered_since, incoming.entered_count) == (later, 1)
    # Its ordinary records were dropped before, so the writer sends them again.
    assert incoming.lanes[Lane.ORDINARY].has_gap


def test_taking_a_p0_is_urgent() -> None:
    incoming = read_to(1)
    assert (incoming.owes_ack, incoming.is_urgent) == (True, False)
    incoming.take(StreamPlace(FIRST, Lane.URGENT, 2), digest(2), is_p0=True)
    incoming.take(StreamPlace(FIRST, Lane.URGENT, 3), digest(3), is_p0=False)
    assert incoming.is_urgent


@pytest.mark.parametrize(
    ("topic", "first", "end", "offset"),
    [(FIRST, 0, 9, 5), (FIRST, 7, 9, 7), (FIRST, 0, 5, 5), (FIRST, 0, 4, 0), (SECOND, 2, 9, 2)],
    ids=["as noted", "retention passed it", "at the end", "the end is before it", "another topic"],
)
def test_reading_begins_where_it_ended_unless_the_topic_is_another(
    topic: UUID, first: int, end: int, offset: int
) -> None:
    incoming = Incoming(PAIR)
    incoming.lanes[Lane.URGENT].topic_id, incoming.lanes[Lane.URGENT].next_offset = FIRST, 5
    assert incoming.seek(Lane.URGENT, topic, first=first, end=end) == offset
