"""Reception: one batch in one transaction, its exceptions and outcomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from shared.messaging.acks import Ack, LaneAck
from shared.messaging.contract import encode_control
from shared.messaging.exceptions import NamedMessage, OutcomeKind, OutcomeList
from shared.messaging.ports import OperatorKind, OperatorLine
from shared.messaging.reception import (
    ArrivedMessage,
    ArrivedRecord,
    observe_batch,
    observe_copies,
    plan_batch,
    receive_batch,
)
from shared.messaging.streams import Incoming, Lane, LaneEnd, Pair, StreamPlace, WireRole, extend_chain
from shared.messaging.upkeep import retry_exceptions
from tests.shared.messaging.rooms import AUDIT, HERE, NOW, PEER, Room, digest_of, run

INC, TOPIC, S1, S2, A1, NONCE = (UUID(int=number) for number in range(1, 7))
FROM_PEER = Pair(PEER, HERE)
URGENT, ORDINARY = Lane.URGENT, Lane.ORDINARY
WAITING = OutcomeKind.WAITING


def named(number: int, role: WireRole = WireRole.STATE, subject: UUID | None = S1) -> NamedMessage:
    return NamedMessage(UUID(int=100 + number), role, role.value, subject, 1, b"c" * 32)


def record(
    number: int, content: NamedMessage | Ack | None, *, lane: Lane = URGENT, body: Any = None, p0: bool = False
) -> Any:
    """Return the record at offset 10 times its number."""
    arrived: Any = content
    if isinstance(content, NamedMessage):
        digest = digest_of(content.message_id)
        arrived = ArrivedMessage(StreamPlace(INC, lane, number), digest, content, b"r%d" % number, p0, body)
    return ArrivedRecord(TOPIC, 10 * number, NOW, arrived)


def control(number: int, role: WireRole, body: Any) -> Any:
    return record(number, named(number, role, None), body=body)


def receive(room: Room, *records: Any, lane: Lane = URGENT, exceptions_max: int = 9) -> int:
    work = receive_batch(room.scope(), FROM_PEER, lane, records=records, exceptions_max=exceptions_max)
    return run(work)


def incoming(room: Room) -> Incoming:
    return room.db.tables["incoming"][FROM_PEER]


def told(room: Room) -> list[tuple[int, OutcomeKind, str | None]]:
    """Return the outcomes in sent messages: the number of the judged message, kind and code."""
    lists = (
        [body for body in room.bodies() if isinstance(body, OutcomeList)] if PEER in room.db.tables["outgoing"] else []
    )
    return [(each.named.message_id.int - 100, each.kind, each.code) for body in lists for each in body.outcomes]


def test_a_batch_moves_the_position_and_applies_each_message_once() -> None:
    room = Room()
    assert receive(room, record(1, named(1)), record(2, None), record(2, named(2)), record(2, named(2))) == 4
    lane = incoming(room).lanes[URGENT]
    assert (lane.through, lane.topic_id, lane.next_offset) == (2, TOPIC, 21)
    assert [each.int for each in room.taken] == [101, 102]
    assert (incoming(room).owes_ack, incoming(room).is_urgent, told(room)) == (True, False, [])
    assert receive(room, record(2, named(2)), record(3, named(3), p0=True)) == 2
    assert [each.int for each in room.taken] == [101, 102, 103]
    assert incoming(room).is_urgent


def test_a_peer_that_opens_very_many_incarnations_is_on_the_operators_list_once() -> None:
    room = Room()
    for number in range(12):
        content = named(number)
        place = StreamPlace(UUID(int=900 + number), URGENT, 1)
        arrived = ArrivedMessage(place, digest_of(content.message_id), content, b"r")
        receive(room, ArrivedRecord(TOPIC, number, NOW, arrived))
    assert (incoming(room).incarnation, len(room.taken)) == (UUID(int=909), 10)
    assert run(room.scope().tx.list_operator_lines()) == [OperatorLine(OperatorKind.UNKNOWN, PEER)]


def test_a_record_of_another_lane_is_not_taken() -> None:
    room = Room()
    receive(room, record(1, named(1), lane=ORDINARY))
    assert (room.taken, incoming(room).lanes[URGENT].next_offset) == ([], 11)


def test_all_but_applied_is_told_in_one_message_and_exceptions_are_kept() -> None:
    room = Room(
        outcome_of=lambda each: {101: WAITING, 102: OutcomeKind.MOVED}.get(each.message_id.int, OutcomeKind.APPLIED)
    )
    receive(room, record(1, named(1)), record(2, named(2)), record(3, named(3)))
    assert told(room) == [(1, WAITING, None), (2, OutcomeKind.MOVED, None)]
    (row,) = run(room.scope().tx.list_exceptions())
    assert (row.taken.record, row.taken.place, row.since) == (b"r1", StreamPlace(INC, URGENT, 1), NOW)
    assert row.taken.where.offset == 10
    assert len(room.bodies()) == 2


def test_a_withdrawal_ends_the_exceptions_of_its_subject() -> None:
    withdrawal = named(4, WireRole.WITHDRAWAL)
    room = Room(outcome_of=lambda each: OutcomeKind.APPLIED if each == withdrawal else WAITING)
    receive(room, record(1, named(1)), record(2, named(2, subject=S2)))
    receive(room, record(3, named(3)), record(4, withdrawal))
    assert told(room)[2:] == [(3, OutcomeKind.REFUSED, "withdrawn"), (1, OutcomeKind.REFUSED, "withdrawn")]
    (row,) = run(room.scope().tx.list_exceptions())
    assert row.taken.named.subject == S2


def test_a_message_id_of_two_writers_is_two_exceptions() -> None:
    room = Room(outcome_of=lambda _: WAITING)
    for writer in (PEER, "c.example"):
        records = [record(1, named(1))]
        run(receive_batch(room.scope(), Pair(writer, HERE), URGENT, records=records))
    rows = run(room.scope().tx.list_exceptions())
    assert sorted(row.taken.writer for row in rows) == [PEER, "c.example"]


def test_an_exception_ends_when_its_message_is_carried_again_and_settled() -> None:
    room = Room(outcome_of=lambda _: OutcomeKind.DEAD)
    receive(room, record(1, named(1)))
    room.outcome_of = lambda _: OutcomeKind.APPLIED
    receive(room, record(2, named(1)), record(3, named(2)))
    assert told(room) == [(1, OutcomeKind.DEAD, None), (1, OutcomeKind.APPLIED, None)]
    assert run(room.scope().tx.list_exceptions()) == []


def test_a_withdrawal_ends_more_exceptions_than_a_page_has() -> None:
    withdrawal = named(5000, WireRole.WITHDRAWAL)
    room = Room(outcome_of=lambda each: OutcomeKind.APPLIED if each == withdrawal else WAITING)
    answer = named(1, WireRole.ANSWER)
    states = [record(number, named(number)) for number in range(2, 1103)]
    receive(room, record(1, answer), *states, exceptions_max=9999)
    receive(room, record(1103, withdrawal), exceptions_max=9999)
    assert [row.taken.named for row in run(room.scope().tx.list_exceptions())] == [answer]


@pytest.mark.parametrize(
    "changes", [{"revision": 0}, {"revision": 2**53}, {"content": b"c"}, {"acts": (A1,) * 1001}, {"kind": "No code"}]
)
def test_a_message_whose_name_breaks_a_bound_is_a_dead_letter(changes: dict[str, Any]) -> None:
    room = Room()
    receive(room, record(1, replace(named(1), **changes)), record(2, named(2)))
    assert [each.int for each in room.taken] == [102]
    assert told(room) == [(1, OutcomeKind.DEAD, "malformed")]
    (row,) = run(room.scope().tx.list_exceptions())
    assert (row.taken.named, row.taken.record) == (NamedMessage(UUID(int=101), WireRole.STATE, "malformed", S1), b"r1")
    assert encode_control(WireRole.OUTCOMES, room.bodies()[-1])
    run(retry_exceptions(room.scope(), [row]))
    assert run(room.scope().tx.list_exceptions()) == [row]


def test_a_withdrawal_counts_whatever_its_name_carries() -> None:
    room = Room()
    receive(room, record(1, replace(named(1, WireRole.WITHDRAWAL), revision=2**60)))
    assert ([each.int for each in room.taken], told(room)) == ([101], [])


def test_reading_stops_at_the_bound_and_an_acknowledgement_is_owed_when_it_goes_on() -> None:
    room = Room(outcome_of=lambda _: WAITING)
    records = [record(number, named(number)) for number in (1, 2, 3)]
    assert receive(room, *records, exceptions_max=2) == 2
    assert not incoming(room).lanes[URGENT].is_stopped
    assert receive(room, records[2], exceptions_max=2) == 0
    stopped = incoming(room)
    assert (stopped.lanes[URGENT].is_stopped, stopped.lanes[URGENT].next_offset) == (True, 21)
    room.db.tables["incoming"][FROM_PEER].owes_ack = False
    assert receive(room, exceptions_max=3) == 0
    assert (incoming(room).lanes[URGENT].is_stopped, incoming(room).owes_ack) == (False, True)
    assert receive(room, records[2], exceptions_max=3) == 1


def test_reading_stops_at_the_bound_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.messaging.reception.EXCEPTION_BYTES_MAX", 4)
    room = Room(outcome_of=lambda _: WAITING)
    assert receive(room, record(1, named(1)), record(2, named(2))) == 2
    assert receive(room, record(3, named(3))) == 0
    assert incoming(room).lanes[URGENT].is_stopped
    assert receive(room, record(1, named(4), lane=ORDINARY), lane=ORDINARY) == 1
    room.outcome_of = lambda _: OutcomeKind.APPLIED
    rows = run(room.scope().tx.list_exceptions())
    run(retry_exceptions(room.scope(), rows[:1]))
    assert receive(room, record(3, named(3))) == 1


def test_a_full_stream_still_takes_withdrawals_and_messages_of_the_protocol() -> None:
    full = Incoming(FROM_PEER)
    records = [
        record(1, named(1, WireRole.WITHDRAWAL)),
        control(2, WireRole.OUTCOMES, OutcomeList(())),
        record(3, named(3)),
        record(4, named(4, WireRole.WITHDRAWAL)),
    ]
    plan = plan_batch(full, URGENT, records, room=0)
    assert ([each.named.message_id.int for each, _ in plan.taken], plan.read_count) == ([101, 102], 2)


def test_unreadable_messages_of_the_protocol_keep_the_bound_of_exceptions() -> None:
    room = Room(outcome_of=lambda _: OutcomeKind.DEAD)
    records = [record(number, named(number, WireRole.RESYNC, None)) for number in range(1, 6)]
    assert receive(room, *records, exceptions_max=3) == 3
    assert len(run(room.scope().tx.list_exceptions())) == 3


def statement(reader: str, pair: Pair, nonce: UUID | None = None) -> Ack:
    return Ack(reader, pair, None, (LaneAck(0, b""), LaneAck(0, b"")), NOW, nonce=nonce)


@pytest.mark.parametrize(
    ("ack", "writer", "readers"),
    [
        (statement(PEER, Pair(HERE, PEER), NONCE), PEER, [(PEER, "recipient")]),
        (statement(AUDIT, Pair(HERE, PEER)), AUDIT, [(PEER, "audit")]),
        (statement(AUDIT, Pair(HERE, AUDIT)), AUDIT, [(AUDIT, "recipient")]),
        (statement(AUDIT, Pair(HERE, PEER)), PEER, []),
        (statement(PEER, Pair(HERE, "c.example")), PEER, []),
        (statement(PEER, Pair("c.example", PEER)), PEER, []),
    ],
)
def test_only_a_reader_of_the_own_streams_states_positions(
    ack: Ack, writer: str, readers: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, str]] = []

    async def note(scope: Any) -> list[Any]:
        heard.extend((peer, reader.value) for peer, reader, _ in scope.acks)
        return []

    monkeypatch.setattr("shared.messaging.reception.finish", note)
    room = Room()
    pair = Pair(writer, HERE)
    run(receive_batch(room.scope(), pair, URGENT, records=[record(1, ack)]))
    assert heard == readers
    read = room.db.tables["incoming"][pair]
    assert (read.owes_ack, read.echo) == ((True, NONCE) if ack.nonce else (False, None))


def test_audit_opens_no_streams_to_a_peer_that_was_never_written_to() -> None:
    room = Room()
    records = [record(1, statement(AUDIT, Pair(HERE, peer))) for peer in (PEER, "c.example")]
    run(receive_batch(room.scope(), Pair(AUDIT, HERE), URGENT, records=records))
    assert not room.db.tables["outgoing"]


def test_audit_takes_streams_and_copies_of_others_by_the_same_rules() -> None:
    read = Incoming(Pair(PEER, "c.example"))
    taken = observe_batch(read, URGENT, [record(1, named(1)), record(3, named(3))])
    asking = statement(PEER, Pair("c.example", PEER), NONCE)
    assert observe_batch(read, URGENT, [record(4, asking)]) == []
    assert (read.echo, read.lanes[URGENT].through, read.lanes[URGENT].has_gap) == (NONCE, 1, True)
    taken += observe_copies(read, [record(2, named(2)), record(2, named(2)), record(3, named(3))])
    assert (read.lanes[URGENT].through, read.lanes[URGENT].next_offset) == (3, 41)
    assert [each.named.message_id.int for each in taken] == [101, 102, 103]


def test_audit_takes_messages_of_a_closed_incarnation_that_follow_the_last_one() -> None:
    """Their recipient took them before audit entered the next incarnation."""
    read = Incoming(Pair(PEER, "c.example"))
    assert len(observe_batch(read, ORDINARY, [record(1, named(1), lane=ORDINARY)])) == 0
    observe_batch(read, URGENT, [record(1, named(1))])
    observe_batch(read, ORDINARY, [record(1, named(2), lane=ORDINARY)])
    chain = read.lanes[ORDINARY].chain
    read.enter(UUID(int=77), NOW)
    records = [record(number, named(number + 1), lane=ORDINARY) for number in (1, 2, 3, 5)]
    taken = observe_batch(read, ORDINARY, records)
    assert [each.place.number for each in taken] == [2, 3]
    digests = [digest_of(each.named.message_id) for each in taken]
    assert taken[-1].chain == extend_chain(chain, digests)
    assert read.closed[INC][ORDINARY] == LaneEnd(3, taken[-1].chain)
    assert read.lanes[ORDINARY].through == 0


def test_a_withdrawal_that_is_not_applied_is_refused_where_no_room_is_left() -> None:
    room = Room(outcome_of=lambda _: WAITING)
    records = [record(number, named(number, WireRole.WITHDRAWAL, UUID(int=number))) for number in range(1, 6)]
    assert receive(room, *records, exceptions_max=2) == 5
    assert [(number, kind) for number, kind, _ in told(room)] == [
        *((number, WAITING) for number in (1, 2)),
        *((number, OutcomeKind.REFUSED) for number in (3, 4, 5)),
    ]
    assert len(run(room.scope().tx.list_exceptions())) == 2
