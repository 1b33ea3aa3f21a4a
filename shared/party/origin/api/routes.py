"""HTTP routes of an origin: checking, reading, changing and withdrawing referrals, the same at every service.

The `api` of a service adds them, together with its own routes for filing, which call `OriginApi.file`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.core.acts.act import Subject
from shared.core.acts.states import row
from shared.core.canonical import digest
from shared.core.contracts.answers import ItemChecks, TransferRequest
from shared.core.contracts.base import Contract
from shared.core.contracts.holds import HoldOverride, OverrideApproval
from shared.core.contracts.questions import Reply, Ruling
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.core.protocol.origin import ReferralState
from shared.party.list_query import Finding
from shared.party.origin import domain
from shared.party.origin.api import bodies
from shared.party.origin.api.act_handlers import OriginApi, OriginFeature
from shared.party.origin.api.bodies import parsed
from shared.party.origin.use_cases.amend import AMEND, REROUTE, Rerouting, amend_referral, reroute_referral
from shared.party.origin.use_cases.holds import CONFIRM, PROPOSE, confirm_override, follow_edges, propose_override
from shared.party.origin.use_cases.questions import DROP, RELEASE, answer_question, check_items
from shared.party.origin.use_cases.referrals import Actor, Withdrawal, show_referral
from shared.party.origin.use_cases.transfers import TRANSFER, transfer_referral
from shared.platform.http.edge import read_json, read_model
from shared.platform.http.identity import IdentifiedRoute, Identity
from shared.platform.http.openapi import IDEMPOTENCY_KEY, Described, does, shows
from shared.platform.http.paging import Cursor, Limit
from shared.platform.http.problems import Problem

#: Declarations for the filing routes, which each service mounts in its own `api` and passes to `OriginApi.file`.
FILES_ONE: Final = does(
    domain.AcceptedReferral, takes=[ReferralSubmission], conflict=bodies.ReferenceTaken, location=True
) | {
    "name": "submit",
    "description": "File one referral. 202 means that it is stored here, not that a recipient has received it.",
}
FILES_MANY: Final = does(bodies.BatchAnswer, takes=[bodies.ReferralBatch], status=200, conflict=None) | {
    "name": "submit_batch",
    "description": "File up to 100 referrals. Each has its own result; a refused one does not affect the others.",
}
#: OpenAPI description of the header that names the revision to amend (RFC 9110 section 13.1.1).
IF_MATCH: Final[Mapping[str, object]] = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The revision to replace, in quotes, as the referral shows it.",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,4}"$'},
}
_IF_MATCH: Final = re.compile(r'"([0-9]{1,4})"')
_PRECONDITIONS: Final = {412: "The referral has another revision.", 428: "The request names no revision."}


def read_revision(header: str | None) -> int:
    """Return the revision that a request names. Raises `Refused`: `if_match_needed`, `header_invalid`."""
    if header is None:
        raise Refused("if_match_needed", 'name the revision to amend, such as If-Match: "1"', status=428)
    found = _IF_MATCH.fullmatch(header)
    if found is None:
        raise Refused(
            "header_invalid", 'give the revision in quotes, such as If-Match: "1"', field="If-Match", status=400
        )
    return int(found[1])


def filing_router() -> APIRouter:
    """Return the empty router of an origin's routes. Its routes for filing skip the search for parameters."""
    return APIRouter(prefix="/v1", tags=["referrals"], route_class=IdentifiedRoute)


def add_origin_routes(router: APIRouter, origin: OriginApi) -> APIRouter:
    """Add the routes under /referrals and /work, except those for filing, which each service mounts itself."""
    who = Depends(origin.serving.identified)

    @router.post("/referrals:check", **shows(bodies.CheckAnswer, takes=[ReferralSubmission, bodies.ReferralBatch]))
    async def check(request: Request, identity: Identity = who) -> Response:
        """Check referrals without storing anything. Return refusals, or each referral's recipients with the reasons."""
        return await origin.check(request, identity)

    @router.get("/referrals", **shows(domain.ReferralPage))
    async def page(
        sought: Finding,
        identity: Identity = who,
        state: ReferralState | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """List the party's referrals, newest first. With `party`, a page may be short although more pages follow."""
        async with origin.reading(identity) as acting:
            page = acting.referrals.page(acting.party, sought, state=state, cursor=cursor, limit=limit)
            return _answer(await page)

    @router.get("/referrals/{referral_id}", **shows(domain.ShownReferral))
    async def show(referral_id: UUID, identity: Identity = who) -> Response:
        """Show one referral with its three ticks: accepted, delivered, acknowledged."""
        async with origin.reading(identity) as acting:
            return _answer(await show_referral(referral_id, acting))

    @router.get("/work", **shows(domain.WorkPage))
    async def work(
        identity: Identity = who, reason: domain.ListReason | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """List referrals that did not reach every recipient, each with the reason."""
        async with origin.reading(identity) as acting:
            return _answer(await acting.referrals.work(acting.party, reason=reason, cursor=cursor, limit=limit))

    @router.post(
        "/referrals/{referral_id}:withdraw", **does(domain.WithdrawnReferral, takes=[Withdrawal], conflict=None)
    )
    async def withdraw(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Withdraw a referral. A repetition gets the same answer, and the first reason remains."""
        act = row(Subject.REFERRAL, "withdraw")
        return await origin.act(act, referral_id, request, identity=identity, takes=Withdrawal)

    _add_reviews(router, origin, who)
    for feature in origin.features:
        feature.routes(router, origin, who)
    return router


def _add_reviews(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the routes of the second review."""

    @router.post("/referrals/{referral_id}:release", **does(domain.ReviewedReferral))
    async def release(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Release another person's referral that is above its budget or above the daily quota."""
        return await origin.act(RELEASE, referral_id, request, identity=identity)

    @router.post("/referrals/{referral_id}:drop", **does(domain.ReviewedReferral))
    async def drop(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Erase another person's referral instead of releasing it."""
        return await origin.act(DROP, referral_id, request, identity=identity)


def add_recheck_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the route for rechecks."""

    @router.post("/referrals/{referral_id}:check", **does(domain.CheckedReferral, takes=[ItemChecks]))
    async def check_found(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Report the recheck of items that notices were sent about. A removed item may be available again."""
        return await origin.act(row(Subject.REFERRAL, "check"), referral_id, request, identity=identity)


RECHECKS: Final = OriginFeature(add_recheck_routes, {ItemChecks: check_items})


def add_hold_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the routes by which two people override a hold."""

    @router.post("/referrals/{referral_id}:propose-override", **does(domain.OverrideResult, takes=[HoldOverride]))
    async def propose_override(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Propose to override a hold, with the reason. It takes effect when another person confirms it."""
        return await origin.act(PROPOSE, referral_id, request, identity=identity)

    @router.post("/referrals/{referral_id}:confirm-override", **does(domain.OverrideResult, takes=[OverrideApproval]))
    async def confirm_override(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """End a hold that another person has proposed to override."""
        return await origin.act(CONFIRM, referral_id, request, identity=identity)


HOLDS: Final = OriginFeature(
    add_hold_routes, {HoldOverride: propose_override, OverrideApproval: confirm_override}, follow_edges
)


def add_transfer_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the route for transfers."""

    @router.post("/referrals/{referral_id}:transfer", **does(domain.TransferredReferral, takes=[TransferRequest]))
    async def transfer(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Permit one hotline, or all with an orphan's mandate, to claim the referral. The first claim is granted."""
        return await origin.act(TRANSFER, referral_id, request, identity=identity)


TRANSFERS: Final = OriginFeature(add_transfer_routes, {TransferRequest: transfer_referral})


def add_question_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the routes for answers to questions and disputes."""

    @router.post("/referrals/{referral_id}:reply", **does(domain.AnsweredQuestion, takes=[Reply]))
    async def reply(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Answer a recipient's question about items, once: by codes, by an amendment, or that you cannot answer."""
        return await origin.act(row(Subject.REFERRAL, "reply"), referral_id, request, identity=identity)

    @router.post("/referrals/{referral_id}:uphold", **does(domain.AnsweredQuestion, takes=[Ruling]))
    async def uphold(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Decide a dispute: for each item, uphold or concede the content that was sent."""
        return await origin.act(row(Subject.REFERRAL, "uphold"), referral_id, request, identity=identity)


QUESTIONS: Final = OriginFeature(add_question_routes, {Reply: answer_question, Ruling: answer_question})


def add_amendment_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the routes that change the content of a referral."""

    @router.post(
        "/referrals/{referral_id}:amend", **_with_if_match(does(domain.AmendedReferral, takes=[ReferralSubmission]))
    )
    async def amend(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Replace a revision with the posted content. Only recipients with a change get a message."""
        revision = read_revision(request.headers.get("if-match"))
        posted = digest(await request.body())
        submission = parsed(await read_json(request))
        if isinstance(submission, Refused):
            raise submission

        async def wanted(acting: Actor) -> domain.AmendedReferral:
            return await amend_referral(referral_id, submission, acting, revision=revision, body_sha256=posted)

        return await origin.change(AMEND, request, identity, wanted=wanted)

    @router.post("/referrals/{referral_id}:reroute", **does(domain.AmendedReferral, takes=[Rerouting]))
    async def reroute(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Send items that a provider does not host to the provider that does. Neither provider learns of the other."""
        posted = digest(await request.body())
        where = read_model(Rerouting, await read_json(request))

        async def wanted(acting: Actor) -> domain.AmendedReferral:
            return await reroute_referral(referral_id, where, acting, body_sha256=posted)

        return await origin.change(REROUTE, request, identity, wanted=wanted)


AMENDMENTS: Final = OriginFeature(add_amendment_routes, {})


def _with_if_match(said: Described) -> Described:
    said["openapi_extra"]["parameters"] = [dict(IDEMPOTENCY_KEY), dict(IF_MATCH)]
    said["responses"] |= {status: {"model": Problem, "description": why} for status, why in _PRECONDITIONS.items()}
    return said


def _answer(view: Contract) -> Response:
    return Response(view.spelt(), media_type="application/json")
