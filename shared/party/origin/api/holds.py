"""The HTTP door of an origin: two persons override what an agency holds."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.contracts.holds import Confirming, Overriding
from shared.party.origin.api.changes import ActsOnReferrals, Identified
from shared.party.origin.domain import Overridden
from shared.party.origin.use_cases.holds import CONFIRM, PROPOSE
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does


def add_override_routes(router: APIRouter, origin: ActsOnReferrals, identified: Identified) -> None:
    """Add the two routes. `identified` says who asks."""
    who = Depends(identified)

    @router.post("/referrals/{referral_id}:propose-override", **does(Overridden, takes=[Overriding]))
    async def propose_override(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say that a hold of the referral should end, and what wins over it. Nothing happens until another confirms."""
        return await origin.act(PROPOSE, referral_id, request, identity=identity)

    @router.post("/referrals/{referral_id}:confirm-override", **does(Overridden, takes=[Confirming]))
    async def confirm_override(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """End a hold that somebody else has proposed to override."""
        return await origin.act(CONFIRM, referral_id, request, identity=identity)
