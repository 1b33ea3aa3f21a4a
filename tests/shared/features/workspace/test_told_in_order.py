"""Recipients' answers to a referral are on its page in the order of their times, for all recipients."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.core.vocabulary.answers import AnswerState
from shared.features.filing.rules import GivenAnswer, SentEdge, ShownReferral
from shared.features.workspace.pages.referrals import in_order

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


def edge(recipient: str, *minutes: int) -> SentEdge:
    told = [
        GivenAnswer.model_construct(answer=AnswerState.ACCEPTED, at=AT + timedelta(minutes=each)) for each in minutes
    ]
    return SentEdge.model_construct(recipient=recipient, timeline=tuple(told))


def test_answers_of_several_stand_by_their_time() -> None:
    it = ShownReferral.model_construct(edges=(edge("one.example", 1, 9), edge("other.example", 4)))
    assert [(who, told.at.minute) for who, told in in_order(it)] == [
        ("one.example", 1),
        ("other.example", 4),
        ("one.example", 9),
    ]
