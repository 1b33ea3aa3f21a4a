"""The HTTP door: flows and entries for auditors. Every look is noted with its purpose before it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import JSONResponse, Response

from services.audit import use_cases
from services.audit.store import PostgresEntries
from shared.runtime.identity import Identity

Topic = Annotated[str, Query(pattern=r"^causeway\.[a-z_.]{1,64}\.v[0-9]{1,2}$", max_length=80)]
Limit = Annotated[int, Query(ge=1, le=500)]
Number = Annotated[int, Query(ge=0, le=2**53 - 1)]
Purpose = Annotated[str | None, Header(max_length=64)]


def flows_router(entries: PostgresEntries, identified: Callable[[Request], Awaitable[Identity]]) -> APIRouter:
    """The routes under /v1/flows and /v1/entries."""
    router = APIRouter(prefix="/v1", tags=["audit"])
    who = Depends(identified)

    @router.get("/flows/{referral_id}")
    async def flow(referral_id: UUID, identity: Identity = who, purpose: Purpose = None) -> Response:
        """All messages of one referral, in the order of the broker's time."""
        found = await use_cases.show_flow(
            referral_id, auditor=identity.party, role=identity.role, purpose=purpose, entries=entries
        )
        return JSONResponse(dict(found))

    @router.get("/entries")
    async def page(
        topic: Topic,
        partition: Number,
        identity: Identity = who,
        from_offset: Number = 0,
        limit: Limit = 100,
        purpose: Purpose = None,
    ) -> Response:
        """The entries of one partition, from an offset on."""
        items = await use_cases.show_entries(
            topic,
            partition,
            from_offset=from_offset,
            limit=limit,
            auditor=identity.party,
            role=identity.role,
            purpose=purpose,
            entries=entries,
        )
        return JSONResponse({"items": items})

    return router
