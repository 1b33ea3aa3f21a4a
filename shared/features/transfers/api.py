"""The HTTP route for transfers of referrals to hotlines."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from shared.core.contracts.answers import TransferRequest
from shared.features.filing.api.act_handlers import OriginApi, OriginFeature
from shared.features.transfers import ports
from shared.features.transfers.service import TRANSFER, transfer_referral
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does


def add_transfer_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the route for transfers."""

    @router.post("/referrals/{referral_id}:transfer", **does(ports.TransferredReferral, takes=[TransferRequest]))
    async def transfer(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Permit one hotline, or all with an orphan's mandate, to claim the referral. The first claim is granted."""
        return await origin.act(TRANSFER, referral_id, request, identity=identity)


TRANSFERS: Final = OriginFeature(add_transfer_routes, {TransferRequest: transfer_referral})
