"""The HTTP door at which a party sees what it has asked and contested, and what it is to answer."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from starlette.responses import Response

from shared.exchange.events import NUMBERED, PERMIT
from shared.kernel.authority import Authority
from shared.party.questions.store import PostgresQuestions, QuestionPage
from shared.party.recipient.api import Serving, viewed
from shared.runtime.database.transactions import RowScope
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import shows
from shared.runtime.http.paging import Cursor, Limit
from shared.vocabulary.questions import QuestionKind, QuestionState


def questions_router(serving: Serving, authority: Authority) -> APIRouter:
    """The route /v1/questions, the same at every service whose parties may be asked or ask."""
    router, who = APIRouter(prefix="/v1", tags=["questions"]), Depends(serving.identified)

    @router.get("/questions", name="list_questions", **shows(QuestionPage))
    async def page(
        identity: Identity = who,
        state: QuestionState | None = None,
        kind: QuestionKind | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """The party's questions and disputes, newest first: what is asked or contested, and what was answered."""
        authority.require(PERMIT.resource, identity.role, action=PERMIT.action, state=NUMBERED)
        async with serving.database.transaction(RowScope([identity.party], identity.role, "read")) as session:
            found = PostgresQuestions(session.driver)
            return viewed(await found.page(identity.party, state=state, kind=kind, cursor=cursor, limit=limit))

    return router
