"""Request and answer bodies of filing and checking. A list item has the answer that it would have alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints
from pydantic_core import to_json

from shared.core.clock import rfc3339
from shared.core.contracts.base import Contract, JsonObject
from shared.core.contracts.decision import NotSent
from shared.core.contracts.fields import Url
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.protocol.acceptance import AcceptedItem, Acceptor
from shared.core.protocol.prepare import Prepared
from shared.core.vocabulary.routing import WorkReason
from shared.features.filing import rules
from shared.features.filing.rules import Request as Filed
from shared.platform.http.bodies import BATCH_ITEMS_MAX
from shared.platform.http.edge import read_model
from shared.platform.http.problems import Problem, problem_body

#: The index of an item in the posted list, from 0.
Index = Annotated[int, Field(ge=0, lt=BATCH_ITEMS_MAX)]
ReferralPath = Annotated[str, StringConstraints(pattern=r"^/v1/referrals/[0-9a-f-]{36}$")]


class ReferralBatch(Contract):
    """Several referrals at once, each within the limits of a single one."""

    referrals: Annotated[tuple[ReferralSubmission, ...], Field(min_length=1, max_length=BATCH_ITEMS_MAX)]


class ReferenceTaken(Problem):
    """This sender has filed this external reference before, as `referral`."""

    referral: ReferralPath


class BatchAccepted(rules.AcceptedReferral):
    """An accepted item, as if posted alone."""

    index: Index
    status: Literal[202]


class BatchRefused(Contract):
    """A refused item, with the status and problem as if posted alone."""

    index: Index
    status: Annotated[int, Field(ge=400, le=499)]
    problem: ReferenceTaken | Problem


class BatchAnswer(Contract):
    """One result for each item, in their order."""

    results: tuple[BatchAccepted | BatchRefused, ...]


class CutPreview(rules.Cut):
    """The redaction of item `n`; `target` is the address behind a redirector, which would replace the location."""

    target: Url | None = None


class CheckPassed(Contract):
    """The result that an item would have: recipients, those that a prohibition excludes, and changes of locations.

    For an `unreleased` item, the recipients are those after the release by a second person.
    """

    index: Index
    ok: Literal[True]
    state: rules.FiledState
    work_reason: WorkReason | None
    recipients: tuple[rules.Recipient, ...]
    not_sent: tuple[NotSent, ...]
    cut: tuple[CutPreview, ...] = ()
    respelled: rules.Respelled = ()


class CheckRefused(Contract):
    """The reason why an item would be refused."""

    index: Index
    ok: Literal[False]
    problem: Problem


class CheckAnswer(Contract):
    """One result for each item, in their order. Nothing was stored."""

    results: tuple[CheckPassed | CheckRefused, ...]


#: JSON objects: the signed acceptances of one transaction, by referral.
_Acceptances = Mapping[UUID, Mapping[str, object]]


def parsed(value: JsonObject | Refused) -> ReferralSubmission | Refused:
    """Return the submission, or the reason why the value is none."""
    if isinstance(value, Refused):
        return value
    try:
        return read_model(ReferralSubmission, value)
    except Refused as error:
        return error


def answer_filed(
    requests: Sequence[Filed], outcomes: Sequence[Sequence[rules.Outcome]], at: datetime, *, acceptor: Acceptor
) -> list[rules.HttpReply]:
    """Return the answer to each request of one transaction, which accepts at `at`. All acceptances are signed once.

    Answers are written as JSON without their models, because every filing passes here.
    """
    prepared = [each for of_one in outcomes for each in of_one if isinstance(each, Prepared)]
    items = [AcceptedItem(each.referral_id, each.origin, each.body_sha256) for each in prepared]
    signed = acceptor.accept(items, at=at) if items else []
    acceptances = {each.referral_id: acceptance for each, acceptance in zip(prepared, signed, strict=True)}
    return [_answer(*each, acceptances) for each in zip(requests, outcomes, strict=True)]


def _answer(request: Filed, outcomes: Sequence[rules.Outcome], acceptances: _Acceptances) -> rules.HttpReply:
    if not request.single:
        results = [_listed(index, each, acceptances) for index, each in enumerate(outcomes)]
        return rules.HttpReply(200, to_json({"results": results}))
    (outcome,) = outcomes
    if isinstance(outcome, Refused):
        return rules.HttpReply(outcome.status, _problem(outcome).spelt())
    return rules.HttpReply(202, to_json(_accepted(outcome, acceptances)), f"/v1/referrals/{outcome.referral_id}")


def _listed(index: int, outcome: rules.Outcome, acceptances: _Acceptances) -> dict[str, object]:
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
        "work_reason": prepared.unrouted_reason,
        "accepted_at": rfc3339(prepared.accepted_at),
        "recipients": [
            {"recipient": each.recipient, "purpose": each.purpose, "reason": each.reason, "rules": each.rules}
            for each in prepared.emitted
        ],
        "decision": {name: value for name, value in prepared.decision.items() if name != "salt"},
    }
    if prepared.cut:
        accepted["cut"] = prepared.cut
    if prepared.respelled:
        accepted["respelled"] = prepared.respelled
    return accepted | {"acceptance": acceptances[prepared.referral_id]}


def _problem(refused: Refused) -> Problem:
    if isinstance(refused, rules.ExternalRefExists):
        referral = f"/v1/referrals/{refused.referral_id}"
        return ReferenceTaken(**dict(problem_body(refused)), referral=referral)
    return problem_body(refused)
