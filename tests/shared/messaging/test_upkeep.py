"""Upkeep and relay: purge, acknowledgements, new attempts, appends and copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from shared.messaging import relay
from shared.messaging.exceptions import (
    Coordinates,
    NamedMessage,
    OpenException,
    Outcome,
    OutcomeKind,
    OutcomeList,
    TakenMessage,
)
from shared.messaging.incarnations import open_incarnation
from shared.messaging.ports import AppendPosition, PeerResync, PlacedRecord
from shared.messaging.relay import AppendWatch
from shared.messaging.resync import Holdings, ResyncRequest
from shared.messaging.sending import finish
from shared.messaging.streams import Lane, Pair, StreamPlace, WireRole
from shared.messaging.upkeep import check_pair, discard_dead, erase_exceptions, give_ack, retry_exceptions, tend_pair
from tests.shared.messaging.rooms import AUDIT, HERE, NOW, PEER, Room, run, state
from tests.support.messaging_memory import MemoryTx

S1, S2, S3, TOPIC, OTHER = (UUID(int=number) for number in range(1, 6))
URGENT, ORDINARY = Lane.URGENT, Lane.ORDINARY
WAITING, DEAD, REFUSED = OutcomeKind.WAITING, OutcomeKind.DEAD, OutcomeKind.REFUSED


def room_with(*batches: int) -> Room:
    """Return an instance that sent segments of these sizes, all of them appended."""
    room = Room()
    for size in batches:
        scope = room.scope()
        for _ in range(size):
            scope.send(state(S1))
        run(finish(scope))
    for lane in room.outgoing().lanes:
        lane.sent = lane.last
    return room


@pytest.mark.parametrize(
    ("acked", "audit_acked", "kept_above"), [(0, 5, 0), (1, 5, 0), (2, 2, 2), (3, 2, 2), (5, 4, 2), (5, 5, 5)]
)
def test_a_segment_is_deleted_once_both_readers_acknowledged_all_of_it(
    acked: int, audit_acked: int, kept_above: int
) -> None:
    room = room_with(2, 3)
    lane = room.outgoing().lanes[ORDINARY]
    lane.acked, lane.audit_acked = acked, audit_acked
    segments = room.db.tables["segments"][PEER, room.outgoing().incarnation, ORDINARY]
    run(tend_pair(room.scope(), PEER))
    after = room.outgoing().lanes[ORDINARY]
    kept = room.db.tables["segments"].get((PEER, room.outgoing().incarnation, ORDINARY), ())
    assert (after.kept_above, sum(len(each.messages) for each in kept)) == (kept_above, 5 - kept_above)
    assert after.kept_chain == {0: segments[0].chain_before, 2: segments[0].chain, 5: segments[1].chain}[kept_above]
    assert after.sent == 5


def test_the_relay_does_not_stay_below_the_kept_messages() -> None:
    room = room_with(2, 3)
    lane = room.outgoing().lanes[ORDINARY]
    lane.acked, lane.audit_acked, lane.sent = 2, 2, 1
    run(tend_pair(room.scope(), PEER))
    assert room.outgoing().lanes[ORDINARY].sent == 2


def test_a_request_that_waited_for_the_hour_is_answered() -> None:
    room = room_with(1)
    run(room.scope().tx.save_resync(PeerResync(PEER, OTHER, answered_at=NOW)))
    room.later(3599)
    run(tend_pair(room.scope(), PEER))
    assert not [body for body in room.bodies() if isinstance(body, Holdings)]
    room.later(1)
    run(tend_pair(room.scope(), PEER))
    assert [body.nonce for body in room.bodies() if isinstance(body, Holdings)] == [OTHER]


def test_an_acknowledgement_is_given_once() -> None:
    room = room_with(1)
    pair = Pair(PEER, HERE)
    incoming = run(room.scope().tx.load_incoming(pair, lock=True))
    incoming.owes_ack = True
    run(room.scope().tx.save_incoming(incoming))
    ack = run(give_ack(room.scope(), pair))
    assert ack is not None
    assert (ack.reader, ack.pair, ack.own_incarnation) == (HERE, pair, room.outgoing().incarnation)
    # The first one asks as well: a message is unacknowledged and no probe was sent.
    assert ack.nonce == room.outgoing().probe.nonce  # type: ignore[union-attr]
    room.later(59)
    assert run(give_ack(room.scope(), pair)) is None


@pytest.mark.parametrize(("seconds", "asks"), [(59, False), (60, True)])
def test_own_streams_are_locked_only_for_a_probe(seconds: int, asks: bool) -> None:
    room, pair = room_with(1), Pair(PEER, HERE)
    run(give_ack(room.scope(), pair))
    room.outgoing().probe_pause_s = 60
    room.later(seconds)
    tx = MemoryTx(room.db)
    ack = run(give_ack(replace(room.scope(), tx=tx), pair, is_wanted=True))
    assert ack is not None
    assert (ack.nonce is not None, PEER in tx.locked) == (asks, asks)


def test_audit_acknowledges_streams_of_others_without_asking() -> None:
    room, pair = room_with(1), Pair(PEER, "c.example")
    incoming = run(room.scope().tx.load_incoming(pair, lock=True))
    incoming.owes_ack, incoming.echo = True, OTHER
    run(room.scope().tx.save_incoming(incoming))
    ack = run(give_ack(room.scope(), pair))
    assert ack is not None
    assert (ack.nonce, ack.echo, ack.own_incarnation) == (None, OTHER, None)


def test_the_nightly_check_asks_for_holdings_and_for_an_answer_to_a_probe() -> None:
    room = room_with(1)
    before = room.outgoing().resync_nonce
    run(check_pair(room.scope(), PEER))
    outgoing = room.outgoing()
    assert (outgoing.awaited_since, outgoing.resync_nonce != before) == (NOW, True)
    request = room.bodies()[-1]
    assert (request.nonce, request.is_first) == (outgoing.resync_nonce, True)


def keep(room: Room, number: int, kind: OutcomeKind, subject: UUID = S1) -> OpenException:
    named = NamedMessage(UUID(int=number), WireRole.STATE, "state", subject)
    taken = TakenMessage(PEER, StreamPlace(OTHER, ORDINARY, number), b"", named, b"r", Coordinates(None, 0, NOW))
    row = OpenException(taken, Outcome(named, kind, "document"), NOW)
    run(room.scope().tx.add_exceptions([row]))
    return row


def told(room: Room) -> list[tuple[int, OutcomeKind]]:
    lists = [body for body in room.bodies() if isinstance(body, OutcomeList)]
    return [(each.named.message_id.int, each.kind) for body in lists for each in body.outcomes]


def test_a_new_attempt_tells_what_changed_and_keeps_what_still_waits() -> None:
    room = room_with(1)
    after = {7: OutcomeKind.APPLIED, 8: WAITING, 9: DEAD}
    room.outcome_of = lambda named: after[named.message_id.int]
    rows = [keep(room, number, WAITING) for number in after]
    run(retry_exceptions(room.scope(), rows))
    assert told(room) == [(7, OutcomeKind.APPLIED), (9, DEAD)]
    left = {row.taken.named.message_id.int: row.outcome for row in run(room.scope().tx.list_exceptions())}
    assert {number: outcome.kind for number, outcome in left.items()} == {8: WAITING, 9: DEAD}
    # The message that still waits now has another unmet dependency.
    assert left[8].code is None


def test_a_person_ends_dead_letters_alone() -> None:
    room = room_with(1)
    for number, kind in ((7, DEAD), (8, DEAD), (9, WAITING)):
        keep(room, number, kind)
    run(discard_dead(room.scope(), PEER, [UUID(int=7), UUID(int=9)]))
    assert told(room) == [(7, REFUSED)]
    assert len(run(room.scope().tx.list_exceptions())) == 2


def test_erasure_ends_the_exceptions_of_its_subject() -> None:
    room = room_with(1)
    keep(room, 7, DEAD)
    keep(room, 8, WAITING, S2)
    scope = room.scope()
    run(erase_exceptions(scope, S1))
    run(finish(scope))
    assert told(room) == [(7, REFUSED)]
    assert [row.taken.named.subject for row in run(room.scope().tx.list_exceptions())] == [S2]


def test_all_exceptions_of_an_erased_subject_and_all_dead_letters_end() -> None:
    room = room_with(1)
    for number in range(1, 1102):
        keep(room, number, WAITING)
        keep(room, 2000 + number, DEAD, S2)
    scope = room.scope()
    run(erase_exceptions(scope, S1))
    run(finish(scope))
    assert len(run(room.scope().tx.list_exceptions(rows_max=9999))) == 1101
    run(discard_dead(room.scope(), PEER, [UUID(int=2000 + number) for number in range(1, 1102)]))
    assert run(room.scope().tx.list_exceptions()) == []


class Log:
    """Partitions that record appends; `end` is the offset of the next record."""

    def __init__(self) -> None:
        self.topic_id, self.end = TOPIC, 5
        self.appended: list[tuple[Pair, Lane, list[int]]] = []

    async def append(self, topic: Pair, lane: Lane, records: Sequence[PlacedRecord]) -> AppendPosition:
        self.appended.append((topic, lane, [each.place.number for each in records]))
        at = AppendPosition(self.topic_id, self.end, self.end + len(records) + 1)
        self.end = at.end
        return at


def relay_once(room: Room, log: Log, watch: AppendWatch) -> list[int] | None:
    batch = run(relay.load_next(room.scope().tx, PEER, ORDINARY))
    if batch is None:
        return None
    has_lost = run(relay.append(log, watch, batch))
    run(relay.note_appended(room.scope().tx, batch, has_lost=has_lost, now=room.now))
    return log.appended[-1][2]


def test_the_relay_appends_from_behind_its_pointer() -> None:
    room, log, watch = room_with(2, 3), Log(), AppendWatch()
    assert relay_once(room, log, watch) is None
    room.outgoing().lanes[ORDINARY].sent = 1
    room.later(5)
    assert relay_once(room, log, watch) == [2, 3, 4, 5]
    lane = room.outgoing().lanes[ORDINARY]
    assert (lane.sent, lane.moved_at) == (5, room.now)
    assert log.appended == [((HERE, PEER), ORDINARY, [2, 3, 4, 5])]
    assert relay_once(Room(), log, watch) is None


def test_a_partition_that_lost_records_makes_the_relay_go_back() -> None:
    room, log, watch = room_with(2, 3), Log(), AppendWatch()
    lane = room.outgoing().lanes[ORDINARY]
    lane.acked, lane.sent = 1, 3
    assert relay_once(room, log, watch) == [4, 5]
    assert room.outgoing().lanes[ORDINARY].sent == 5
    room.outgoing().lanes[ORDINARY].sent = 4
    log.end -= 1
    assert relay_once(room, log, watch) == [5]
    assert room.outgoing().lanes[ORDINARY].sent == 1
    assert relay_once(room, log, watch) == [2, 3, 4, 5]
    log.end += 7  # transaction markers
    room.outgoing().lanes[ORDINARY].sent = 4
    relay_once(room, log, watch)
    assert room.outgoing().lanes[ORDINARY].sent == 5
    log.topic_id = OTHER
    room.outgoing().lanes[ORDINARY].sent = 4
    relay_once(room, log, watch)
    assert room.outgoing().lanes[ORDINARY].sent == 1


def test_an_acknowledgement_may_show_the_lost_tail() -> None:
    room = room_with(2, 3)
    lane = room.outgoing().lanes[ORDINARY]
    lane.acked, lane.kept_above = 1, 2
    run(relay.note_lost_end(room.scope().tx, PEER, ORDINARY))
    # A deleted message cannot be appended again. The next probe shows that it is missing.
    assert room.outgoing().lanes[ORDINARY].sent == 2
    run(relay.note_lost_end(Room().scope().tx, PEER, ORDINARY))


@pytest.mark.parametrize(("is_back", "is_other"), [(True, False), (False, True)])
def test_an_append_that_was_overtaken_does_not_move_the_pointer(is_back: bool, is_other: bool) -> None:
    room = room_with(2, 3)
    room.outgoing().lanes[ORDINARY].sent = 2
    batch = run(relay.load_next(room.scope().tx, PEER, ORDINARY))
    assert batch is not None
    if is_back:
        room.outgoing().lanes[ORDINARY].sent = 1
    if is_other:
        room.outgoing().incarnation = OTHER
    run(relay.note_appended(room.scope().tx, batch, has_lost=False, now=NOW))
    assert room.outgoing().lanes[ORDINARY].sent == (1 if is_back else 2)


def test_audit_gets_copies_on_its_own_topic_up_to_the_pointer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "APPENDED_MAX", 2)
    room = room_with(2, 3)
    assert run(relay.load_copies(room.scope().tx, PEER, ORDINARY, audit=AUDIT)) is None
    lane = room.outgoing().lanes[ORDINARY]
    lane.copy_above, lane.sent = 1, 4
    numbers = []
    while (batch := run(relay.load_copies(room.scope().tx, PEER, ORDINARY, audit=AUDIT))) is not None:
        assert (batch.topic, batch.lane) == ((HERE, AUDIT), ORDINARY)
        assert {each.segment.pair for each in batch.records} == {(HERE, PEER)}
        numbers.append([each.place.number for each in batch.records])
        run(relay.note_copied(room.scope().tx, PEER, ORDINARY, batch=batch))
    assert numbers == [[2], [3, 4]]
    assert (room.outgoing().lanes[ORDINARY].sent, room.outgoing().lanes[ORDINARY].copy_above) == (4, None)


def test_a_request_is_sent_while_messages_of_a_former_incarnation_are_carried() -> None:
    room = room_with(600, 600, 600)
    scope = room.scope()
    old = run(scope.tx.load_outgoing([PEER], lock=True))[PEER]
    new = run(open_incarnation(scope, PEER, old))
    run(scope.save([new]))
    assert room.outgoing().sources
    run(check_pair(room.scope(), PEER))
    while room.outgoing().sources:
        run(tend_pair(room.scope(), PEER))
    nonces = [body.nonce for body in room.bodies() if isinstance(body, ResyncRequest)]
    assert room.outgoing().resync_nonce == nonces[-1]
