"""HTTP routes for referrals offered to an agency, and for its acts on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from shared.core.acts.act import Act, CaseState, Subject
from shared.core.acts.states import collection, personal
from shared.core.clock import Clock
from shared.core.contracts.evidence import KeptEvidence
from shared.core.contracts.holds import HoldState
from shared.core.protocol.prepare import Documents
from shared.features.attention.api import AttentionQuery, AttentionSource
from shared.features.bulk.api import BatchSubject, add_batch
from shared.features.cases.ports import CasePage, CaseTransition, OpenedCase
from shared.features.cases.rules import AGENCY
from shared.features.cases.service import act_on_case
from shared.features.cases.store.cases import PostgresCases
from shared.features.cases.store.leases import cases_waiting
from shared.features.cases.store.passed_cases import cases_back
from shared.features.contacts.store import contacts_waiting
from shared.features.events.api import RouteContext, viewed
from shared.features.holds.store import ended_holds
from shared.features.received.api import ItemRoutes, add_acts
from shared.features.received.rules import HoldPage, ItemQuery
from shared.features.search.api import Finding
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import shows
from shared.platform.http.paging import Cursor, Limit

_MANY: Final = BatchSubject(Subject.CASE, "referral_id", CaseTransition)


def attention_sources(clock: Clock) -> Sequence[AttentionSource]:
    """Return the sources of the attention list: cases at risk, returned cases, ended holds, suggested contacts."""
    looks: list[AttentionQuery] = [partial(cases_waiting, now=clock.now), ended_holds, contacts_waiting, cases_back]
    return [AttentionSource("case", CaseState.OFFERED, look) for look in looks]


def case_routes(serving: RouteContext, documents: Callable[[], Documents]) -> ItemRoutes:
    """Build the handlers of cases for API and console. `documents` returns the directory and policy in force."""
    act_on = partial(act_on_case, documents=documents)
    return ItemRoutes(serving=serving, recipient=AGENCY, moved=_moved, items=PostgresCases, act_on=act_on)


def cases_router(serving: RouteContext, documents: Callable[[], Documents]) -> APIRouter:
    """Build the routes under /v1/inbox for reading and withdrawals, and under /v1/cases for the agency's acts.

    `documents` returns the directory and policy in force.
    """
    router, who = APIRouter(prefix="/v1"), Depends(serving.identified)
    cases = case_routes(serving, documents)

    @router.get("/inbox", tags=["inbox"], **shows(CasePage))
    async def page(
        sought: Finding,
        identity: Identity = who,
        state: CaseState | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """List the referrals offered to this agency. Open ones with a child at risk come first, then the newest."""
        return await cases.page(identity, ItemQuery(state, cursor, limit, sought))

    @router.get("/inbox/{referral_id}", tags=["inbox"], **shows(OpenedCase))
    async def show(referral_id: UUID, identity: Identity = who) -> Response:
        """Show one referral with its opened record."""
        return await cases.show(identity, referral_id)

    @router.get("/inbox/{referral_id}/evidence", tags=["inbox"], **shows(KeptEvidence))
    async def evidence(referral_id: UUID, identity: Identity = who) -> Response:
        """Return evidence that the referral was sent: the message as it came, and a statement of its arrival.

        It can be verified offline.
        """
        return await cases.evidence(identity, referral_id)

    add_batch(router, "/cases:batch", cases, kind=_MANY)
    add_acts(router, cases, personal(Subject.CASE), path=_path, moved=CaseTransition)
    return router


def holds_router(serving: RouteContext) -> APIRouter:
    """Build the route /v1/holds for the agency's holds."""
    router, who = APIRouter(prefix="/v1", tags=["holds"]), Depends(serving.identified)

    @router.get("/holds", name="list_holds", **shows(HoldPage))
    async def page(
        identity: Identity = who, state: HoldState | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """List the agency's holds with the answers of their origins, newest first."""
        async with serving.looking(identity, Subject.CASE, CaseState.OFFERED) as session:
            holds = PostgresCases(session.driver, serving.kek).holds
            return viewed(await holds.page(identity.party, state=state, cursor=cursor, limit=limit))

    return router


def _path(row: Act) -> str:
    return f"/{collection(row)}/{{referral_id}}"


def _moved(subject_id: UUID, state: str) -> CaseTransition:
    return CaseTransition(referral_id=subject_id, state=CaseState(state))
