"""Reactions to outcomes and exceptions of own messages at a peer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from shared.messaging.exceptions import NamedMessage, Outcome, OutcomeKind, RefusalCode
from shared.messaging.ports import OpenOutcome, OperatorKind, OperatorLine, OwnTrack, Side
from shared.messaging.reactions import LISTED_MAX, Actions, react
from shared.messaging.resync_steps import apply_actions, apply_outcomes
from shared.messaging.streams import WireRole
from tests.shared.messaging.rooms import NOW, PEER, Room, run

MESSAGE, SUBJECT, A1, A2 = (UUID(int=number) for number in range(1, 5))
OLD, NEW = b"o" * 32, b"n" * 32
STATE = NamedMessage(MESSAGE, WireRole.STATE, "state", SUBJECT, 2, NEW, (A1,))
ANSWER = NamedMessage(MESSAGE, WireRole.ANSWER, "answer", SUBJECT, acts=(A1,))
OWN = OwnTrack(SUBJECT, 2, NEW, (A1,))
ANSWERED = OwnTrack(SUBJECT, acts=(A1,))


def line(kind: OperatorKind, act: UUID | None = None) -> OperatorLine:
    return OperatorLine(kind, PEER, SUBJECT, act)


def reaction(
    named: NamedMessage, own: OwnTrack | None, code: str | None, *, kind: OutcomeKind, held: int | None
) -> Actions:
    actions = Actions(PEER)
    react(actions, Outcome(named, kind, code, held), own)
    return actions


def expected(lines: tuple[OperatorLine, ...] = (), **lists: bool) -> Actions:
    filled: dict[str, Any] = {name: {SUBJECT: None} for name in lists}
    return Actions(PEER, lines=dict.fromkeys(lines), **filled)


@pytest.mark.parametrize(
    ("named", "own", "code", "actions"),
    [
        (STATE, OWN, RefusalCode.UNKNOWN, expected(states=True)),
        (STATE, OWN, RefusalCode.GAP, expected(states=True)),
        (STATE, OWN, RefusalCode.DEAD, expected(states=True)),
        (STATE, replace(OWN, is_placed=False), RefusalCode.GAP, expected()),
        (STATE, replace(OWN, is_withdrawn=True), RefusalCode.GAP, expected()),
        (STATE, OWN, RefusalCode.LAW, expected(decisions=True)),
        (STATE, replace(OWN, content=OLD), RefusalCode.LAW, expected()),
        (STATE, OWN, RefusalCode.WITHDRAWN, expected((line(OperatorKind.BEHIND),), adoptions=True)),
        (STATE, replace(OWN, is_withdrawn=True), RefusalCode.WITHDRAWN, expected()),
        (STATE, OWN, RefusalCode.ERASED, expected(erased=True)),
        (STATE, None, RefusalCode.ERASED, expected()),
        (STATE, None, RefusalCode.GAP, expected((line(OperatorKind.UNKNOWN),))),
        (STATE, OWN, "a_code_of_a_feature", expected()),
        (ANSWER, ANSWERED, RefusalCode.GAP, expected(answers=True)),
        (ANSWER, ANSWERED, RefusalCode.DEAD, expected(answers=True)),
        (ANSWER, None, RefusalCode.DEAD, expected()),
        (ANSWER, replace(ANSWERED, acts=()), RefusalCode.DEAD, expected()),
        (ANSWER, ANSWERED, RefusalCode.UNKNOWN, expected((line(OperatorKind.UNKNOWN),))),
        (ANSWER, ANSWERED, RefusalCode.WITHDRAWN, expected()),
        (ANSWER, ANSWERED, RefusalCode.ERASED, expected()),
    ],
)
def test_the_reaction_to_a_refusal(named: NamedMessage, own: OwnTrack | None, code: str, actions: Actions) -> None:
    assert reaction(named, own, code, kind=OutcomeKind.REFUSED, held=None) == actions


@pytest.mark.parametrize(("held", "is_listed"), [(1, False), (2, True), (3, True), (None, False)])
def test_a_revision_behind_the_held_one_is_listed_and_never_raised(held: int | None, is_listed: bool) -> None:
    actions = reaction(STATE, OWN, RefusalCode.BEHIND, kind=OutcomeKind.REFUSED, held=held)
    assert actions == expected((line(OperatorKind.BEHIND),) if is_listed else ())


@pytest.mark.parametrize(
    ("named", "own", "actions"),
    [
        (STATE, OWN, expected()),
        (STATE, None, expected((line(OperatorKind.UNKNOWN),))),
        (STATE, replace(OWN, revision=1), expected((line(OperatorKind.BEHIND),))),
        (STATE, replace(OWN, content=OLD), expected((line(OperatorKind.BEHIND),))),
        (STATE, replace(OWN, revision=3, content=OLD), expected()),
        (STATE, replace(OWN, acts=()), expected((line(OperatorKind.ACT, A1),))),
        (STATE, replace(OWN, was_sent=False), expected(sent=True, states=True)),
        (STATE, replace(OWN, was_sent=False, is_placed=False), expected(sent=True)),
        (STATE, replace(OWN, was_sent=False, is_withdrawn=True), expected(sent=True, withdrawals=True)),
        (STATE, replace(OWN, revision=1, is_withdrawn=True), expected()),
        (STATE, replace(OWN, acts=(), is_erased=True), expected()),
        (STATE, replace(OWN, is_erased=True, is_withdrawn=True, was_sent=False), expected(sent=True, withdrawals=True)),
        (ANSWER, ANSWERED, expected()),
        (ANSWER, None, expected((line(OperatorKind.ACT, A1),))),
        (ANSWER, replace(ANSWERED, acts=(), is_erased=True), expected()),
    ],
)
def test_an_exception_names_what_this_side_may_have_forgotten(
    named: NamedMessage, own: OwnTrack | None, actions: Actions
) -> None:
    for kind in (OutcomeKind.WAITING, OutcomeKind.DEFERRED, OutcomeKind.DEAD, OutcomeKind.MOVED, OutcomeKind.APPLIED):
        assert reaction(named, own, None, kind=kind, held=None) == actions


def test_outcomes_open_and_end_exceptions_of_own_messages() -> None:
    room = Room(own={(Side.HELD, SUBJECT): OWN})
    run(apply_outcomes(room.scope(), PEER, (Outcome(STATE, OutcomeKind.WAITING, "document"),)))
    opened = OpenOutcome(PEER, MESSAGE, OutcomeKind.WAITING, "document", NOW)
    assert run(room.scope().tx.list_open_outcomes(PEER)) == [opened]
    both = Outcome(STATE, OutcomeKind.DEAD), Outcome(STATE, OutcomeKind.REFUSED, RefusalCode.DEAD)
    run(apply_outcomes(room.scope(), PEER, both))
    assert run(room.scope().tx.list_open_outcomes(PEER)) == []
    assert room.calls == [("send_state", SUBJECT)]


def test_the_ids_of_one_message_bring_few_lines() -> None:
    room = Room(own={(Side.HELD, SUBJECT): OWN})
    acts = tuple(UUID(int=100 + number) for number in range(1000))
    answers = [
        Outcome(replace(ANSWER, message_id=at, subject=at, acts=acts), OutcomeKind.WAITING)
        for at in (UUID(int=5000 + number) for number in range(10))
    ]
    behind = Outcome(replace(STATE, revision=9), OutcomeKind.DEAD)
    run(apply_outcomes(room.scope(), PEER, (*answers, behind)))
    lines = run(room.scope().tx.list_operator_lines())
    assert len(lines) == LISTED_MAX + 1
    assert {each for each in lines if each.act is None} == {
        line(OperatorKind.BEHIND),
        OperatorLine(OperatorKind.UNKNOWN, PEER),
    }


def test_one_subject_is_sent_once_for_several_refusals() -> None:
    room = Room(own={(Side.HELD, SUBJECT): OWN})
    refusals = [Outcome(replace(STATE, message_id=UUID(int=n)), OutcomeKind.REFUSED, RefusalCode.GAP) for n in (7, 8)]
    run(apply_outcomes(room.scope(), PEER, tuple(refusals)))
    assert room.calls == [("send_state", SUBJECT)]


def test_nothing_is_done_about_a_subject_whose_day_has_closed() -> None:
    room = Room(own={(Side.HELD, SUBJECT): OWN}, closed={SUBJECT})
    run(apply_outcomes(room.scope(), PEER, (Outcome(STATE, OutcomeKind.REFUSED, RefusalCode.GAP),)))
    assert room.calls == []


def test_notes_come_before_withdrawals_and_a_withdrawn_subject_is_not_sent() -> None:
    room, every = Room(), {SUBJECT: None}
    lists = ("states", "withdrawals", "adoptions", "answers", "decisions", "sent", "erased")
    actions = Actions(PEER, **{name: dict(every) for name in lists}, lines={line(OperatorKind.BEHIND): None})
    run(apply_actions(room.scope(), actions))
    assert room.calls == [
        ("note_sent", (SUBJECT,), PEER),
        ("note_erased", (SUBJECT,), PEER),
        ("adopt_withdrawal", SUBJECT, PEER),
        ("send_answers", SUBJECT, PEER),
        ("decide_again", SUBJECT),
    ]
    assert run(room.scope().tx.list_operator_lines()) == [line(OperatorKind.BEHIND)]
    room.calls.clear()
    run(apply_actions(room.scope(), replace(actions, adoptions={}, sent={}, erased={}, answers={}, decisions={})))
    assert room.calls == [("send_withdrawal", SUBJECT, PEER), ("send_state", SUBJECT)]
