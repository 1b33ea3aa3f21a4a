"""Answers to filed requests: to one submission, or to a list with one result for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from shared.contracts.acceptance import SignedAcceptance
from shared.exchange.acceptance import AcceptedItem, Acceptor
from shared.exchange.prepare import Prepared
from shared.kernel.errors import Refused
from shared.party.origin.api import bodies
from shared.party.origin.domain import AcceptedReferral, ExternalRefExists, Outcome, Reply
from shared.party.origin.domain import Request as Filed
from shared.runtime.http.problems import Problem, problem_body

#: The signed acceptances of one transaction, by referral.
_Acceptances = Mapping[UUID, SignedAcceptance]


def answer_filed(
    requests: Sequence[Filed], outcomes: Sequence[Sequence[Outcome]], *, at: datetime, acceptor: Acceptor
) -> list[Reply]:
    """Return the answer to each request of one transaction, which accepts at `at`. All acceptances are signed once."""
    prepared = [each for of_one in outcomes for each in of_one if isinstance(each, Prepared)]
    items = [AcceptedItem(each.referral_id, each.origin, each.body_sha256) for each in prepared]
    acceptances = {each.referral_id: each for each in acceptor.accept(items, at=at)} if items else {}
    return [_answer(*each, acceptances) for each in zip(requests, outcomes, strict=True)]


def _answer(request: Filed, outcomes: Sequence[Outcome], acceptances: _Acceptances) -> Reply:
    if not request.single:
        results = tuple(_listed(index, each, acceptances) for index, each in enumerate(outcomes))
        return Reply(200, bodies.BatchAnswer(results=results).spelt())
    (outcome,) = outcomes
    if isinstance(outcome, Refused):
        return Reply(outcome.status, _problem(outcome).spelt())
    accepted = AcceptedReferral.model_validate(_fields(outcome, acceptances))
    return Reply(202, accepted.spelt(), f"/v1/referrals/{outcome.referral_id}")


def _listed(index: int, outcome: Outcome, acceptances: _Acceptances) -> bodies.BatchAccepted | bodies.BatchRefused:
    if isinstance(outcome, Refused):
        return bodies.BatchRefused(index=index, status=outcome.status, problem=_problem(outcome))
    return bodies.BatchAccepted.model_validate({"index": index, "status": 202} | _fields(outcome, acceptances))


def _fields(prepared: Prepared, acceptances: _Acceptances) -> dict[str, object]:
    """Return the members of `AcceptedReferral`, to be validated in one pass: each filing passes here."""
    return {
        "referral_id": prepared.referral_id,
        "revision": 1,
        "state": prepared.state,
        "work_reason": prepared.work_reason,
        "accepted_at": prepared.accepted_at,
        "recipients": [
            {"recipient": each.recipient, "purpose": each.purpose, "reason": each.reason, "rules": each.rules}
            for each in prepared.emitted
        ],
        "decision": {name: value for name, value in prepared.decision.items() if name != "salt"},
        "cut": prepared.cut,
        "acceptance": acceptances[prepared.referral_id],
    }


def _problem(refused: Refused) -> Problem:
    if isinstance(refused, ExternalRefExists):
        referral = f"/v1/referrals/{refused.referral_id}"
        return bodies.ReferenceTaken(**dict(problem_body(refused)), referral=referral)
    return problem_body(refused)
