"""What an intake answers a request with: its one submission, or a list with one result for each."""

from __future__ import annotations

from collections.abc import Sequence

from shared.exchange.compose import Acceptor
from shared.exchange.prepare import Prepared
from shared.kernel.errors import Refused
from shared.party.origin.api import bodies
from shared.party.origin.domain import AcceptedReferral, ExternalRefExists, Outcome, Reply
from shared.party.origin.domain import Request as Filed
from shared.runtime.http.problems import Problem, problem_body


def answer_filed(request: Filed, outcomes: Sequence[Outcome], *, acceptor: Acceptor) -> Reply:
    """The answer to a request: that of its one submission, or a list with one result for each."""
    if not request.single:
        results = tuple(_listed(index, each, acceptor) for index, each in enumerate(outcomes))
        return Reply(200, bodies.BatchAnswer(results=results).spelt())
    (outcome,) = outcomes
    if isinstance(outcome, Refused):
        return Reply(outcome.status, _problem(outcome).spelt())
    accepted = AcceptedReferral.model_validate(_fields(outcome, acceptor))
    return Reply(202, accepted.spelt(), f"/v1/referrals/{outcome.referral_id}")


def _listed(index: int, outcome: Outcome, acceptor: Acceptor) -> bodies.BatchAccepted | bodies.BatchRefused:
    if isinstance(outcome, Refused):
        return bodies.BatchRefused(index=index, status=outcome.status, problem=_problem(outcome))
    return bodies.BatchAccepted.model_validate({"index": index, "status": 202} | _fields(outcome, acceptor))


def _fields(prepared: Prepared, acceptor: Acceptor) -> dict[str, object]:
    """What `AcceptedReferral` says of it, to be validated in one pass: this is on the way of every filing."""
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
        "acceptance": acceptor.accept(
            prepared.referral_id, prepared.origin, body_sha256=prepared.body_sha256, at=prepared.accepted_at
        ),
    }


def _problem(refused: Refused) -> Problem:
    if isinstance(refused, ExternalRefExists):
        referral = f"/v1/referrals/{refused.referral_id}"
        return bodies.ReferenceTaken(**dict(problem_body(refused)), referral=referral)
    return problem_body(refused)
