"""The routes by which an origin changes what it has filed: they read the request, and hand it to the use cases."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.contracts.referral import ReferralSubmission
from shared.exchange.act import Act
from shared.kernel.canonical import digest
from shared.kernel.errors import Refused
from shared.party.origin.api.checking import parsed
from shared.party.origin.domain import AmendedReferral
from shared.party.origin.use_cases.amend import AMEND, REROUTE, Changing, amend_referral
from shared.party.origin.use_cases.reroute import Rerouting, reroute_referral
from shared.runtime.http.edge import read_json, read_model
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import IDEMPOTENCY_KEY, Described, does
from shared.runtime.http.problems import Problem

#: Says who asks, before anything else is done.
Identified = Callable[[Request], Awaitable[Identity]]
#: What is done within the transaction of a change.
Changed = Callable[[Changing], Awaitable[AmendedReferral]]
#: The header that names the revision which is amended (RFC 9110 section 13.1.1), as OpenAPI describes it.
IF_MATCH: Final[Mapping[str, object]] = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The revision that is to be followed, in quotes, as looking at the referral shows it.",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,4}"$'},
}
_IF_MATCH: Final = re.compile(r'"([0-9]{1,4})"')


class ActsOnReferrals(Protocol):
    """Does an act on a referral once for its request's idempotency key, with the words that its row names."""

    async def act(self, act: Act, referral_id: UUID, request: Request, /, *, identity: Identity) -> Response: ...


class Changes(Protocol):
    """Does a change once for its request's idempotency key."""

    async def change(self, act: Act, request: Request, identity: Identity, *, wanted: Changed) -> Response: ...


def read_revision(header: str | None) -> int:
    """The revision that a request names. Raises `Refused`: `if_match_needed`, `header_invalid`."""
    if header is None:
        raise Refused("if_match_needed", 'say which revision you amend: If-Match: "1"', status=428)
    found = _IF_MATCH.fullmatch(header)
    if found is None:
        raise Refused("header_invalid", 'a revision in quotes: If-Match: "1"', field="If-Match", status=400)
    return int(found[1])


def add_change_routes(router: APIRouter, origin: Changes, identified: Identified) -> None:
    """Add the routes under /referrals that change one."""
    who = Depends(identified)

    @router.post("/referrals/{referral_id}:amend", **_with_if_match(does(AmendedReferral, takes=[ReferralSubmission])))
    async def amend(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Have what is posted stand in the place of a revision. Whom it changes nothing for is told nothing."""
        revision = read_revision(request.headers.get("if-match"))
        posted = digest(await request.body())
        submission = parsed(await read_json(request))
        if isinstance(submission, Refused):
            raise submission

        async def wanted(changing: Changing) -> AmendedReferral:
            return await amend_referral(referral_id, submission, changing, revision=revision, body_sha256=posted)

        return await origin.change(AMEND, request, identity, wanted=wanted)

    @router.post("/referrals/{referral_id}:reroute", **does(AmendedReferral, takes=[Rerouting]))
    async def reroute(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Send what a provider has disowned to the one that hosts it: neither learns of the other."""
        posted = digest(await request.body())
        where = read_model(Rerouting, await read_json(request))

        async def wanted(changing: Changing) -> AmendedReferral:
            return await reroute_referral(referral_id, where, changing, body_sha256=posted)

        return await origin.change(REROUTE, request, identity, wanted=wanted)


_PRECONDITIONS: Final = {412: "Another revision stands.", 428: "No revision was named."}


def _with_if_match(said: Described) -> Described:
    said["openapi_extra"]["parameters"] = [dict(IDEMPOTENCY_KEY), dict(IF_MATCH)]
    said["responses"] |= {status: {"model": Problem, "description": why} for status, why in _PRECONDITIONS.items()}
    return said
