"""The HTTP door: referrals offered to an agency, and what the agency makes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from services.law_enforcement import use_cases
from services.law_enforcement.domain import CaseAct, CaseState
from services.law_enforcement.ports import CaseReport
from services.law_enforcement.store import PostgresCases
from services.law_enforcement.use_cases import Acting
from shared.contracts.base import Contract, Flag, Instant, PartyId, Uuid
from shared.contracts.decision import Edge
from shared.contracts.fields import CaseReference
from shared.contracts.referral import ReferralRecord
from shared.envelope.datakeys import KeyEncryptionKey
from shared.kernel.clock import Clock
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import Database, RowScope, Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.edge import read_json, read_model
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does, shows
from shared.runtime.http.paging import Cursor, Limit, NextCursor
from shared.vocabulary.answers import CaseDeclineReason, CaseOutcome, CloseReason, YesNoUnknown
from shared.vocabulary.routing import Purpose

#: A use case that moves one case, its words given.
Move = Callable[[UUID, Acting], Awaitable[CaseState]]


class Moved(Protocol):
    """Runs a move for one request and answers with the state it led to."""

    async def __call__(
        self, request: Request, identity: Identity, action: CaseAct, *, referral_id: UUID, move: Move
    ) -> Response: ...


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
    child_identified: YesNoUnknown
    child_safeguarded: YesNoUnknown


class FurtherEdge(Contract):
    """Another purpose for which the same referral was offered."""

    purpose: Purpose
    edge: Edge


class OpenedFurtherEdge(FurtherEdge):
    """Another purpose, with the record that it entitles to; null once it was erased."""

    record: ReferralRecord | None


class _CaseFields(Contract):
    referral_id: Uuid
    origin: PartyId
    purpose: Purpose
    state: CaseState
    exercise: Flag
    received_at: Instant
    edge: Edge
    accepted_at: Instant | None
    decline_reason: CaseDeclineReason | None
    outcome: CaseOutcome | None
    close_reason: CloseReason | None
    child_identified: YesNoUnknown | None
    child_safeguarded: YesNoUnknown | None


class ShownCase(_CaseFields):
    """A referral that was offered to this agency: its first edge, further ones, and what the agency has made of it."""

    further: tuple[FurtherEdge, ...]


class CasePage(Contract):
    """Referrals offered to this agency, newest first, without their records."""

    items: tuple[ShownCase, ...]
    next: NextCursor


class OpenedCase(_CaseFields):
    """A referral with its records, which are null once they were erased, and the agency's own reference."""

    further: tuple[OpenedFurtherEdge, ...]
    record: ReferralRecord | None
    case_reference: CaseReference | None


class CaseMoved(Contract):
    """The state that the act has led to. The origin will be told."""

    referral_id: Uuid
    state: CaseState


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

    def acting(identity: Identity, session: Session) -> Acting:
        return Acting(identity.party, identity.role, PostgresCases(session.driver, kek), directory(), clock.now())

    async def moved(
        request: Request, identity: Identity, action: CaseAct, *, referral_id: UUID, move: Move
    ) -> Response:
        async def act(session: Session) -> Mapping[str, Any]:
            state = await move(referral_id, acting(identity, session))
            return {"referral_id": str(referral_id), "state": state}

        return await acts.once(request, identity, action, act=act)

    _add_looking(router, database, who, acting=acting)
    _add_answering(router, who, moved)
    _add_acknowledging(router, who, moved)
    return router


def _add_looking(
    router: APIRouter, database: Database, who: Any, *, acting: Callable[[Identity, Session], Acting]
) -> None:
    @router.get("/inbox", tags=["inbox"], **shows(CasePage))
    async def page(
        identity: Identity = who, state: CaseState | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """The referrals offered to this agency, newest first."""
        async with database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            cases = acting(identity, session).cases
            found = await use_cases.list_cases(role=identity.role, cases=cases, state=state, cursor=cursor, limit=limit)
            return JSONResponse(found)

    @router.get("/inbox/{referral_id}", tags=["inbox"], **shows(OpenedCase))
    async def show(referral_id: UUID, identity: Identity = who) -> Response:
        """One referral with its opened record."""
        async with database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            return JSONResponse(await use_cases.show_case(referral_id, acting(identity, session)))


def _add_answering(router: APIRouter, who: Any, moved: Moved) -> None:
    @router.post(
        "/cases/{referral_id}:accept",
        tags=["cases"],
        **does(CaseMoved, takes=[Acceptance]),
    )
    async def accept(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Take the referral up as a case."""
        wanted = read_model(Acceptance, await read_json(request))
        move = partial(use_cases.accept_case, case_reference=wanted.case_reference)
        return await moved(request, identity, CaseAct.ACCEPT, referral_id=referral_id, move=move)

    @router.post(
        "/cases/{referral_id}:decline",
        tags=["cases"],
        **does(CaseMoved, takes=[Declination]),
    )
    async def decline(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Decline the referral, with the reason."""
        wanted = read_model(Declination, await read_json(request))
        move = partial(use_cases.decline_case, reason=wanted.reason)
        return await moved(request, identity, CaseAct.DECLINE, referral_id=referral_id, move=move)

    @router.post(
        "/cases/{referral_id}:outcome",
        tags=["cases"],
        **does(CaseMoved, takes=[OutcomeReport]),
    )
    async def outcome(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say what has come of the case so far; a conviction or a closing ends it."""
        wanted = read_model(OutcomeReport, await read_json(request))
        report = CaseReport(
            outcome=wanted.outcome,
            close_reason=wanted.close_reason,
            child_identified=wanted.child_identified,
            child_safeguarded=wanted.child_safeguarded,
        )
        move = partial(use_cases.report_outcome, report=report)
        return await moved(request, identity, CaseAct.REPORT_OUTCOME, referral_id=referral_id, move=move)


def _add_acknowledging(router: APIRouter, who: Any, moved: Moved) -> None:
    @router.post(
        "/inbox/{referral_id}:acknowledge-withdrawal",
        tags=["inbox"],
        **does(CaseMoved),
    )
    async def acknowledge(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Say to the origin that this agency has stopped acting on the referral."""
        move = use_cases.acknowledge_withdrawal
        return await moved(request, identity, CaseAct.ACKNOWLEDGE_WITHDRAWAL, referral_id=referral_id, move=move)
