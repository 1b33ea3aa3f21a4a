"""The HTTP door of an origin: it lets hotlines that have its referral claim it."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.contracts.transfers import Transferring
from shared.party.origin.api.changes import ActsOnReferrals, Identified
from shared.party.origin.domain import TransferredReferral
from shared.party.origin.use_cases.transfers import TRANSFER
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does


def add_transfer_route(router: APIRouter, origin: ActsOnReferrals, identified: Identified) -> None:
    """Add the route. `identified` says who asks."""
    who = Depends(identified)

    @router.post("/referrals/{referral_id}:transfer", **does(TransferredReferral, takes=[Transferring]))
    async def transfer(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Let a hotline that has the referral claim it, or whoever has it by an orphan's mandate: one will have it."""
        return await origin.act(TRANSFER, referral_id, request, identity=identity)
