"""The route by which an origin says what it has found when it looked again."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.contracts.checks import ItemChecks
from shared.party.origin.api.changes import Identified
from shared.party.origin.domain import CheckedReferral
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does


class Checks(Protocol):
    """Keeps what was found, once for its request's idempotency key."""

    async def check_items(self, referral_id: UUID, request: Request, identity: Identity) -> Response: ...


def add_check_route(router: APIRouter, origin: Checks, identified: Identified) -> None:
    """The route of the act `check`."""
    who = Depends(identified)

    @router.post("/referrals/{referral_id}:check", **does(CheckedReferral, takes=[ItemChecks]))
    async def check_found(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say what was found of items that notices were issued about: what was said removed may be there again."""
        return await origin.check_items(referral_id, request, identity)
