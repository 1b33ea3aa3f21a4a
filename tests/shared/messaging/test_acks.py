"""Acknowledgements: their effect on the writer's streams, and when a reader sends one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.messaging.acks import Ack, AckEffects, AckTurn, LaneAck, OpeningReason, apply_ack, build_ack, find_ack_turn
from shared.messaging.streams import Incoming, Lane, Outgoing, Pair, Probe, Reader, begin_outgoing

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PRESENT, EARLIER, STRANGE, NONCE = (UUID(int=number) for number in range(1, 5))
PAIR = Pair("a.example", "b.example")
URGENT, ORDINARY = Lane.URGENT, Lane.ORDINARY
CHAIN, OTHER = b"c" * 32, b"o" * 32


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def streams(*, last: int = 9, sent: int = 9, acked: int = 4, kept_above: int = 2) -> Outgoing:
    """Return own streams whose ordinary lane has these positions."""
    outgoing = begin_outgoing(PAIR, PRESENT, NOW, is_audited=True, pause_s=60)
    lane = outgoing.lanes[ORDINARY]
    lane.last, lane.sent, lane.acked, lane.audit_acked, lane.kept_above = last, sent, acked, acked, kept_above
    return outgoing


def statement(through: int = 4, **changes: Any) -> Ack:
    lanes = LaneAck(0, b""), LaneAck(through, CHAIN, changes.pop("is_full", False), changes.pop("has_gap", False))
    return Ack(**{"reader": "b.example", "pair": PAIR, "incarnation": PRESENT, "lanes": lanes, "at": NOW} | changes)


def apply(outgoing: Outgoing, ack: Ack, *, reader: Reader = Reader.RECIPIENT, now: datetime = NOW) -> AckEffects:
    known, chains = frozenset({EARLIER}), {URGENT: None, ORDINARY: CHAIN}
    return apply_ack(outgoing, ack, reader, known=known, chains=chains, now=now)


def probed(outgoing: Outgoing, acked: int) -> Outgoing:
    outgoing.probe = Probe(NONCE, NOW, (0, 9), (0, acked), (0, acked))
    return outgoing


def test_an_old_acknowledgement_that_is_heard_again_has_no_effect() -> None:
    outgoing = streams(acked=4, kept_above=4)
    apply(outgoing, statement(4, at=after(10)), now=after(10))
    assert apply(outgoing, statement(1, has_gap=True), now=after(20)) == AckEffects()
    assert outgoing.lanes[ORDINARY].acked == 4
    # Audit's time is its own, and the same time counts again.
    assert apply(outgoing, statement(1), reader=Reader.AUDIT, now=after(20)) == AckEffects()
    assert outgoing.lanes[ORDINARY].audit_acked == 1
    assert apply(outgoing, statement(3, at=after(10)), now=after(20)) == AckEffects()
    assert outgoing.lanes[ORDINARY].acked == 3


def test_an_answer_to_a_probe_counts_after_a_clock_went_back() -> None:
    outgoing = probed(streams(acked=4), 4)
    apply(outgoing, statement(4, at=after(3600)), now=after(3600))
    apply(outgoing, statement(4, at=after(60), echo=NONCE), now=after(3660))
    assert outgoing.lanes[ORDINARY].sent == 4
    # From then on its other acknowledgements count, too.
    apply(outgoing, statement(9, at=after(120)), now=after(3720))
    assert outgoing.lanes[ORDINARY].acked == 9


def test_an_acknowledgement_moves_the_position_of_its_reader_alone() -> None:
    outgoing = streams()
    assert apply(outgoing, statement(7)) == AckEffects()
    assert (outgoing.lanes[ORDINARY].acked, outgoing.lanes[ORDINARY].audit_acked) == (7, 4)
    assert apply(outgoing, statement(6), reader=Reader.AUDIT) == AckEffects()
    assert (outgoing.lanes[ORDINARY].acked, outgoing.lanes[ORDINARY].audit_acked) == (7, 6)
    assert outgoing.lowest_acked(ORDINARY) == 6


def test_a_lower_acknowledgement_counts() -> None:
    outgoing = streams()
    apply(outgoing, statement(3))
    assert outgoing.lanes[ORDINARY].acked == 3


def test_an_earlier_incarnation_counts_as_nothing_taken() -> None:
    outgoing = streams()
    assert apply(outgoing, statement(4, incarnation=EARLIER)) == AckEffects()
    assert outgoing.lanes[ORDINARY].acked == 0
    assert apply(outgoing, statement(0, incarnation=None)) == AckEffects()


@pytest.mark.parametrize(
    ("changes", "effects"),
    [
        ({"incarnation": STRANGE}, AckEffects(OpeningReason.AHEAD, STRANGE, True)),
        ({"through": 10}, AckEffects(OpeningReason.AHEAD, None, True)),
        ({"lanes": (LaneAck(0, b""), LaneAck(4, OTHER))}, AckEffects(OpeningReason.OTHER_CHAIN, None, True)),
        ({"closed": PRESENT}, AckEffects(OpeningReason.CLOSED, None, False)),
        ({"closed": EARLIER}, AckEffects()),
        ({"through": 9}, AckEffects()),
    ],
)
def test_statements_that_open_an_incarnation(changes: dict[str, Any], effects: AckEffects) -> None:
    outgoing = streams()
    assert apply(outgoing, statement(**changes)) == effects
    assert outgoing.opened_at == ({Reader.RECIPIENT: NOW} if effects.opens else {})


def test_a_number_whose_chain_is_not_kept_counts_as_equal() -> None:
    ack = statement(1, lanes=(LaneAck(0, OTHER), LaneAck(1, OTHER)))
    assert apply_ack(streams(), ack, Reader.RECIPIENT, known=frozenset(), chains={}, now=NOW).opens is None


def test_a_reader_causes_one_incarnation_an_hour() -> None:
    outgoing = streams()
    outgoing.opened_at[Reader.RECIPIENT] = NOW
    effects = apply(outgoing, statement(10), now=after(3599))
    assert (effects.opens, effects.is_listed, outgoing.is_limited) == (None, True, True)
    # The same statement once more within the hour is not listed again.
    assert apply(outgoing, statement(10), now=after(3599)) == AckEffects()
    assert apply(outgoing, statement(10), reader=Reader.AUDIT, now=after(3599)).opens is OpeningReason.AHEAD
    assert apply(outgoing, statement(10), now=after(3600)).opens is OpeningReason.AHEAD


def test_a_probe_without_progress_goes_back() -> None:
    outgoing = probed(streams(), 4)
    apply(outgoing, statement(4, echo=NONCE), now=after(60))
    lane = outgoing.lanes[ORDINARY]
    assert (lane.sent, lane.moved_at, lane.returned_to, lane.returned_at) == (4, after(60), 4, after(60))
    assert outgoing.probe is not None
    assert (outgoing.probe.acked, outgoing.probe.audit_acked) == (None, (0, 4))


@pytest.mark.parametrize(
    ("before", "ack", "seconds"),
    [
        (4, statement(4, echo=NONCE, is_full=True), 60),
        (3, statement(4, echo=NONCE), 60),
        (4, statement(4, echo=NONCE), 59),
        (4, statement(4), 60),
        (4, statement(9, echo=NONCE), 60),
    ],
    ids=["full", "progress", "the relay moved lately", "not an answer", "all taken"],
)
def test_no_return(before: int, ack: Ack, seconds: int) -> None:
    outgoing = probed(streams(), before)
    apply(outgoing, ack, now=after(seconds))
    assert outgoing.lanes[ORDINARY].sent == 9


@pytest.mark.parametrize("reader", Reader)
def test_an_answer_that_states_all_appended_numbers_moves_nothing_back(reader: Reader) -> None:
    """A return is noted even if the relay stays where it is, and would delay the next one."""
    outgoing = probed(streams(acked=9), 9)
    apply(outgoing, statement(9, echo=NONCE), reader=reader, now=after(60))
    lane = outgoing.lanes[ORDINARY]
    assert (lane.moved_at, lane.returned_to, lane.returned_at, lane.copy_above) == (NOW, None, None, None)


def test_a_gap_goes_back_at_once_and_seldom() -> None:
    outgoing = streams()
    lane = outgoing.lanes[ORDINARY]
    apply(outgoing, statement(4, has_gap=True))
    assert lane.sent == 4
    for seconds, through, is_back in ((9, 5, False), (10, 4, False), (10, 5, True), (69, 5, False), (70, 5, True)):
        lane.sent = 9
        apply(outgoing, statement(through, has_gap=True), now=after(seconds))
        assert (lane.sent == through) is is_back, seconds


def test_a_gap_behind_the_noted_pointer_goes_back_as_well() -> None:
    """The relay records its appends late."""
    for through, is_back in ((4, True), (8, True), (9, False)):
        outgoing = streams(sent=4)
        apply(outgoing, statement(through, has_gap=True), now=after(1))
        lane = outgoing.lanes[ORDINARY]
        assert (lane.sent, lane.returned_at == after(1)) == (4, is_back), "behind the last number there is no gap"
    apply(outgoing := streams(sent=4), statement(4, has_gap=True), reader=Reader.AUDIT)
    assert outgoing.lanes[ORDINARY].returned_at is None


def test_a_gap_before_a_p0_goes_back_every_two_seconds() -> None:
    outgoing = streams()
    lane = outgoing.lanes[ORDINARY]
    lane.p0_last, lane.returned_to, lane.returned_at = 5, 4, NOW
    for seconds, is_back in ((1.9, False), (2, True)):
        lane.sent = 9
        apply(outgoing, statement(4, has_gap=True), now=after(seconds))
        assert (lane.sent == 4) is is_back
    lane.sent, lane.p0_last = 9, 4
    apply(outgoing, statement(4, has_gap=True), now=after(5))
    assert lane.sent == 9


def test_what_is_not_kept_any_more_opens_an_incarnation() -> None:
    outgoing = streams(kept_above=5)
    assert apply(outgoing, statement(4, has_gap=True)).opens is OpeningReason.NOT_KEPT
    assert apply(streams(kept_above=4), statement(4, has_gap=True)).opens is None


def test_audit_gets_copies_once_a_probe() -> None:
    outgoing = probed(streams(), 4)
    apply(outgoing, statement(4), reader=Reader.AUDIT)
    assert outgoing.lanes[ORDINARY].copy_above is None
    apply(outgoing, statement(4, echo=NONCE), reader=Reader.AUDIT)
    assert (outgoing.lanes[ORDINARY].copy_above, outgoing.lanes[ORDINARY].sent) == (4, 9)
    outgoing.lanes[ORDINARY].copy_above = None
    apply(outgoing, statement(4, echo=NONCE), reader=Reader.AUDIT)
    assert outgoing.lanes[ORDINARY].copy_above is None


def test_audit_that_lacked_nothing_at_the_probe_gets_no_copy_of_what_came_after_it() -> None:
    outgoing = probed(streams(), 4)
    assert outgoing.probe is not None
    outgoing.probe = outgoing.probe._replace(last=(0, 4))
    apply(outgoing, statement(4, echo=NONCE), reader=Reader.AUDIT)
    assert outgoing.lanes[ORDINARY].copy_above is None


def test_audit_that_has_not_entered_the_incarnation_gets_it_again_in_the_topic_of_the_pair() -> None:
    for incarnation in (None, EARLIER):
        outgoing = probed(streams(kept_above=0), 0)
        apply(outgoing, statement(0, incarnation=incarnation, echo=NONCE), reader=Reader.AUDIT)
        assert (outgoing.lanes[ORDINARY].copy_above, outgoing.lanes[ORDINARY].sent) == (None, 0)


def test_copies_that_are_not_kept_open_an_incarnation() -> None:
    outgoing = probed(streams(kept_above=5), 4)
    assert apply(outgoing, statement(4, echo=NONCE), reader=Reader.AUDIT).opens is OpeningReason.NOT_KEPT


def test_only_the_peers_answer_to_a_probe_ends_the_wait_after_a_start() -> None:
    outgoing = probed(streams(), 4)
    outgoing.awaited_since = NOW
    apply(outgoing, statement(5))
    apply(outgoing, statement(5, echo=NONCE), reader=Reader.AUDIT)
    assert outgoing.awaited_since == NOW
    apply(outgoing, statement(5, echo=NONCE))
    assert outgoing.awaited_since is None


def test_progress_and_new_room_reset_the_pause() -> None:
    outgoing = streams()
    outgoing.probe_pause_s = 3600
    apply(outgoing, statement(4, is_full=True))
    assert (outgoing.probe_pause_s, outgoing.lanes[ORDINARY].is_full) == (3600, True)
    apply(outgoing, statement(4))
    assert (outgoing.probe_pause_s, outgoing.lanes[ORDINARY].is_full) == (60, False)
    outgoing.probe_pause_s = 3600
    apply(outgoing, statement(5))
    assert outgoing.probe_pause_s == 60


def reader(*, owes: bool = False, urgent: bool = False, gap: bool = False, acked: bool = True) -> Incoming:
    incoming = Incoming(Pair("b.example", "a.example"), owes_ack=owes, is_urgent=urgent)
    incoming.acked_at = NOW if acked else None
    incoming.lanes[ORDINARY].has_gap = gap
    return incoming


@pytest.mark.parametrize(
    ("incoming", "seconds", "turn"),
    [
        (reader(owes=True), 9, None),
        (reader(owes=True), 10, AckTurn(False)),
        (reader(owes=True, acked=False), 0, AckTurn(False)),
        (reader(urgent=True), 0.9, None),
        (reader(urgent=True), 1, AckTurn(False)),
        (reader(gap=True), 1, AckTurn(False)),
        (reader(), 999, None),
    ],
)
def test_an_acknowledgement_is_given_after_something_was_taken(
    incoming: Incoming, seconds: float, turn: AckTurn | None
) -> None:
    done = streams(acked=9)
    assert find_ack_turn(incoming, done, after(seconds)) == turn
    assert find_ack_turn(incoming, None, after(seconds)) == turn


def test_unacknowledged_numbers_are_probed_with_growing_pauses() -> None:
    outgoing, incoming, at = streams(), reader(), 0
    for pause in (60, 120, 240, 480, 960, 1920, 3600, 3600):
        assert find_ack_turn(incoming, outgoing, after(at + pause - 1)) is None
        at += pause
        assert find_ack_turn(incoming, outgoing, after(at)) == AckTurn(True)
        build_ack("a.example", incoming, outgoing, turn=AckTurn(True), nonce=NONCE, now=after(at))
    outgoing.lanes[ORDINARY].last += 1
    assert find_ack_turn(incoming, outgoing, after(at + 60)) == AckTurn(True)


def test_pauses_are_over_when_the_clock_was_set_back() -> None:
    """Otherwise acknowledgements, probes and appends would wait until the old time."""
    back = after(-3600)
    assert find_ack_turn(reader(owes=True), None, back) == AckTurn(False)
    assert find_ack_turn(reader(), streams(), back) == AckTurn(True)
    outgoing = streams()
    outgoing.lanes[ORDINARY].returned_at, outgoing.lanes[ORDINARY].returned_to = NOW, 4
    apply(outgoing, statement(4, at=back, has_gap=True), now=back)
    assert outgoing.lanes[ORDINARY].sent == 4
    outgoing = probed(streams(), 4)
    apply(outgoing, statement(4, at=back, echo=NONCE), now=back)
    assert outgoing.lanes[ORDINARY].sent == 4
    outgoing.opened_at[Reader.RECIPIENT] = NOW
    assert apply(outgoing, statement(5, incarnation=STRANGE, at=back), now=back).opens is OpeningReason.AHEAD


def test_a_start_is_a_reason_to_probe() -> None:
    outgoing = streams(acked=9)
    assert find_ack_turn(reader(), outgoing, after(60)) is None
    outgoing.awaited_since = NOW
    assert find_ack_turn(reader(), outgoing, after(60)) == AckTurn(True)


def test_audit_alone_is_a_reason_to_probe() -> None:
    outgoing = streams(acked=9)
    outgoing.lanes[ORDINARY].audit_acked = 8
    assert find_ack_turn(reader(), outgoing, after(60)) == AckTurn(True)
    outgoing.is_audited = False
    assert find_ack_turn(reader(), outgoing, after(60)) is None


def test_an_acknowledgement_states_both_lanes_and_the_own_heads() -> None:
    incoming, outgoing = reader(owes=True, urgent=True, gap=True), streams()
    incoming.incarnation, incoming.echo, incoming.dropped_closed = EARLIER, NONCE, STRANGE
    incoming.lanes[URGENT].through, incoming.lanes[URGENT].chain = 3, CHAIN
    incoming.lanes[URGENT].is_stopped = True
    ack = build_ack("a.example", incoming, outgoing, turn=AckTurn(False), nonce=PRESENT, now=after(5))
    assert ack.lanes == (LaneAck(3, CHAIN, True, False), LaneAck(0, b"", False, True))
    assert (ack.incarnation, ack.closed, ack.echo, ack.nonce) == (EARLIER, STRANGE, NONCE, None)
    assert (ack.own_incarnation, ack.heads and ack.heads[ORDINARY].number) == (PRESENT, 9)
    assert (incoming.owes_ack, incoming.is_urgent, incoming.echo, incoming.dropped_closed) == (False, False, None, None)
    assert not incoming.lanes[ORDINARY].has_gap
    assert incoming.acked_at == after(5)
    assert outgoing.probe is None


def test_a_probe_remembers_what_each_reader_had_acknowledged() -> None:
    outgoing = streams()
    outgoing.lanes[ORDINARY].audit_acked = 3
    ack = build_ack("a.example", reader(), outgoing, turn=AckTurn(True), nonce=NONCE, now=NOW)
    assert ack.nonce == NONCE
    assert outgoing.probe == Probe(NONCE, NOW, (0, 9), (0, 4), (0, 3))
