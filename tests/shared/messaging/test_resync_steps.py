"""The steps of a resync procedure, and the actions that a peer can cause here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest

from shared.core.canonical import canonical_json
from shared.core.errors import Refused, Unavailable
from shared.messaging import resync_steps
from shared.messaging.contract import encode_control
from shared.messaging.exceptions import MALFORMED, NamedMessage, Outcome, OutcomeKind, OutcomeList, RefusalCode
from shared.messaging.ports import (
    DayDigest,
    OpenOutcome,
    OperatorKind,
    OperatorLine,
    OwnTrack,
    PeerResync,
    Side,
    SubjectHolding,
)
from shared.messaging.reception import receive_batch
from shared.messaging.resync import PAGE_BYTES, Holdings, HoldingsPart, ResyncRequest, SideDay, note_request, split_rows
from shared.messaging.resync_steps import answer_request, ask
from shared.messaging.sending import finish
from shared.messaging.streams import Incoming, LaneEnd, Pair, WireRole
from tests.shared.messaging.rooms import DAY, HERE, NOW, PEER, Room, run
from tests.shared.messaging.test_reception import (
    A1,
    FROM_PEER,
    NONCE,
    S1,
    S2,
    URGENT,
    WAITING,
    control,
    incoming,
    named,
    receive,
    record,
    statement,
    told,
)


def test_a_request_is_answered_in_the_same_transaction_and_asked_in_turn() -> None:
    room = Room(held={(Side.HELD, S1): SubjectHolding(S1, 1, None, (A1,))}, outcome_of=lambda _: WAITING)
    receive(room, record(1, named(1)), record(2, named(2)))
    request = ResyncRequest(NONCE, is_first=True, exceptions=(Outcome(named(9), WAITING),))
    receive(room, control(3, WireRole.RESYNC, request))
    answer, back = room.bodies()[-2:]
    assert isinstance(answer, Holdings)
    assert (answer.nonce, answer.is_last, len(answer.exceptions or ())) == (NONCE, True, 2)
    assert [(side, each.day) for side, each in answer.digests] == [(Side.HELD, DAY)]
    assert isinstance(back, ResyncRequest)
    assert (back.is_first, len(back.exceptions), room.outgoing().resync_nonce) == (False, 2, back.nonce)
    assert run(room.scope().tx.list_open_outcomes(PEER)) == [OpenOutcome(PEER, UUID(int=109), WAITING, None, NOW)]
    again = replace(request, nonce=A1, is_first=False, exceptions=())
    receive(room, control(4, WireRole.RESYNC, again))
    assert not [body for body in room.bodies() if isinstance(body, Holdings) and body.nonce == A1]
    # The list takes effect at once.
    assert run(room.scope().tx.list_open_outcomes(PEER)) == []


@pytest.mark.parametrize(("writer", "asks"), [(PEER, 1), (HERE, 0)])
def test_an_instance_that_has_asked_itself_does_not_ask_in_turn(writer: str, asks: int) -> None:
    scope = Room().scope()
    run(scope.tx.save_resync(note_request(PeerResync(writer), ResyncRequest(NONCE, is_first=True))))
    run(answer_request(scope, Incoming(Pair(writer, HERE))))
    assert len(scope.asks) == asks


def test_the_second_step_is_answered_once_and_only_after_the_first() -> None:
    row = SubjectHolding(S1, 1, None, (A1,))
    room = Room(held={(Side.HELD, S1): row})
    receive(room, control(1, WireRole.RESYNC, ResyncRequest(NONCE)))
    days = (SideDay(Side.HELD, DAY),)
    receive(room, control(2, WireRole.RESYNC, ResyncRequest(A1, of=S2, days=days)))
    receive(room, control(3, WireRole.RESYNC, ResyncRequest(A1, of=NONCE, days=days)))
    receive(room, control(4, WireRole.RESYNC, ResyncRequest(A1, of=NONCE, days=days)))
    answers = [body for body in room.bodies() if isinstance(body, Holdings)]
    assert [body.nonce for body in answers] == [NONCE, A1]
    assert (answers[1].parts, answers[1].is_last) == ((HoldingsPart(days[0], (row,)),), True)


def test_each_exception_is_stated_on_one_of_the_pages() -> None:
    room = Room(outcome_of=lambda _: OutcomeKind.WAITING)
    acts = tuple(UUID(int=10_000 + number) for number in range(1000))
    receive(room, *(record(number, replace(named(number), acts=acts)) for number in range(1, 61)), exceptions_max=99)
    receive(room, control(61, WireRole.RESYNC, ResyncRequest(NONCE)))
    pages = [body for body in room.bodies() if isinstance(body, Holdings)]
    assert len(pages) > 2
    stated = [outcome.named.message_id.int for body in pages for outcome in body.exceptions or ()]
    assert stated == [100 + number for number in range(1, 61)]


def test_closed_incarnations_are_stated_in_pages() -> None:
    room = Room()
    receive(room, record(1, named(1)))
    room.db.tables["incoming"][FROM_PEER].closed = {
        UUID(int=10_000 + number): (LaneEnd(2**40, b"c" * 32), LaneEnd(2**40, b"c" * 32)) for number in range(5000)
    }
    receive(room, control(2, WireRole.RESYNC, ResyncRequest(NONCE)))
    pages = [body for body in room.bodies() if isinstance(body, Holdings)]
    assert sum(len(body.closed) for body in pages) == 5000
    assert [body.is_last for body in pages] == [False] * (len(pages) - 1) + [True]
    assert max(len(canonical_json(encode_control(WireRole.HOLDINGS, body))) for body in pages) < PAGE_BYTES


def test_a_day_that_is_named_twice_is_stated_once() -> None:
    room = Room(held={(Side.HELD, S1): SubjectHolding(S1, 1, None, (A1,))})
    receive(room, control(1, WireRole.RESYNC, ResyncRequest(NONCE)))
    days = (SideDay(Side.HELD, DAY),) * 200
    receive(room, control(2, WireRole.RESYNC, ResyncRequest(A1, of=NONCE, days=days)))
    assert len(room.bodies()[-1].parts) == 1


class DatedRoom(Room):
    """A room in which a subject's number is its day before `DAY`. It counts its days and queries."""

    day_count = query_count = 0

    def day_of(self, subject: UUID) -> date:
        self.day_count += 1
        return DAY - timedelta(days=subject.int)

    async def list_held(self, side: Side, peer: str, *, days: Collection[date]) -> list[SubjectHolding]:
        self.query_count += 1
        subjects = [UUID(int=(DAY - day).days) for day in days]
        return [self.held[side, subject] for subject in subjects if (side, subject) in self.held]

    async def list_own(self, side: Side, peer: str, *, days: Collection[date]) -> list[OwnTrack]:
        self.query_count += 1
        return await super().list_own(side, peer, days=days)


def dated(day_count: int) -> tuple[DatedRoom, tuple[SideDay, ...]]:
    """Return a room that holds one subject a day, and these days."""
    rows = [SubjectHolding(UUID(int=number), 1, None) for number in range(day_count)]
    room = DatedRoom(held={(Side.HELD, row.subject): row for row in rows})
    receive(room, control(1, WireRole.RESYNC, ResyncRequest(NONCE)))
    room.day_count = 0
    return room, tuple(SideDay(Side.HELD, DAY - timedelta(days=number)) for number in range(2 * day_count))


def test_the_work_for_an_answer_grows_with_its_rows_and_not_with_rows_and_days() -> None:
    room, days = dated(1000)
    receive(room, control(2, WireRole.RESYNC, ResyncRequest(A1, of=NONCE, days=days)))
    parts = [part for body in room.bodies() if isinstance(body, Holdings) for part in body.parts]
    assert [part.of for part in parts] == sorted(days)
    assert sum(len(part.rows) for part in parts) == room.day_count == 1000
    assert room.query_count < 150


@pytest.mark.parametrize("turn", [0, 4])
def test_an_answer_has_a_bounded_number_of_rows_and_begins_with_another_day_each_time(
    monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    monkeypatch.setattr(resync_steps, "ROWS_MAX", 6)
    monkeypatch.setattr(resync_steps, "DAYS_PAGE", 3)
    room, days = dated(10)
    receive(room, control(2, WireRole.RESYNC, ResyncRequest(UUID(int=70 + turn), of=NONCE, days=days[:10])))
    assert [part.of for part in room.bodies()[-1].parts] == sorted(days[:10])[turn : turn + 6]


def test_only_days_that_were_asked_for_are_taken_with_few_queries_until_the_last_one() -> None:
    room = DatedRoom()
    nonce, day_count = asked(room), 60
    digests = tuple((Side.HELD, DayDigest(DAY + timedelta(days=at), 1, b"d" * 32)) for at in range(day_count))
    receive(room, control(1, WireRole.HOLDINGS, Holdings(nonce, True, exceptions=(), digests=digests)))
    parts = tuple(HoldingsPart(SideDay(Side.HELD, DAY + timedelta(days=at)), ()) for at in range(-500, 500))
    receive(room, control(2, WireRole.HOLDINGS, Holdings(nonce, False, parts=parts)))
    assert (sorted(room.loaded), room.query_count) == ([digest.day for _, digest in digests], 3)
    assert run(room.scope().tx.list_operator_lines()) == [OperatorLine(OperatorKind.UNKNOWN, PEER)]
    assert room.outgoing().resync_nonce is None
    assert run(room.scope().tx.load_resync(PEER)).asked_days == ""


def test_one_page_of_holdings_sends_at_most_5000_subjects_and_the_peer_is_asked_again_for_the_others() -> None:
    room = Room(own={(Side.HELD, each): OwnTrack(each, 1) for each in (UUID(int=10_000 + at) for at in range(5500))})
    room.own |= {(Side.HELD, S1): OwnTrack(S1, 1, is_withdrawn=True)}
    nonce, parts = asked(room), (HoldingsPart(SideDay(Side.HELD, DAY), ()),)
    for number, counts in ((1, (1, 4999)), (3, (0, 501))):
        receive(room, control(number, WireRole.HOLDINGS, Holdings(nonce, True, exceptions=())))
        receive(room, control(number + 1, WireRole.HOLDINGS, Holdings(nonce, True, parts=parts)))
        sent = [call[0] for call in room.calls if room.own.pop((Side.HELD, call[1]), None)]
        assert (sent.count("send_withdrawal"), sent.count("send_state")) == counts
        nonce = room.outgoing().resync_nonce or NONCE
    assert room.outgoing().resync_nonce is None
    # The repeated request does not let the peer ask in its turn.
    *_, repeated = (body for body in room.bodies() if isinstance(body, ResyncRequest) and body.of is None)
    assert not repeated.is_first


def test_the_first_page_of_an_answer_ends_the_exceptions_that_it_does_not_name_and_later_pages_add_to_it() -> None:
    room = Room()
    receive(room, control(1, WireRole.OUTCOMES, OutcomeList((Outcome(named(9), WAITING),))))
    nonce = asked(room)
    for page, message in enumerate((8, 7)):
        outcomes = (Outcome(named(message), WAITING),)
        receive(room, control(page + 2, WireRole.HOLDINGS, Holdings(nonce, page == 1, page, exceptions=outcomes)))
    held = [each.message_id for each in run(room.scope().tx.list_open_outcomes(PEER))]
    assert held == [UUID(int=107), UUID(int=108)]


def asked(room: Room) -> UUID:
    """Ask the peer; return the nonce."""
    scope = room.scope()
    run(ask(scope, PEER, is_first=True))
    run(finish(scope))
    return room.outgoing().resync_nonce or NONCE


def test_the_rows_of_a_day_are_compared_once_an_answer_whatever_the_peer_states() -> None:
    room = Room(own={(Side.HELD, S1): OwnTrack(S1, 1)})
    nonce, of = asked(room), SideDay(Side.HELD, DAY)
    pieces = tuple(HoldingsPart(of, (), UUID(int=at), UUID(int=at + 1)) for at in range(3000))
    whole = HoldingsPart(of, ())
    receive(room, control(1, WireRole.HOLDINGS, Holdings(nonce, False, parts=(whole,))))
    assert room.loaded == [], "before the first step"
    receive(room, control(2, WireRole.HOLDINGS, Holdings(nonce, True, exceptions=())))
    receive(room, control(3, WireRole.HOLDINGS, Holdings(nonce, False, parts=(*pieces, whole, whole))))
    receive(room, control(4, WireRole.HOLDINGS, Holdings(nonce, False, parts=(*pieces, whole))))
    receive(room, control(5, WireRole.HOLDINGS, Holdings(nonce, True, exceptions=())))
    receive(room, control(6, WireRole.HOLDINGS, Holdings(nonce, False, parts=(whole,))))
    assert room.loaded == [DAY]
    assert room.calls == [("send_state", S1)]


def test_the_parts_of_a_large_day_are_compared_in_their_order() -> None:
    rows = [SubjectHolding(UUID(int=number), 1, None, (A1,) * 10) for number in range(1, 2001)]
    room = Room(own={(Side.HELD, row.subject): OwnTrack(row.subject, 2) for row in rows})
    nonce, parts = asked(room), split_rows(SideDay(Side.HELD, DAY), rows)
    assert len(parts) > 2
    receive(room, control(1, WireRole.HOLDINGS, Holdings(nonce, True, exceptions=())))
    for page, part in enumerate(parts):
        is_last = page == len(parts) - 1
        receive(room, control(page + 2, WireRole.HOLDINGS, Holdings(nonce, is_last, page, parts=(part,))))
    sent = [call[1] for call in room.calls if call[0] == "send_state"]
    assert sent == [row.subject for row in rows]
    assert room.outgoing().resync_nonce is None


def test_a_peer_makes_this_side_send_a_bounded_number_again_in_an_hour() -> None:
    subjects = [UUID(int=10_000 + number) for number in range(12_000)]
    room = Room(own={(Side.HELD, subject): OwnTrack(subject, 1) for subject in subjects})

    def refuse(number: int, some: list[UUID]) -> None:
        outcomes = [
            Outcome(NamedMessage(each, WireRole.STATE, "state", each, 1), OutcomeKind.REFUSED, RefusalCode.UNKNOWN)
            for each in some
        ]
        receive(room, control(number, WireRole.OUTCOMES, OutcomeList(tuple(outcomes))))

    refuse(1, subjects[:6000])
    refuse(2, subjects[6000:])
    asked_last = room.outgoing().resync_nonce
    refuse(3, subjects[:5])
    assert (len(room.calls), room.outgoing().resync_nonce) == (10_000, asked_last)
    room.later(3600)
    refuse(4, subjects[:5])
    assert len(room.calls) == 10_005


@pytest.mark.parametrize("error", [ValueError(), Refused("record_too_large")])
def test_a_message_of_the_protocol_that_breaks_this_code_is_a_dead_letter(error: Exception) -> None:
    room = Room(own={(Side.HELD, S1): OwnTrack(S1, 1)})
    refused = Outcome(named(8), OutcomeKind.REFUSED, RefusalCode.UNKNOWN)
    room.failures = [error]
    outcomes = OutcomeList((refused, Outcome(named(9), WAITING)))
    receive(room, control(1, WireRole.OUTCOMES, outcomes), record(2, named(2)), control(3, WireRole.OUTCOMES, outcomes))
    assert incoming(room).lanes[URGENT].through == 3
    assert [call[0] for call in room.calls] == ["send_state"]
    (kept,) = run(room.scope().tx.list_exceptions(writer=PEER))
    assert (kept.taken.named.message_id.int, kept.outcome.kind, kept.outcome.code) == (101, OutcomeKind.DEAD, MALFORMED)
    assert told(room) == [(1, OutcomeKind.DEAD, MALFORMED)]


@pytest.mark.parametrize(("error", "is_careful"), [(Unavailable("database_unavailable"), True), (ValueError(), False)])
def test_what_is_unavailable_breaks_the_batch_and_so_does_each_error_at_first(
    error: Exception, is_careful: bool
) -> None:
    room = Room()
    room.failures, scope = [error], replace(room.scope(), is_careful=is_careful)
    records = [control(1, WireRole.OUTCOMES, OutcomeList((Outcome(named(9), WAITING),)))]
    with pytest.raises(type(error)):
        run(receive_batch(scope, FROM_PEER, URGENT, records=records))


def test_a_message_that_a_list_names_twice_is_open_once() -> None:
    room = Room()
    twice = (Outcome(named(9), OutcomeKind.DEFERRED), Outcome(named(9), WAITING))
    receive(room, control(1, WireRole.RESYNC, ResyncRequest(NONCE, exceptions=twice)))
    assert run(room.scope().tx.list_open_outcomes(PEER)) == [OpenOutcome(PEER, UUID(int=109), WAITING, None, NOW)]


def test_the_digests_of_many_days_have_a_page_of_their_own() -> None:
    room = Room(outcome_of=lambda _: WAITING)
    days = [DayDigest(DAY + timedelta(days=number), 2**53 - 1, b"d" * 32) for number in range(11_000)]
    room.days = days
    receive(room, record(1, named(1)), control(2, WireRole.RESYNC, ResyncRequest(NONCE)))
    pages = [body for body in room.bodies() if isinstance(body, Holdings)]
    assert [len(page.exceptions or ()) for page in pages] == [1, 0]
    assert [each for _, each in pages[-1].digests] == days[:8000]
    assert max(len(canonical_json(encode_control(WireRole.HOLDINGS, page))) for page in pages) < 900_000


def test_an_answer_leads_to_the_rows_of_days_that_differ_and_then_to_actions() -> None:
    room = Room(own={(Side.HELD, S1): OwnTrack(S1, 1)})
    scope = room.scope()
    run(ask(scope, PEER, is_first=True))
    run(finish(scope))
    nonce = room.outgoing().resync_nonce
    assert nonce is not None
    receive(room, control(1, WireRole.HOLDINGS, Holdings(A1, True, exceptions=())))
    assert room.outgoing().resync_nonce == nonce
    receive(room, control(2, WireRole.HOLDINGS, Holdings(nonce, True, exceptions=(Outcome(named(9), WAITING),))))
    request = room.bodies()[-1]
    assert request == ResyncRequest(nonce, of=nonce, days=(SideDay(Side.HELD, DAY),))
    assert room.outgoing().resync_nonce == nonce
    assert len(run(room.scope().tx.list_open_outcomes(PEER))) == 1
    room.calls.clear()
    parts = (HoldingsPart(request.days[0], ()),)
    receive(room, control(3, WireRole.HOLDINGS, Holdings(request.nonce, False, parts=())))
    assert room.outgoing().resync_nonce == request.nonce
    receive(room, control(4, WireRole.HOLDINGS, Holdings(request.nonce, True, 1, parts=parts)))
    assert room.calls == [("send_state", S1)]
    assert room.outgoing().resync_nonce is None
    # The rows contain no open exceptions.
    assert len(run(room.scope().tx.list_open_outcomes(PEER))) == 1


def test_a_new_incarnation_keeps_its_own_request_whatever_the_batch_answers() -> None:
    for own in ({(Side.HELD, S1): OwnTrack(S1, 1)}, {}):
        room = Room(own=own)
        nonce = asked(room)
        strange = replace(statement(PEER, Pair(HERE, PEER)), incarnation=A1)
        receive(room, control(1, WireRole.HOLDINGS, Holdings(nonce, True, exceptions=())), record(2, strange))
        request = room.bodies()[0]
        assert (request.is_first, room.outgoing().resync_nonce) == (True, request.nonce)
        assert request.nonce != nonce


def test_an_answer_without_differences_ends_the_procedure() -> None:
    room = Room()
    nonce = asked(room)
    receive(room, control(1, WireRole.HOLDINGS, Holdings(nonce, False, 0, exceptions=())))
    assert room.outgoing().resync_nonce == nonce
    receive(room, control(2, WireRole.HOLDINGS, Holdings(nonce, True, 1, exceptions=())))
    assert room.outgoing().resync_nonce is None
