"""The last step of a transaction, and incarnations: numbers, order, and messages that are carried over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

from shared.messaging.acks import Ack, LaneAck
from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, OutcomeList
from shared.messaging.incarnations import (
    Head,
    await_reply,
    carry_on,
    handle_ack,
    lift_limit,
    open_incarnation,
    read_back,
)
from shared.messaging.ports import MessageDraft, OperatorKind
from shared.messaging.resync import ResyncRequest
from shared.messaging.scope import Scope
from shared.messaging.sending import finish
from shared.messaging.streams import Lane, Outgoing, Reader, WireRole, begin_chain, extend_chain
from tests.shared.messaging.rooms import AUDIT, HERE, NOW, PEER, Room, digest_of, run, state
from tests.support.messaging_memory import chain_at

S1, S2, S3 = (UUID(int=number) for number in range(1, 4))
STRANGE = UUID(int=77)
URGENT, ORDINARY = Lane.URGENT, Lane.ORDINARY


def send(room: Room, *drafts: MessageDraft) -> None:
    scope = room.scope()
    for draft in drafts:
        scope.send(draft)
    run(finish(scope))


def reopen(room: Room, *, messages_max: int = 1000) -> Outgoing:
    """Open another incarnation and carry `count` messages over."""
    scope = room.scope()
    new = run(open_incarnation(scope, PEER, run(scope.tx.load_outgoing([PEER], lock=True))[PEER]))
    run(scope.save([new]))
    return room.outgoing()


def kept_rows(room: Room) -> set[Any]:
    return {(key[1], key[2]) for key, segments in room.db.tables["segments"].items() if segments}


def test_a_large_transaction_has_segments_of_at_most_500_messages_in_order() -> None:
    room = Room()
    subjects = [UUID(int=10_000 + number) for number in range(1201)]
    send(room, *map(state, subjects))
    segments = room.db.tables["segments"][PEER, room.outgoing().incarnation, ORDINARY]
    assert [len(each.messages) for each in segments] == [500, 500, 201]
    assert [subject for _, subject in room.bodies(lane=ORDINARY)] == subjects


def test_the_first_message_opens_an_incarnation_that_begins_with_a_resync_request() -> None:
    room = Room()
    send(room, state(S1), state(S2))
    outgoing = room.outgoing()
    (request,) = room.bodies()
    assert request == ResyncRequest(outgoing.resync_nonce, is_first=True)  # type: ignore[arg-type]
    assert [lane.last for lane in outgoing.lanes] == [1, 2]
    assert room.bodies(lane=ORDINARY) == [("state", S1), ("state", S2)]
    assert (outgoing.is_audited, outgoing.probe_pause_s) == (True, 60)


def test_a_stream_to_audit_has_one_reader() -> None:
    room = Room()
    send(room, state(S1, peer=AUDIT))
    assert not room.outgoing(AUDIT).is_audited


def test_numbers_are_dense_and_linked_over_transactions() -> None:
    room = Room()
    send(room, state(S1))
    send(room, state(S2), state(S3))
    lane = room.outgoing().lanes[ORDINARY]
    first, second = room.db.tables["segments"][PEER, room.outgoing().incarnation, ORDINARY]
    assert [(each.first, each.last) for each in (first, second)] == [(1, 1), (2, 3)]
    ids = [message.message_id for each in (first, second) for message in each.messages]
    chain = extend_chain(begin_chain(room.outgoing().incarnation), map(digest_of, ids))
    assert lane.chain == second.chain == chain_at(second, 3) == chain
    assert second.chain_before == first.chain == chain_at(first, 1) == chain_at(second, 1)
    assert chain_at(second, 2) == extend_chain(first.chain, [digest_of(ids[1])])
    assert [place.number for place in second.places().values()] == [2, 3]


def test_the_last_p0_of_a_lane_is_noted() -> None:
    room = Room()
    send(room, state(S1, is_p0=True), state(S2))
    send(room, MessageDraft(PEER, WireRole.WITHDRAWAL, "withdrawal", S3, "w"))
    assert [(lane.last, lane.p0_last) for lane in room.outgoing().lanes] == [(3, 2), (1, 0)]


def test_outcomes_are_one_message_before_the_others() -> None:
    room, scope = Room(), None
    scope = room.scope()
    named = NamedMessage(S3, WireRole.STATE, "state", S1)
    scope.send(MessageDraft(PEER, WireRole.WITHDRAWAL, "withdrawal", S1, "w"))
    outcomes = Outcome(named, OutcomeKind.WAITING), Outcome(named, OutcomeKind.MOVED)
    for outcome in outcomes:
        scope.say(PEER, outcome)
    run(finish(scope))
    assert room.bodies()[1:] == [OutcomeList(outcomes), "w"]
    assert (scope.drafts, scope.outcomes, scope.placed) == ({}, {}, [])
    assert run(finish(scope)) == []


def acknowledge(room: Room, through: int, *, reader: Reader = Reader.RECIPIENT, **changes: Any) -> Ack:
    outgoing = room.outgoing()
    segments = room.db.tables["segments"].get((PEER, outgoing.incarnation, ORDINARY), ())
    chain = next((chain_at(each, through) for each in segments if each.first <= through <= each.last), b"")
    lanes = LaneAck(0, b""), LaneAck(through, chain)
    name = PEER if reader is Reader.RECIPIENT else AUDIT
    return replace(Ack(name, outgoing.pair, outgoing.incarnation, lanes, room.now), **changes)


def hear(room: Room, ack: Ack, reader: Reader = Reader.RECIPIENT) -> None:
    scope = room.scope()
    scope.acks.append((PEER, reader, ack))
    run(finish(scope))


def test_a_new_incarnation_carries_messages_above_the_lower_acknowledgement() -> None:
    room = Room()
    for subject in (S1, S2, S3):
        send(room, state(subject))
    before = room.outgoing().incarnation
    for lane in room.outgoing().lanes:
        lane.sent = lane.last
    hear(room, acknowledge(room, 2))
    hear(room, acknowledge(room, 1, reader=Reader.AUDIT), Reader.AUDIT)
    after = reopen(room)
    assert after.incarnation != before
    assert (after.sources, [lane.last for lane in after.lanes]) == ([], [1, 2])
    assert room.bodies(lane=ORDINARY) == [("state", S2), ("state", S3)]
    assert [type(body) for body in room.bodies()] == [ResyncRequest]
    assert kept_rows(room) == {(after.incarnation, URGENT), (after.incarnation, ORDINARY)}
    *_, places = (call[1] for call in room.calls if call[0] == "note_places")
    assert [len(each) for each in places.values()] == [2]
    assert run(room.scope().tx.load_known(PEER)) == {before}


def test_states_of_erased_subjects_are_not_carried_and_withdrawals_are() -> None:
    room = Room(erased={S1})
    withdrawal = MessageDraft(PEER, WireRole.WITHDRAWAL, "withdrawal", S1, "w")
    answer = MessageDraft(PEER, WireRole.ANSWER, "answer", S1, "answer")
    send(room, state(S1), state(S2), withdrawal, answer)
    reopen(room)
    assert room.bodies(lane=ORDINARY) == [("state", S2)]
    assert room.bodies()[1:] == ["w"]


def test_new_messages_stay_behind_those_that_are_still_carried() -> None:
    room = Room()
    for subject in (S1, S2, S3):
        send(room, state(subject))
    scope = room.scope()
    old = run(scope.tx.load_outgoing([PEER], lock=True))[PEER]
    new = run(open_incarnation(scope, PEER, old))
    # As if the first transaction had carried nothing over.
    room = Room(db=room.db, composed=room.composed, last_id=5000)
    scope.tx.roll_back()  # type: ignore[attr-defined]
    scope = room.scope()
    with_few = carry_limited(scope, run(scope.tx.load_outgoing([PEER], lock=True))[PEER])
    assert [lane.last for lane in with_few.lanes] == [1, 1]
    send(room, state(S1, is_p0=True), MessageDraft(PEER, WireRole.STATE, "state", S2, "late"))
    assert room.bodies(lane=ORDINARY) == [("state", S1)]
    scope = room.scope()
    rest = run(scope.tx.load_outgoing([PEER], lock=True))[PEER]
    run(carry_on(scope, rest))
    run(scope.save([rest]))
    assert room.outgoing().sources == []
    assert room.bodies(lane=ORDINARY) == [("state", S1), ("state", S2), ("state", S3), "late"]
    assert (room.bodies()[1:], room.outgoing().lanes[URGENT].p0_last) == ([("state", S1)], 2)
    assert new.incarnation != rest.incarnation
    send(room, state(S3))
    assert room.outgoing().lanes[ORDINARY].last == 5


def carry_limited(scope: Scope, old: Outgoing) -> Outgoing:
    """Open an incarnation whose first transaction carries two messages over: the old resync request, and one more."""
    with (
        patch("shared.messaging.incarnations.CARRIED_MAX", 2),
        patch.object(carry_on, "__kwdefaults__", {"messages_max": 2}),
    ):
        new = run(open_incarnation(scope, PEER, old))
    run(scope.save([new]))
    return new


def test_an_incarnation_that_is_left_early_is_carried_before_the_earlier_one() -> None:
    room = Room()
    for subject in (S1, S2):
        send(room, state(subject))
    scope = room.scope()
    old = run(scope.tx.load_outgoing([PEER], lock=True))[PEER]
    carry_limited(scope, old)
    last = reopen(room)
    assert last.sources == []
    assert room.bodies(lane=ORDINARY) == [("state", S1), ("state", S2)]
    assert {incarnation for incarnation, _ in kept_rows(room)} == {last.incarnation}


def test_an_acknowledgement_of_a_strange_incarnation_is_acted_on_once() -> None:
    room = Room()
    send(room, state(S1))
    first = room.outgoing().incarnation
    hear(room, acknowledge(room, 0, incarnation=STRANGE))
    second = room.outgoing().incarnation
    assert second != first
    room.later(7200)
    hear(room, acknowledge(room, 0, incarnation=STRANGE))
    assert room.outgoing().incarnation == second
    assert [line.kind for line in room.db.tables["lines"]] == [OperatorKind.AHEAD]
    assert run(room.scope().tx.load_known(PEER)) == {first, STRANGE}
    assert room.restores == 0, "a peer's word begins no epoch and ends no sign-ins"


def test_an_acknowledgement_with_another_chain_opens_an_incarnation() -> None:
    room = Room()
    send(room, state(S1), state(S2))
    send(room, state(S3))
    before = room.outgoing().incarnation
    hear(room, acknowledge(room, 1))
    hear(room, acknowledge(room, 3))
    assert (room.outgoing().incarnation, room.outgoing().lanes[ORDINARY].acked) == (before, 3)
    assert room.restores == 0
    hear(room, acknowledge(room, 2, lanes=(LaneAck(0, b""), LaneAck(2, b"x" * 32))))
    assert (room.outgoing().incarnation != before, room.restores) == (True, 0)


def test_an_incarnation_that_a_restored_reader_needs_says_nothing_of_the_own_database() -> None:
    room = Room()
    send(room, state(S1), state(S2))
    lane = room.outgoing().lanes[ORDINARY]
    lane.kept_above, lane.kept_chain, lane.sent = 2, lane.chain, 2
    before = room.outgoing().incarnation
    hear(room, acknowledge(room, 0, lanes=(LaneAck(0, b""), LaneAck(0, b"", has_gap=True))))
    assert (room.outgoing().incarnation != before, room.restores) == (True, 0)


def test_of_many_acknowledgements_in_one_batch_the_last_ones_are_applied() -> None:
    room = Room()
    send(room, *(state(UUID(int=10 + number)) for number in range(4)))
    scope = room.scope()
    scope.acks += [(PEER, Reader.RECIPIENT, acknowledge(room, through)) for through in (4, 1, 2)]
    scope.acks += [(PEER, Reader.RECIPIENT, acknowledge(room, 2, incarnation=UUID(int=at))) for at in range(900, 1000)]
    scope.acks.append((PEER, Reader.RECIPIENT, acknowledge(room, 3)))
    with (
        patch("shared.messaging.sending.handle_ack", wraps=handle_ack) as handled,
        patch.object(scope.tx, "add_operator_lines", wraps=scope.tx.add_operator_lines) as listed,
    ):
        run(finish(scope))
    assert (handled.call_count, listed.call_count) == (3, 2)
    assert UUID(int=998) in run(room.scope().tx.load_known(PEER))


def test_an_acknowledgement_to_an_empty_database_opens_the_first_incarnation() -> None:
    room = Room()
    send(room, state(S1))
    ack = acknowledge(room, 1)
    empty = Room()
    scope = empty.scope()
    opened = run(handle_ack(scope, PEER, None, reader=Reader.RECIPIENT, ack=ack))
    assert (opened.incarnation != ack.incarnation, empty.restores) == (True, 0)
    assert run(scope.tx.load_known(PEER)) == {ack.incarnation}


def read(room: Room, *heads: Head) -> bool:
    """Read back these heads; return whether an incarnation was opened."""
    scope = room.scope()
    before = run(scope.tx.load_outgoing([PEER], lock=True)).get(PEER)
    after = run(read_back(scope, PEER, before, heads=heads))
    run(scope.save([after]))
    return before is None or after.incarnation != before.incarnation


def test_read_back_finds_what_the_database_does_not_know() -> None:
    room = Room()
    send(room, state(S1), state(S2))
    outgoing = room.outgoing()
    present, lane = outgoing.incarnation, outgoing.lanes[ORDINARY]
    (segment,) = room.db.tables["segments"][PEER, present, ORDINARY]
    digests = [message.digest for message in segment.messages]
    own = Head(present, ORDINARY, 2, chain=lane.chain), Head(present, ORDINARY, 2, digest=digests[1])
    assert not read(room, *own, Head(present, URGENT, 0), Head(STRANGE, URGENT, 0))
    for head in (
        Head(present, ORDINARY, 3, digest=digests[1]),
        Head(present, ORDINARY, 2, digest=digests[0]),
        Head(present, ORDINARY, 1, chain=lane.chain),
        Head(STRANGE, URGENT, 1),
    ):
        dump = room.db.snapshot()
        assert read(room, head), head
        # The next session knows this head.
        assert not read(room, Head(head.incarnation, *head[1:]))
        room.db.restore(dump)
    assert read(Room())


def test_a_number_that_is_not_kept_cannot_be_compared() -> None:
    room = Room()
    send(room, state(S1), state(S2))
    lane = room.outgoing().lanes[ORDINARY]
    lane.kept_above, lane.kept_chain = 2, lane.chain
    assert not read(room, Head(room.outgoing().incarnation, ORDINARY, 1, chain=b"x" * 32))
    assert not read(room, Head(room.outgoing().incarnation, ORDINARY, 2, digest=b"x" * 32))


def test_the_limit_is_lifted_when_the_hour_is_over() -> None:
    room = Room()
    send(room, state(S1))
    outgoing = room.outgoing()
    outgoing.opened_at = {Reader.RECIPIENT: NOW - timedelta(minutes=5), Reader.AUDIT: NOW}
    lift_limit(outgoing, NOW)
    assert outgoing.awaited_since is None
    outgoing.is_limited = True
    room.later(3599)
    lift_limit(outgoing, room.now)
    assert (outgoing.is_limited, outgoing.awaited_since) == (True, None)
    room.later(1)
    lift_limit(outgoing, room.now)
    assert (outgoing.is_limited, outgoing.awaited_since) == (False, room.now)


def test_a_start_forgets_the_probe_before_it() -> None:
    room = Room()
    send(room, state(S1))
    outgoing = room.outgoing()
    outgoing.probe_pause_s = 3600
    await_reply(outgoing, NOW)
    assert (outgoing.awaited_since, outgoing.probe, outgoing.probe_pause_s) == (NOW, None, 60)
    assert outgoing.pair == (HERE, PEER)
