"""HTTP routes by which two people of an origin override a hold."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from shared.core.contracts.holds import HoldOverride, OverrideApproval
from shared.features.filing.api.act_handlers import OriginApi, OriginFeature
from shared.features.holds import ports
from shared.features.holds.service import CONFIRM, PROPOSE, confirm_override, follow_edges, propose_override
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does


def add_hold_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the routes by which two people override a hold."""

    @router.post("/referrals/{referral_id}:propose-override", **does(ports.OverrideResult, takes=[HoldOverride]))
    async def propose_override(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Propose to override a hold, with the reason. It takes effect when another person confirms it."""
        return await origin.act(PROPOSE, referral_id, request, identity=identity)

    @router.post("/referrals/{referral_id}:confirm-override", **does(ports.OverrideResult, takes=[OverrideApproval]))
    async def confirm_override(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """End a hold that another person has proposed to override."""
        return await origin.act(CONFIRM, referral_id, request, identity=identity)


HOLDS: Final = OriginFeature(
    add_hold_routes, {HoldOverride: propose_override, OverrideApproval: confirm_override}, follow_edges
)
