"""The gate measures the clock, and knows which messages wait for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from shared.core.clock import rfc3339
from shared.core.contracts.registry import NOTICE_ACKNOWLEDGED, READS_ANNOUNCED
from shared.core.ids import uuid7
from shared.delivery.gate import AHEAD_WAITS, CLOCK_TOLERANCE, SendGate
from shared.messaging.segments import OutgoingMessage, RecordBytes, Segment
from shared.messaging.streams import Lane, Pair, WireRole, begin_chain
from tests.shared.platform.builders import NOW

SECOND = timedelta(seconds=1)


def segment(role: WireRole, *, type_text: str = NOTICE_ACKNOWLEDGED.type, ahead: timedelta = timedelta()) -> Segment:
    """Return a segment of one message that states a time."""
    headers = (("ce_type", type_text.encode()), ("ce_time", rfc3339(NOW + ahead).encode()))
    message = OutgoingMessage(uuid7(), role, "kind", uuid7(), bytes(32), RecordBytes(b"", headers, b""))
    incarnation = uuid7()
    chain = begin_chain(incarnation)
    return Segment(Pair("a", "b"), incarnation, Lane.ORDINARY, 1, chain, (message,), b"", NOW.date())


def test_the_time_that_an_append_took_is_not_taken_for_a_wrong_clock() -> None:
    gate = SendGate()
    long = CLOCK_TOLERANCE * 5
    for began, ended, broker, off in [
        (NOW, NOW + long, NOW, False),
        (NOW, NOW + long, NOW + long, False),
        (NOW, NOW, NOW + CLOCK_TOLERANCE, False),
        (NOW, NOW, NOW + CLOCK_TOLERANCE + SECOND, True),
        (NOW, NOW, None, True),
        (NOW, NOW, NOW - CLOCK_TOLERANCE - SECOND, True),
        (NOW, NOW, NOW, False),
    ]:
        gate.measure(began, ended, broker)
        assert gate.reason() == ("clock_off" if off else "")


def test_a_partys_message_waits_while_the_clock_is_ahead_and_until_its_time_has_come() -> None:
    gate = SendGate()
    assert gate.reason_of(segment(WireRole.ANSWER), NOW) == ""
    gate.measure(NOW, NOW, NOW - 2 * CLOCK_TOLERANCE)
    assert gate.reason_of(segment(WireRole.ANSWER), NOW) == "clock_off"
    gate.measure(NOW, NOW, NOW)
    dated = segment(WireRole.ANSWER, ahead=timedelta(seconds=600))
    assert gate.reason_of(dated, NOW) == "clock_off"
    assert gate.reason_of(dated, NOW + timedelta(seconds=600) - CLOCK_TOLERANCE) == ""
    # A message dated very far ahead is sent, and then refused. Later messages need not wait for it.
    assert gate.reason_of(segment(WireRole.ANSWER, ahead=AHEAD_WAITS * 2), NOW) == ""


def test_a_clock_that_is_behind_holds_up_states_alone() -> None:
    gate = SendGate()
    gate.measure(NOW, NOW, NOW + 2 * CLOCK_TOLERANCE)
    assert gate.reason_of(segment(WireRole.STATE), NOW) == "clock_off"
    assert gate.reason_of(segment(WireRole.ANSWER), NOW) == ""


def test_messages_of_instances_never_wait() -> None:
    gate = SendGate(lambda: "beat_late")
    gate.measure(NOW, NOW, NOW - 2 * CLOCK_TOLERANCE)
    for role, type_text in [(WireRole.OUTCOMES, "causeway.outcomes.v1"), (WireRole.FACT, READS_ANNOUNCED.type)]:
        assert gate.reason_of(segment(role, type_text=type_text, ahead=timedelta(seconds=600)), NOW) == ""


def test_one_state_makes_its_whole_segment_wait() -> None:
    gate = SendGate(lambda: "beat_late")
    both = segment(WireRole.ANSWER), segment(WireRole.STATE)
    mixed = replace(both[0], messages=(*both[0].messages, *both[1].messages))
    assert [gate.reason_of(each, NOW) for each in (*both, mixed)] == ["", "beat_late", "beat_late"]


def test_the_urgent_lane_waits_for_the_clock_and_not_for_documents() -> None:
    gate = SendGate(lambda: "beat_late")
    urgent = replace(segment(WireRole.STATE), lane=Lane.URGENT)
    assert gate.reason_of(segment(WireRole.STATE), NOW) == "beat_late"
    assert gate.reason_of(urgent, NOW) == ""
    gate.measure(NOW, NOW, NOW + 2 * CLOCK_TOLERANCE)
    assert gate.reason_of(urgent, NOW) == "clock_off"
