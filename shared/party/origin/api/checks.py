"""The route by which an origin says what it has found when it looked again."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.contracts.answers import ItemChecks
from shared.exchange.act import Subject
from shared.exchange.states import row
from shared.party.origin.api.changes import ActsOnReferrals, Identified
from shared.party.origin.domain import CheckedReferral
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does

CHECK: Final = row(Subject.REFERRAL, "check")


def add_check_route(router: APIRouter, origin: ActsOnReferrals, identified: Identified) -> None:
    """The route of the act `check`."""
    who = Depends(identified)

    @router.post("/referrals/{referral_id}:check", **does(CheckedReferral, takes=[ItemChecks]))
    async def check_found(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say what was found of items that notices were issued about: what was said removed may be there again."""
        return await origin.act(CHECK, referral_id, request, identity=identity)
