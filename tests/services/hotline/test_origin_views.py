"""An origin's views of its referrals and the entry points of its submissions, at the service's own routes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import APIRouter

import services.hotline.api
import services.industry.api
from shared.contracts.base import Contract
from shared.contracts.holds import ShownHold
from shared.contracts.registry import MessageType
from shared.exchange.origin import ANSWERS, ReferralState
from shared.party.origin.domain import AnswerDetail, Delivery, SentEdge, Tick, ticks
from shared.party.questions.store import ShownQuestion
from shared.vocabulary.answers import AnswerState, ReceiptOutcome

#: The subject of an answer, which the origin stores with the answer. Hold fields are shown with the referral's holds.
NAMED = {"referral_id", "notice_id"}


def unshown(answer: type[Contract]) -> set[str]:
    return (
        answer.model_fields.keys()
        - NAMED
        - AnswerDetail.model_fields.keys()
        - ShownHold.model_fields.keys()
        - ShownQuestion.model_fields.keys()
    )


class UnknownAnswer(Contract):
    """An answer with a field that no detail has."""

    referral_id: str
    mood: str


@pytest.mark.parametrize("answer", sorted(ANSWERS, key=lambda each: each.name), ids=lambda each: each.name)
def test_every_answer_that_an_origin_understands_can_be_shown(answer: MessageType) -> None:
    assert unshown(answer.clear) == set()


def test_an_answer_that_could_not_be_shown_is_found() -> None:
    assert unshown(UnknownAnswer) == {"mood"}


def edge(delivery: Delivery, answer: AnswerState, withdrawal: Delivery | None = None) -> SentEdge:
    return SentEdge.model_validate(
        {
            "recipient": "police-nl.example",
            "purpose": "investigation",
            "reason": "hosting_jurisdiction",
            "rules": ["nl-rule"],
            "delivery": delivery,
            "code": None,
            "withdrawal": withdrawal,
            "answer": answer,
            "answer_detail": None,
            "notice_id": None,
        }
    )


def test_ticks_count_receipts_and_answers() -> None:
    edges = [
        edge("queued", AnswerState.NONE),
        edge(ReceiptOutcome.APPLIED, AnswerState.NONE),
        edge(ReceiptOutcome.APPLIED, AnswerState.ACCEPTED),
        edge(ReceiptOutcome.REFUSED, AnswerState.NONE),
    ]
    counted = ticks(ReferralState.ROUTED, edges)
    assert (counted.delivered, counted.acknowledged) == (Tick(done=2, of=4), Tick(done=1, of=4))


def test_the_ticks_of_a_withdrawn_referral_are_those_of_its_withdrawal() -> None:
    edges = [
        edge(ReceiptOutcome.APPLIED, AnswerState.ACCEPTED, "sent"),
        edge(ReceiptOutcome.APPLIED, AnswerState.WITHDRAWAL_ACKNOWLEDGED, ReceiptOutcome.APPLIED),
        edge(ReceiptOutcome.APPLIED, AnswerState.ACCEPTED),
    ]
    counted = ticks(ReferralState.WITHDRAWN, edges)
    assert (counted.delivered, counted.acknowledged) == (Tick(done=1, of=3), Tick(done=1, of=3))


def entered(router: APIRouter, path: str, method: str = "POST") -> str:
    """Return the module that a request enters first after the HTTP edge."""
    routes: list[Any] = [each for each in router.routes if method in cast(Any, each).methods]
    (found,) = [each.endpoint.__module__ for each in routes if each.path == path]
    return str(found)


@pytest.mark.parametrize("api", [services.hotline.api, services.industry.api], ids=["hotline", "industry"])
def test_a_filing_enters_its_own_service_first(api: Any) -> None:
    router = api.referrals_router(SimpleNamespace(serving=SimpleNamespace(identified=lambda: None)))
    assert {entered(router, f"/v1/referrals{end}") for end in ("", ":batch")} == {api.__name__}
    assert entered(router, "/v1/referrals", "GET") == "shared.party.origin.api.routes"
