"""Answers to filed requests: to one submission, or to a list with one result for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from pydantic_core import to_json

from shared.exchange.acceptance import AcceptedItem, Acceptor
from shared.exchange.prepare import Prepared
from shared.kernel.clock import rfc3339
from shared.kernel.errors import Refused
from shared.party.origin.api import bodies
from shared.party.origin.domain import ExternalRefExists, Outcome, Reply
from shared.party.origin.domain import Request as Filed
from shared.runtime.http.problems import Problem, problem_body

#: JSON objects: the signed acceptances of one transaction, by referral.
_Acceptances = Mapping[UUID, Mapping[str, object]]


def answer_filed(
    requests: Sequence[Filed], outcomes: Sequence[Sequence[Outcome]], *, at: datetime, acceptor: Acceptor
) -> list[Reply]:
    """Return the answer to each request of one transaction, which accepts at `at`. All acceptances are signed once.

    Answers are written as JSON without their models: each filing passes here.
    """
    prepared = [each for of_one in outcomes for each in of_one if isinstance(each, Prepared)]
    items = [AcceptedItem(each.referral_id, each.origin, each.body_sha256) for each in prepared]
    signed = acceptor.accept(items, at=at) if items else []
    acceptances = {each.referral_id: acceptance for each, acceptance in zip(prepared, signed, strict=True)}
    return [_answer(*each, acceptances) for each in zip(requests, outcomes, strict=True)]


def _answer(request: Filed, outcomes: Sequence[Outcome], acceptances: _Acceptances) -> Reply:
    if not request.single:
        results = [_listed(index, each, acceptances) for index, each in enumerate(outcomes)]
        return Reply(200, to_json({"results": results}))
    (outcome,) = outcomes
    if isinstance(outcome, Refused):
        return Reply(outcome.status, _problem(outcome).spelt())
    return Reply(202, to_json(_accepted(outcome, acceptances)), f"/v1/referrals/{outcome.referral_id}")


def _listed(index: int, outcome: Outcome, acceptances: _Acceptances) -> dict[str, object]:
    """Return the members of `BatchAccepted` or `BatchRefused`."""
    if isinstance(outcome, Refused):
        problem = _problem(outcome).model_dump(mode="json", exclude_defaults=True)
        return {"index": index, "status": outcome.status, "problem": problem}
    return _accepted(outcome, acceptances) | {"index": index, "status": 202}


def _accepted(prepared: Prepared, acceptances: _Acceptances) -> dict[str, object]:
    """Return the members of `AcceptedReferral`, in their order."""
    accepted: dict[str, object] = {
        "referral_id": prepared.referral_id,
        "revision": 1,
        "state": prepared.state,
        "work_reason": prepared.work_reason,
        "accepted_at": rfc3339(prepared.accepted_at),
        "recipients": [
            {"recipient": each.recipient, "purpose": each.purpose, "reason": each.reason, "rules": each.rules}
            for each in prepared.emitted
        ],
        "decision": {name: value for name, value in prepared.decision.items() if name != "salt"},
    }
    if prepared.cut:
        accepted["cut"] = prepared.cut
    return accepted | {"acceptance": acceptances[prepared.referral_id]}


def _problem(refused: Refused) -> Problem:
    if isinstance(refused, ExternalRefExists):
        referral = f"/v1/referrals/{refused.referral_id}"
        return bodies.ReferenceTaken(**dict(problem_body(refused)), referral=referral)
    return problem_body(refused)
