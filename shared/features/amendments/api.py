"""HTTP routes that change the content of a referral."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from shared.core.canonical import digest
from shared.core.contracts.referral import ReferralSubmission
from shared.core.errors import Refused
from shared.features.amendments.service import AMEND, REROUTE, Rerouting, amend_referral, reroute_referral
from shared.features.filing import rules
from shared.features.filing.api.act_handlers import OriginApi, OriginFeature
from shared.features.filing.api.bodies import parsed
from shared.features.filing.service.referrals import Actor
from shared.platform.http.edge import read_json, read_model
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import IDEMPOTENCY_KEY, Described, does
from shared.platform.http.problems import Problem

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


def add_amendment_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the routes that change the content of a referral."""

    @router.post(
        "/referrals/{referral_id}:amend", **_with_if_match(does(rules.AmendedReferral, takes=[ReferralSubmission]))
    )
    async def amend(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Replace a revision with the posted content. Only recipients with a change get a message."""
        revision = read_revision(request.headers.get("if-match"))
        posted = digest(await request.body())
        submission = parsed(await read_json(request))
        if isinstance(submission, Refused):
            raise submission

        async def wanted(acting: Actor) -> rules.AmendedReferral:
            return await amend_referral(referral_id, submission, acting, revision=revision, body_sha256=posted)

        return await origin.change(AMEND, request, identity, wanted=wanted)

    @router.post("/referrals/{referral_id}:reroute", **does(rules.AmendedReferral, takes=[Rerouting]))
    async def reroute(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Send items that a provider does not host to the provider that does. Neither provider learns of the other."""
        posted = digest(await request.body())
        where = read_model(Rerouting, await read_json(request))

        async def wanted(acting: Actor) -> rules.AmendedReferral:
            return await reroute_referral(referral_id, where, acting, body_sha256=posted)

        return await origin.change(REROUTE, request, identity, wanted=wanted)


AMENDMENTS: Final = OriginFeature(add_amendment_routes, {})


def _with_if_match(said: Described) -> Described:
    said["openapi_extra"]["parameters"] = [dict(IDEMPOTENCY_KEY), dict(IF_MATCH)]
    said["responses"] |= {status: {"model": Problem, "description": why} for status, why in _PRECONDITIONS.items()}
    return said
