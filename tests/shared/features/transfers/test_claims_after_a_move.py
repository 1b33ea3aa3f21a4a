"""A claim from the former instance of a moved hotline is granted for a limited time only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from shared.core.contracts.registry import OFFER_CLAIMED
from shared.core.ids import uuid4, uuid7
from shared.core.protocol.message import Received
from shared.core.protocol.origin import EdgeAnswer
from shared.core.vocabulary.answers import AnswerState
from shared.features.filing.ports import AnswerFollower, AppliedAnswers, OpenEdge
from shared.features.filing.service.answers import EdgeAnswers
from tests.services.deliveries import AT, HOTLINE, OTHER_HOTLINE, received

OLD, NEW = "hotline", "hotline_two"


class Edges:
    """One edge. Changes of it are ignored."""

    def __init__(self, edge: OpenEdge) -> None:
        self.edge = edge

    async def answerable(self, subjects: Sequence[UUID]) -> dict[tuple[UUID, str], list[OpenEdge]]:
        return {(self.edge.subject, self.edge.recipient): [self.edge]}

    async def judged(self, acts: Any) -> dict[Any, Any]:
        return {}

    def __getattr__(self, name: str) -> Any:
        async def done(*_: Any, **__: Any) -> None:
            return None

        return done


class Claiming(AnswerFollower):
    """Records the claims that it is asked to grant."""

    def __init__(self) -> None:
        self.granted: list[Received] = []

    async def apply(self, answers: AppliedAnswers) -> list[Any]:
        self.granted += answers.moving
        return []


@pytest.mark.parametrize(("told", "granted"), [((EdgeAnswer(AnswerState.NONE),), True), ((), False)])
async def test_it_counts_until_the_new_place_has_answered(told: tuple[EdgeAnswer, ...], granted: bool) -> None:
    referral_id = uuid7()
    answer = EdgeAnswer(AnswerState.NONE) if told else EdgeAnswer(AnswerState.DECLINED, {}, 1)
    edge = OpenEdge(uuid4(), referral_id, HOTLINE, OTHER_HOTLINE, referral_id, answer, False, (1,), NEW, (OLD,), told)
    clear = OFFER_CLAIMED.clear.model_validate({"referral_id": referral_id, "revision": 1, "act": uuid4(), "number": 1})
    claim = received(OFFER_CLAIMED, clear, subject=referral_id, sender=OTHER_HOTLINE, recipient=HOTLINE, instance=OLD)
    claiming = Claiming()
    edges: Any = Edges(edge)
    assert await EdgeAnswers(edges, AT, followers=[claiming]).apply([claim]) == {}
    assert claiming.granted == ([claim] if granted else [])
