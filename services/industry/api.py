"""The HTTP door: notices issued to a provider. What happens to its own referrals is `shared.party.origin`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field, StringConstraints
from starlette.responses import JSONResponse, Response

from services.industry import use_cases
from services.industry.domain import NoticeAct, NoticeState
from services.industry.store import PostgresNotices
from services.industry.use_cases import Acting
from shared.contracts.base import Contract, Digest, Flag, Instant, PartyId, RuleId, Uuid
from shared.contracts.decision import Facts
from shared.contracts.policy import Deadlines, Handling, LegalBasis
from shared.contracts.referral import NoticeActions, NoticeRecord
from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import Clock
from shared.party.origin.api.routes import FILES_MANY, FILES_ONE, Identified, OriginApi, add_origin_routes
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.edge import read_json, read_model
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does, shows
from shared.runtime.http.paging import Cursor, Limit, NextCursor
from shared.vocabulary.answers import NoticeRejection
from shared.vocabulary.routing import Purpose, Reason, WithheldField

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


class NoticeEdge(Contract):
    """The edge on which a notice came, as far as its provider is shown it."""

    recipient: PartyId
    purpose: Purpose
    rules: Annotated[tuple[RuleId, ...], Field(min_length=1)]
    reason: Reason
    basis: Annotated[tuple[LegalBasis, ...], Field(min_length=1)]
    handling: Handling
    withheld: tuple[WithheldField, ...]
    deadlines: Deadlines
    facts: Facts
    digest: Digest


class ShownNotice(Contract):
    """A notice, and what the provider has answered so far."""

    notice_id: Uuid
    contact: PartyId
    purpose: Purpose
    state: NoticeState
    exercise: Flag
    received_at: Instant
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
    edge: NoticeEdge
    actions: NoticeActions | None
    effective_at: Instant | None
    rejection: NoticeRejection | None
    suggested: PartyId | None


class NoticePage(Contract):
    """Notices, newest first, without their records."""

    items: tuple[ShownNotice, ...]
    next: NextCursor


class OpenedNotice(ShownNotice):
    """A notice with its record, which is null once it was erased."""

    record: NoticeRecord | None


class NoticeMoved(Contract):
    """The state that the act has led to. The notifier will be told."""

    notice_id: Uuid
    state: NoticeState


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

    def acting(identity: Identity, session: Session) -> Acting:
        return Acting(identity.party, identity.role, PostgresNotices(session.driver, kek), directory(), clock.now())

    async def moved(
        request: Request, identity: Identity, action: NoticeAct, *, notice_id: UUID, move: Move
    ) -> Response:
        async def act(session: Session) -> Mapping[str, Any]:
            state = await move(notice_id, acting(identity, session))
            return {"notice_id": str(notice_id), "state": state}

        return await acts.once(request, identity, action, act=act)

    _add_looking(router, database, who, acting=acting)
    _add_answering(router, who, moved)
    return router


def _add_looking(
    router: APIRouter, database: Database, who: Any, *, acting: Callable[[Identity, Session], Acting]
) -> None:
    @router.get("", **shows(NoticePage))
    async def page(
        identity: Identity = who, state: NoticeState | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """The notices issued to this provider, newest first."""
        async with database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            notices = acting(identity, session).notices
            found = await use_cases.list_notices(
                role=identity.role, notices=notices, state=state, cursor=cursor, limit=limit
            )
            return JSONResponse(found)

    @router.get("/{notice_id}", **shows(OpenedNotice))
    async def show(notice_id: UUID, identity: Identity = who) -> Response:
        """One notice with its opened record."""
        async with database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            return JSONResponse(await use_cases.show_notice(notice_id, acting(identity, session)))


def _add_answering(router: APIRouter, who: Any, moved: Moved) -> None:
    @router.post("/{notice_id}:acknowledge", **does(NoticeMoved))
    async def acknowledge(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say that the organisation has the notice in hand."""
        return await moved(
            request, identity, NoticeAct.ACKNOWLEDGE, notice_id=notice_id, move=use_cases.acknowledge_notice
        )

    @router.post("/{notice_id}:action", **does(NoticeMoved, takes=[NoticeActionReport]))
    async def action(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Report what was done, and when it took effect."""
        wanted = read_model(NoticeActionReport, await read_json(request))
        move = partial(use_cases.action_notice, actions=wanted.actions, effective_at=wanted.effective_at)
        return await moved(request, identity, NoticeAct.ACTION, notice_id=notice_id, move=move)

    @router.post("/{notice_id}:reject", **does(NoticeMoved, takes=[NoticeRefusal]))
    async def reject(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Reject the notice, with the reason."""
        wanted = read_model(NoticeRefusal, await read_json(request))
        move = partial(use_cases.reject_notice, reason=wanted.reason)
        return await moved(request, identity, NoticeAct.REJECT, notice_id=notice_id, move=move)

    @router.post("/{notice_id}:not-ours", **does(NoticeMoved, takes=[NoticeDisowning]))
    async def not_ours(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say that this provider does not host the items."""
        wanted = read_model(NoticeDisowning, await read_json(request))
        move = partial(use_cases.disown_notice, suggested=wanted.suggested)
        return await moved(request, identity, NoticeAct.DISOWN, notice_id=notice_id, move=move)

    @router.post("/{notice_id}:acknowledge-withdrawal", **does(NoticeMoved))
    async def acknowledge_withdrawal(notice_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say to the notifier that this provider has stopped acting on the notice."""
        move = use_cases.acknowledge_withdrawal
        return await moved(request, identity, NoticeAct.ACKNOWLEDGE_WITHDRAWAL, notice_id=notice_id, move=move)


def referrals_router(origin: OriginApi, identified: Identified) -> APIRouter:
    """The routes under /v1/referrals and /v1/work: a provider is an origin too."""
    router, who = APIRouter(prefix="/v1", tags=["referrals"]), Depends(identified)

    @router.post("/referrals:batch", **FILES_MANY)
    @router.post("/referrals", **FILES_ONE)
    async def provider_files(request: Request, identity: Identity = who) -> Response:
        """A provider files what it has found itself, one referral or a list."""
        return await origin.file(request, identity)

    add_origin_routes(router, origin, identified)
    return router
