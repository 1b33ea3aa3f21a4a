"""The routes by which an origin answers what recipients ask or contest."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.contracts.questions import Reply, Verdict
from shared.exchange.act import Subject
from shared.exchange.states import row
from shared.party.origin.api.changes import ActsOnReferrals, Identified
from shared.party.origin.domain import AnsweredQuestion
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does

REPLY: Final = row(Subject.REFERRAL, "reply")
UPHOLD: Final = row(Subject.REFERRAL, "uphold")


def add_question_routes(router: APIRouter, origin: ActsOnReferrals, identified: Identified) -> None:
    """Add the two routes. `identified` says who asks."""
    who = Depends(identified)

    @router.post("/referrals/{referral_id}:reply", **does(AnsweredQuestion, takes=[Reply]))
    async def reply(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Answer what a recipient asks about items, once: by codes, by an amendment, or that it cannot be said."""
        return await origin.act(REPLY, referral_id, request, identity=identity)

    @router.post("/referrals/{referral_id}:uphold", **does(AnsweredQuestion, takes=[Verdict]))
    async def uphold(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say of each item that a recipient contests whether what was sent stands, or is conceded."""
        return await origin.act(UPHOLD, referral_id, request, identity=identity)
