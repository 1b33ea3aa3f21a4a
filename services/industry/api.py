"""The HTTP door: notices issued to a provider. Filing its own referrals is `shared.runtime.origin.routes`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from services.industry import use_cases
from services.industry.domain import NoticeAct, NoticeState
from services.industry.store import PostgresNotices
from services.industry.use_cases import Acting
from shared.contracts.base import Contract, Instant, PartyId
from shared.contracts.referral import NoticeActions
from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import Clock
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.acts import Acts
from shared.runtime.database import Database, Scope, Session
from shared.runtime.http import accepts, read_json, read_model
from shared.runtime.identity import Identity
from shared.runtime.origin.routes import Code, Cursor, Limit
from shared.vocabulary.answers import NoticeRejection

#: A use case that moves one notice, its words given.
Move = Callable[[UUID, Acting], Awaitable[NoticeState]]


class Moved(Protocol):
    """Runs a move for one request and answers with the state it led to."""

    async def __call__(
        self, request: Request, identity: Identity, action: NoticeAct, *, notice_id: UUID, move: Move
    ) -> Response: ...


class NoticeActionReport(Contract):
    """What was done, and when it took effect."""

    actions: NoticeActions
    effective_at: Instant


class NoticeRefusal(Contract):
    """Why the provider does not act."""

    reason: NoticeRejection


class NoticeDisowning(Contract):
    """The provider that hosts the items instead, if known."""

    suggested: PartyId | None = None


def notices_router(
    database: Database,
    acts: Acts,
    identified: Callable[[Request], Awaitable[Identity]],
    *,
    kek: KeyEncryptionKey,
    directory: Callable[[], DirectoryIndex],
    clock: Clock,
) -> APIRouter:
    """The routes under /v1/notices."""
    router = APIRouter(prefix="/v1/notices", tags=["notices"])
    who = Depends(identified)

    async def moved(
        request: Request, identity: Identity, action: NoticeAct, *, notice_id: UUID, move: Move
    ) -> Response:
        async def act(session: Session) -> Mapping[str, Any]:
            notices = PostgresNotices(session.driver, kek)
            acting = Acting(identity.party, identity.role, notices, directory(), clock.now())
            state = await move(notice_id, acting)
            return {"notice_id": str(notice_id), "state": state}

        return await acts.once(request, identity, action, act=act)

    _add_looking(router, database, who, kek=kek)
    _add_answering(router, who, moved)
    return router


def _add_looking(router: APIRouter, database: Database, who: Any, *, kek: KeyEncryptionKey) -> None:
    @router.get("")
    async def page(identity: Identity = who, state: Code = None, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """The notices issued to this provider, newest first."""
        async with database.transaction(Scope([identity.party], identity.role, "read")) as session:
            notices = PostgresNotices(session.driver, kek)
            found = await use_cases.list_notices(
                role=identity.role, notices=notices, state=state, cursor=cursor, limit=limit
            )
            return JSONResponse(found)

    @router.get("/{notice_id}")
    async def show(notice_id: UUID, identity: Identity = who) -> Response:
        """One notice with its opened record."""
        async with database.transaction(Scope([identity.party], identity.role, "read")) as session:
            notices = PostgresNotices(session.driver, kek)
            return JSONResponse(await use_cases.show_notice(notice_id, role=identity.role, notices=notices))


def _add_answering(router: APIRouter, who: Any, moved: Moved) -> None:
    @router.post("/{notice_id}:acknowledge", status_code=202)
    async def acknowledge(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say that the organisation has the notice in hand."""
        return await moved(
            request, identity, NoticeAct.ACKNOWLEDGE, notice_id=notice_id, move=use_cases.acknowledge_notice
        )

    @router.post("/{notice_id}:action", status_code=202, openapi_extra=accepts(NoticeActionReport))
    async def action(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Report what was done, and when it took effect."""
        wanted = read_model(NoticeActionReport, await read_json(request))
        move = partial(use_cases.action_notice, actions=wanted.actions, effective_at=wanted.effective_at)
        return await moved(request, identity, NoticeAct.ACTION, notice_id=notice_id, move=move)

    @router.post("/{notice_id}:reject", status_code=202, openapi_extra=accepts(NoticeRefusal))
    async def reject(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Reject the notice, with the reason."""
        wanted = read_model(NoticeRefusal, await read_json(request))
        move = partial(use_cases.reject_notice, reason=wanted.reason)
        return await moved(request, identity, NoticeAct.REJECT, notice_id=notice_id, move=move)

    @router.post("/{notice_id}:not-ours", status_code=202, openapi_extra=accepts(NoticeDisowning))
    async def not_ours(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say that this provider does not host the items."""
        wanted = read_model(NoticeDisowning, await read_json(request))
        move = partial(use_cases.disown_notice, suggested=wanted.suggested)
        return await moved(request, identity, NoticeAct.DISOWN, notice_id=notice_id, move=move)

    @router.post("/{notice_id}:acknowledge-withdrawal", status_code=202)
    async def acknowledge_withdrawal(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say to the notifier that this provider has stopped acting on the notice."""
        move = use_cases.acknowledge_withdrawal
        return await moved(request, identity, NoticeAct.ACKNOWLEDGE_WITHDRAWAL, notice_id=notice_id, move=move)
