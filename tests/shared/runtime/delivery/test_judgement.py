"""The judgement on edges and acts that were told before: by revision, content and act, within a batch and before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import UUID

import pytest

from shared.exchange.message import Received
from shared.kernel.ids import uuid4, uuid7
from shared.messaging.exceptions import Coordinates, Named, OutcomeKind, Refusal, Taken
from shared.messaging.streams import Lane, Place, Role
from shared.runtime.delivery.judgement import Arrival, EdgeTold, Judgement, Known, decide
from shared.runtime.delivery.tracks import HeldEdge, TrackKey, TrackRow, TrackSide

PEER: Final = "hotline"
TRACK: Final = uuid7()
EDGE: Final = uuid4()
A, B = bytes(32), b"b" * 32
KEY: Final = TrackKey(PEER, TrackSide.HELD, TRACK)


def arrival(
    *,
    edge: EdgeTold | None = None,
    acts: Sequence[UUID] = (),
    role: Role = Role.STATE,
    code: str | None = None,
    is_again: bool = False,
) -> Arrival:
    named = Named(uuid7(), role, "referral_offered", TRACK, acts=tuple(acts))
    place = Place(uuid7(), Lane.ORDINARY, 1)
    taken = Taken(PEER, place, A, named, b"", Coordinates(None, 0, datetime(2026, 5, 4, tzinfo=UTC)))
    shown: Any = SimpleNamespace(edge=edge, again=() if is_again else None)
    received = cast(Received, shown) if code is None else None
    return Arrival(taken, named, received, code=code, edge=edge)


def told(revision: int, content: bytes, *, is_again: bool = False, acts: Sequence[UUID] = ()) -> Arrival:
    return arrival(edge=EdgeTold(EDGE, revision, content), acts=acts, is_again=is_again)


def judgement(
    held: HeldEdge | None = None,
    *,
    acts: Sequence[UUID] = (),
    is_withdrawn: bool = False,
    is_closed: bool = False,
) -> Judgement:
    row = TrackRow(PEER, TrackSide.HELD, TRACK, uuid7(), "a", "b", tuple(acts), is_withdrawn)
    edges = {} if held is None else {(TRACK, EDGE): held}
    return Judgement({KEY: row}, edges, is_day_closed=lambda _: is_closed)


def held(revision: int, content: bytes = A) -> HeldEdge:
    return HeldEdge(TRACK, EDGE, PEER, revision, content)


@pytest.mark.parametrize(
    ("revision", "content", "known"),
    [
        (2, A, Known()),
        (3, B, None),
        (2, B, Known("revision_not_above", 2)),
        (1, B, Known("revision_not_above")),
    ],
    ids=["the same", "higher", "other content under the revision", "lower"],
)
def test_an_edge_with_other_content_needs_a_higher_revision(revision: int, content: bytes, known: Known | None) -> None:
    assert judgement(held(2)).judge(told(revision, content)) == known


def test_a_lower_revision_that_was_applied_before_has_no_second_effect() -> None:
    act = uuid4()
    assert judgement(held(2), acts=[act]).judge(told(1, B, acts=[act])) == Known()


def test_an_edge_that_is_issued_again_reaches_the_features_with_the_answers_so_far() -> None:
    assert judgement(held(2)).judge(told(2, A, is_again=True)) is None
    assert judgement(held(2)).judge(told(2, B, is_again=True)) == Known("revision_not_above", 2)


def test_revisions_rise_within_a_batch() -> None:
    judged = judgement()
    first, second, lower, same = told(1, A), told(3, B), told(2, b"c" * 32), told(3, B)
    assert [judged.judge(each) for each in (first, second)] == [None, None]
    assert judged.judge(lower) == Known("revision_not_above", None, below=second.named.message_id)
    assert judged.judge(same) == Known(like=second.named.message_id)


def test_behind_a_revision_that_the_features_refuse_a_lower_one_is_judged_again() -> None:
    judged = judgement()
    refused, lower = told(2, A), told(1, B)
    assert (judged.judge(refused), judged.judge(lower)) == (
        None,
        Known("revision_not_above", None, below=refused.named.message_id),
    )
    judged.forget({refused.named.message_id})
    assert judged.judge(lower) is None


def test_an_act_has_one_effect() -> None:
    act, other = uuid4(), uuid4()
    judged = judgement(acts=[act])
    assert judged.judge(arrival(acts=[act])) == Known()
    first, repeated = arrival(acts=[other]), arrival(acts=[other])
    assert judged.judge(first) is None
    assert judged.judge(repeated) == Known(like=first.named.message_id)


def test_an_act_of_an_answer_is_not_one_of_the_owner() -> None:
    act = uuid4()
    assert judgement(acts=[act]).judge(arrival(acts=[act], role=Role.ANSWER)) is None


def test_an_edge_of_a_withdrawn_subject_is_refused_and_its_acts_are_the_features_to_judge() -> None:
    judged = judgement(is_withdrawn=True)
    assert judged.judge(told(1, A)) == Known("subject_withdrawn")
    assert judged.judge(arrival(acts=[uuid4()])) is None
    assert judged.judge(arrival(acts=[uuid4()], role=Role.ANSWER)) is None


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("document_unknown", "subject_withdrawn"),
        ("type_unknown", "subject_withdrawn"),
        ("guard_refused", "guard_refused"),
        ("sealed_unopenable", "sealed_unopenable"),
    ],
)
def test_what_would_wait_for_a_withdrawn_subject_is_refused_and_what_is_wrong_keeps_its_code(
    code: str, known: str
) -> None:
    assert judgement(is_withdrawn=True).judge(arrival(code=code)) == Known(known)
    assert judgement().judge(arrival(code=code)) == Known(code)


def test_nothing_of_a_closed_day_is_taken() -> None:
    judged = judgement(is_closed=True)
    for each in (told(1, A), arrival(role=Role.WITHDRAWAL), arrival(acts=[uuid4()], role=Role.ANSWER)):
        known = judged.judge(each)
        assert known == Known(Refusal.ERASED)
        assert decide(each, known, {}).kind is OutcomeKind.REFUSED


def test_a_withdrawal_of_what_is_unknown_is_applied_all_the_same() -> None:
    each = arrival(role=Role.WITHDRAWAL)
    assert decide(each, None, {each.named.message_id: "case_unknown"}).kind is OutcomeKind.APPLIED
    assert decide(each, None, {each.named.message_id: "other_reason"}).kind is OutcomeKind.REFUSED


def test_a_message_like_one_that_was_refused_is_refused_as_that_was() -> None:
    first, like = told(1, A), told(1, A)
    judged = judgement()
    judged.judge(first)
    known = judged.judge(like)
    assert decide(like, known, {first.named.message_id: "edge_exists"}).code == "edge_exists"
    assert decide(like, known, {}).kind is OutcomeKind.APPLIED
