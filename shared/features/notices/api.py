"""The HTTP route for rechecks of items that notices were sent about."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from shared.core.acts.act import Subject
from shared.core.acts.states import row
from shared.core.contracts.answers import ItemChecks
from shared.features.filing.api.act_handlers import OriginApi, OriginFeature
from shared.features.notices import service
from shared.features.notices.service import check_items
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does


def add_recheck_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the route for rechecks."""

    @router.post("/referrals/{referral_id}:check", **does(service.CheckedReferral, takes=[ItemChecks]))
    async def check_found(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Report the recheck of items that notices were sent about. A removed item may be available again."""
        return await origin.act(row(Subject.REFERRAL, "check"), referral_id, request, identity=identity)


RECHECKS: Final = OriginFeature(add_recheck_routes, {ItemChecks: check_items})
