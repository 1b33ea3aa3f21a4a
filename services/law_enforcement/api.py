"""The HTTP door: referrals offered to an agency, and what the agency makes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from services.law_enforcement import use_cases
from services.law_enforcement.domain import CaseAct, CaseState
from services.law_enforcement.store import PostgresCases
from shared.contracts.answers import OutcomeReportedClear
from shared.contracts.base import Contract
from shared.contracts.fields import CaseReference
from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import Clock
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.acts import Acts
from shared.runtime.database import Database, Scope, Session
from shared.runtime.http import accepts, read_json, read_model
from shared.runtime.identity import Identity
from shared.runtime.origin.routes import Code, Cursor, Limit
from shared.vocabulary.answers import Answer, CaseDeclineReason, CaseOutcome, CloseReason

#: A use case that moves one case of the acting party, with all it needs besides who acts.
Move = Callable[..., Awaitable[CaseState]]


class Acceptance(Contract):
    """The agency's own reference, if the origin may know it: it is sealed to the origin alone."""

    case_reference: CaseReference | None = None


class Declination(Contract):
    """Why the agency does not take the referral up."""

    reason: CaseDeclineReason


class OutcomeReport(Contract):
    """What has come of the case. `close_reason` goes with `closed`, and with nothing else."""

    outcome: CaseOutcome
    close_reason: CloseReason | None = None
    child_identified: Answer
    child_safeguarded: Answer


class Nothing(Contract):
    """An act that needs no words."""


def cases_router(
    database: Database,
    acts: Acts,
    identified: Callable[[Request], Awaitable[Identity]],
    *,
    kek: KeyEncryptionKey,
    directory: Callable[[], DirectoryIndex],
    clock: Clock,
) -> APIRouter:
    """The routes under /v1/inbox and /v1/cases."""
    router = APIRouter(prefix="/v1")
    who = Depends(identified)

    async def moved(
        request: Request, identity: Identity, action: CaseAct, referral_id: UUID, move: Move, **words: Any
    ) -> Response:
        async def act(session: Session) -> Mapping[str, Any]:
            state = await move(
                **words,
                party=identity.party,
                role=identity.role,
                cases=PostgresCases(session.driver, kek),
                directory=directory(),
                at=clock.now(),
            )
            return {"referral_id": str(referral_id), "state": state}

        return await acts.once(request, identity, action, act)

    _add_looking(router, database, who, kek)
    _add_answering(router, who, moved)
    return router


def _add_looking(router: APIRouter, database: Database, who: Any, kek: KeyEncryptionKey) -> None:
    @router.get("/inbox", tags=["inbox"])
    async def page(identity: Identity = who, state: Code = None, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """The referrals offered to this agency, newest first."""
        async with database.transaction(Scope([identity.party], identity.role, "read")) as session:
            cases = PostgresCases(session.driver, kek)
            found = await use_cases.list_cases(
                role=identity.role, cases=cases, state=state, cursor=cursor, limit=limit
            )
            return JSONResponse(found)

    @router.get("/inbox/{referral_id}", tags=["inbox"])
    async def show(referral_id: UUID, identity: Identity = who) -> Response:
        """One referral with its opened record."""
        async with database.transaction(Scope([identity.party], identity.role, "read")) as session:
            cases = PostgresCases(session.driver, kek)
            return JSONResponse(await use_cases.show_case(referral_id, role=identity.role, cases=cases))


def _add_answering(router: APIRouter, who: Any, moved: Callable[..., Awaitable[Response]]) -> None:
    @router.post("/cases/{referral_id}:accept", status_code=202, tags=["cases"], openapi_extra=accepts(Acceptance))
    async def accept(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Take the referral up as a case."""
        wanted = read_model(Acceptance, await read_json(request))
        return await moved(
            request,
            identity,
            CaseAct.ACCEPT,
            referral_id,
            use_cases.accept_case,
            case_reference=wanted.case_reference,
        )

