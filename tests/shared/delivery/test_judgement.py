"""The judgement on repeated edges and acts: by revision, content and act, within a batch and before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import UUID

import pytest

from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Received
from shared.delivery.judgement import Arrival, Judgement, KnownOutcome, decide
from shared.delivery.tracks import EdgeRevision, TrackKey, TrackRow, TrackSide, spell_edges
from shared.messaging.exceptions import Coordinates, NamedMessage, Outcome, OutcomeKind, RefusalCode, TakenMessage
from shared.messaging.streams import Lane, StreamPlace, WireRole

PEER: Final = "hotline"
TRACK: Final = uuid7()
EDGE: Final = uuid4()
A, B, C = "aa" * 32, "bb" * 32, "cc" * 32
KEY: Final = TrackKey(PEER, TrackSide.HELD, TRACK)


def arrival(
    *,
    edge: EdgeRevision | None = None,
    acts: Sequence[UUID] = (),
    role: WireRole = WireRole.STATE,
    code: str | None = None,
    is_again: bool = False,
) -> Arrival:
    named = NamedMessage(uuid7(), role, "referral_offered", TRACK, acts=tuple(acts))
    place = StreamPlace(uuid7(), Lane.ORDINARY, 1)
    taken = TakenMessage(PEER, place, bytes(32), named, b"", Coordinates(None, 0, datetime(2026, 5, 4, tzinfo=UTC)))
    more = () if is_again else None
    shown: Any = SimpleNamespace(edge=edge, again=more, sender="a", recipient="b", subject_id=TRACK)
    received = cast(Received, shown) if code is None else None
    return Arrival(taken, named, received, code=code, edge=edge)


def told(revision: int, content: str, *, is_again: bool = False, acts: Sequence[UUID] = ()) -> Arrival:
    return arrival(edge=EdgeRevision(EDGE, revision, content), acts=acts, is_again=is_again)


def judgement(
    held: EdgeRevision | None = None, *, acts: Sequence[UUID] = (), is_withdrawn: bool = False, is_closed: bool = False
) -> Judgement:
    edges = {} if held is None else json.loads(spell_edges([held]))
    row = TrackRow(PEER, TrackSide.HELD, TRACK, uuid7(), "a", "b", tuple(acts), edges, is_withdrawn)
    return Judgement({KEY: row}, is_day_closed=lambda _: is_closed)


def held(revision: int, content: str = A) -> EdgeRevision:
    return EdgeRevision(EDGE, revision, content)


@pytest.mark.parametrize(
    ("revision", "content", "known"),
    [
        (2, A, KnownOutcome()),
        (3, B, None),
        (2, B, KnownOutcome("revision_not_above", 2)),
        (1, B, KnownOutcome("revision_not_above")),
    ],
    ids=["the same", "higher", "other content under the revision", "lower"],
)
def test_an_edge_with_other_content_needs_a_higher_revision(
    revision: int, content: str, known: KnownOutcome | None
) -> None:
    assert judgement(held(2)).judge(told(revision, content)) == known


def test_a_lower_revision_that_was_applied_before_has_no_second_effect() -> None:
    act = uuid4()
    assert judgement(held(2), acts=[act]).judge(told(1, B, acts=[act])) == KnownOutcome()


def test_an_edge_that_is_issued_again_reaches_the_features_with_the_answers_so_far() -> None:
    assert judgement(held(2)).judge(told(2, A, is_again=True)) is None
    assert judgement(held(2)).judge(told(2, B, is_again=True)) == KnownOutcome("revision_not_above", 2)


def test_of_an_edge_the_highest_revision_that_is_applied_is_noted() -> None:
    arrivals = [told(revision, B) for revision in (1, 2, 4, 3)]
    pairs = [(each, Outcome(each.named, OutcomeKind.APPLIED)) for each in arrivals]
    for count, edges in ((2, {}), (4, {EDGE: arrivals[2].edge})):
        (change,) = judgement(held(2)).list_changes(pairs[:count])
        assert (change.key, change.edges) == (KEY, edges)


def test_revisions_rise_within_a_batch() -> None:
    judged = judgement()
    first, second, lower, same = told(1, A), told(3, B), told(2, C), told(3, B)
    assert [judged.judge(each) for each in (first, second)] == [None, None]
    assert judged.judge(lower) == KnownOutcome("revision_not_above", None, below=second.named.message_id)
    assert judged.judge(same) == KnownOutcome(like=second.named.message_id)


def test_behind_a_revision_that_the_features_refuse_a_lower_one_is_judged_again() -> None:
    judged = judgement()
    refused, lower = told(2, A), told(1, B)
    assert (judged.judge(refused), judged.judge(lower)) == (
        None,
        KnownOutcome("revision_not_above", None, below=refused.named.message_id),
    )
    judged.forget({refused.named.message_id})
    assert judged.judge(lower) is None


def test_an_act_has_one_effect() -> None:
    act, other = uuid4(), uuid4()
    judged = judgement(acts=[act])
    assert judged.judge(arrival(acts=[act])) == KnownOutcome()
    first, repeated = arrival(acts=[other]), arrival(acts=[other])
    assert judged.judge(first) is None
    assert judged.judge(repeated) == KnownOutcome(like=first.named.message_id)


def test_an_act_of_an_answer_is_not_one_of_the_owner() -> None:
    act = uuid4()
    assert judgement(acts=[act]).judge(arrival(acts=[act], role=WireRole.ANSWER)) is None


def test_an_edge_of_a_withdrawn_subject_is_refused_and_its_acts_are_the_features_to_judge() -> None:
    judged = judgement(is_withdrawn=True)
    assert judged.judge(told(1, A)) == KnownOutcome("subject_withdrawn")
    assert judged.judge(arrival(acts=[uuid4()])) is None
    assert judged.judge(arrival(acts=[uuid4()], role=WireRole.ANSWER)) is None


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
    assert judgement(is_withdrawn=True).judge(arrival(code=code)) == KnownOutcome(known)
    assert judgement().judge(arrival(code=code)) == KnownOutcome(code)


def test_nothing_of_a_closed_day_is_taken() -> None:
    judged = judgement(is_closed=True)
    for each in (told(1, A), arrival(role=WireRole.WITHDRAWAL), arrival(acts=[uuid4()], role=WireRole.ANSWER)):
        known = judged.judge(each)
        assert known == KnownOutcome(RefusalCode.ERASED)
        assert decide(each, known, {}).kind is OutcomeKind.REFUSED


def test_a_withdrawal_of_what_is_unknown_is_applied_all_the_same() -> None:
    each = arrival(role=WireRole.WITHDRAWAL)
    assert decide(each, None, {each.named.message_id: "case_unknown"}).kind is OutcomeKind.APPLIED
    assert decide(each, None, {each.named.message_id: "other_reason"}).kind is OutcomeKind.REFUSED


@pytest.mark.parametrize(
    ("code", "kind"),
    [("accept_defect", OutcomeKind.DEAD), ("handler_defect", OutcomeKind.DEAD), ("body_invalid", OutcomeKind.REFUSED)],
)
def test_a_withdrawal_that_this_instance_cannot_read_is_kept(code: str, kind: OutcomeKind) -> None:
    """The writer repeats a withdrawal only if the message was broken. A defect of this instance makes a dead letter."""
    each = arrival(role=WireRole.WITHDRAWAL, code=code)
    assert decide(each, judgement().judge(each), {}).kind is kind
