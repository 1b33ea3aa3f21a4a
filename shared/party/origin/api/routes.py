"""The HTTP door of an origin: filing, looking and withdrawing, the same paths at every originating service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic_core import from_json
from starlette.responses import JSONResponse, Response

from shared.contracts.base import Contract
from shared.contracts.referral import ReferralSubmission
from shared.exchange.origin import ReferralState
from shared.kernel.errors import Refused
from shared.party.origin.api import bodies
from shared.party.origin.use_cases.intake import Reply, Submission
from shared.party.origin.use_cases.intake import Request as IntakeRequest
from shared.party.origin.use_cases.referrals import Referrals
from shared.routing.engine import Judged
from shared.runtime.database.transactions import Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.edge import read_json, read_list, read_model
from shared.runtime.http.idempotency import body_hash, read_key
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does, shows
from shared.runtime.http.paging import Cursor, Limit
from shared.runtime.http.problems import PROBLEM_JSON, problem_body
from shared.runtime.watch.telemetry import current_traceparent
from shared.vocabulary.referral import WithdrawalReason
from shared.vocabulary.routing import WorkReason


class Withdrawal(Contract):
    """Why the origin takes the referral back."""

    reason: WithdrawalReason


def origin_router(referrals: Referrals, acts: Acts, identified: Callable[[Request], Awaitable[Identity]]) -> APIRouter:
    """The routes under /v1/referrals and /v1/work."""
    router = APIRouter(prefix="/v1", tags=["referrals"])
    who = Depends(identified)
    _add_filing(router, referrals, who)
    _add_looking(router, referrals, who)

    @router.post(
        "/referrals/{referral_id}:withdraw",
        **does(bodies.WithdrawnReferral, takes=[Withdrawal], conflict=None),
    )
    async def withdraw(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Take a referral back. What is withdrawn already is answered alike; the first reason stands."""
        wanted = read_model(Withdrawal, await read_json(request))

        async def act(session: Session) -> Mapping[str, Any]:
            await referrals.withdraw(session, referral_id, wanted.reason, party=identity.party, role=identity.role)
            return {"referral_id": str(referral_id), "state": "withdrawn"}

        return await acts.once(request, identity, "withdraw", act=act)

    return router


def _add_filing(router: APIRouter, referrals: Referrals, who: Any) -> None:
    @router.post(
        "/referrals",
        **does(bodies.AcceptedReferral, takes=[ReferralSubmission], conflict=bodies.ReferenceTaken, location=True),
    )
    async def submit(request: Request, identity: Identity = who) -> Response:
        """File one referral. 202 means that it is durable here, not that anybody has received it."""
        return await _file(request, identity, referrals, single=True)

    @router.post(
        "/referrals:batch",
        **does(bodies.BatchAnswer, takes=[bodies.ReferralBatch], status=200, conflict=None),
    )
    async def submit_batch(request: Request, identity: Identity = who) -> Response:
        """File up to 100 referrals; each has its own result, and one that is refused does not hold up the others."""
        return await _file(request, identity, referrals, single=False)

    @router.post(
        "/referrals:check",
        **shows(bodies.CheckAnswer, takes=[ReferralSubmission, bodies.ReferralBatch]),
    )
    async def check(request: Request, identity: Identity = who) -> Response:
        """Say what would happen, without storing anything: refusals, and where each referral would go and why."""
        submissions = [_parsed(value) for value in await _one_or_many(request)]
        checked = referrals.check(submissions, party=identity.party, role=identity.role)
        return JSONResponse({"results": [_checked(index, each) for index, each in enumerate(checked)]})


def _add_looking(router: APIRouter, referrals: Referrals, who: Any) -> None:
    @router.get("/referrals", **shows(bodies.ReferralPage))
    async def page(
        identity: Identity = who, state: ReferralState | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """The party's referrals, newest first."""
        found = await referrals.page(party=identity.party, role=identity.role, state=state, cursor=cursor, limit=limit)
        return JSONResponse(found)

    @router.get("/referrals/{referral_id}", **shows(bodies.ShownReferral))
    async def show(referral_id: UUID, identity: Identity = who) -> Response:
        """One referral with its three ticks: accepted, delivered, acknowledged."""
        return JSONResponse(await referrals.show(referral_id, party=identity.party, role=identity.role))

    @router.get("/work", **shows(bodies.WorkPage))
    async def work(
        identity: Identity = who, reason: WorkReason | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """What went nowhere, each with the named reason."""
        found = await referrals.work(
            party=identity.party, role=identity.role, reason=reason, cursor=cursor, limit=limit
        )
        return JSONResponse(found)


async def _file(request: Request, identity: Identity, referrals: Referrals, *, single: bool) -> Response:
    key = read_key(request.headers.get("idempotency-key"))
    values: Sequence[Any] = [await read_json(request)] if single else await read_list(request, "referrals")
    party, trace = referrals.origin(identity.party), current_traceparent()
    submissions = [Submission(party, identity.role, _parsed(value), trace) for value in values]
    wanted = IntakeRequest(submissions, key, body_hash(request.url.path, await request.body()), single)
    return _response(await referrals.submit(wanted, role=identity.role))


async def _one_or_many(request: Request) -> Sequence[dict[str, Any] | Refused]:
    """A list where the body is one, else the single referral that it is."""
    try:
        body = from_json(await request.body())
    except ValueError:
        body = None  # refused as a single one, with the rule that it breaks
    if isinstance(body, dict) and "referrals" in body:
        return await read_list(request, "referrals")
    return [await read_json(request)]


def _parsed(value: dict[str, Any] | Refused) -> ReferralSubmission | Refused:
    if isinstance(value, Refused):
        return value
    try:
        return read_model(ReferralSubmission, value)
    except Refused as error:
        return error


def _checked(index: int, outcome: Judged | Refused) -> dict[str, Any]:
    if isinstance(outcome, Refused):
        return {"index": index, "ok": False, "problem": problem_body(outcome)}
    recipients = [
        {
            "recipient": edge.recipient,
            "purpose": edge.terms.purpose,
            "reason": edge.terms.reason,
            "rules": edge.terms.rules,
        }
        for edge in outcome.edges
    ]
    stated = {"index": index, "ok": True, "state": outcome.disposition, "recipients": recipients}
    return stated | {"work_reason": outcome.work_reason, "not_sent": outcome.not_sent}


def _response(answer: Reply) -> Response:
    headers = {"Location": answer.location} if answer.location else None
    kind = PROBLEM_JSON if answer.status >= 400 else "application/json"
    return Response(answer.body, status_code=answer.status, media_type=kind, headers=headers)
