"""HTTP routes for questions and disputes: the party's own, and the answers to those of others."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from shared.core.acts.act import Subject
from shared.core.acts.states import row
from shared.core.contracts.questions import Reply, Ruling
from shared.core.vocabulary.questions import QuestionKind, QuestionState
from shared.features.dialogues.store import PostgresQuestions, QuestionPage
from shared.features.events.api import RouteContext, viewed
from shared.features.filing.api.act_handlers import OriginApi, OriginFeature
from shared.features.questions import service
from shared.features.questions.service import answer_question
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does, shows
from shared.platform.http.paging import Cursor, Limit


def questions_router(serving: RouteContext) -> APIRouter:
    """Build the route /v1/questions, which is the same in all services of parties."""
    router, who = APIRouter(prefix="/v1", tags=["questions"]), Depends(serving.identified)

    @router.get("/questions", name="list_questions", **shows(QuestionPage))
    async def page(
        identity: Identity = who,
        state: QuestionState | None = None,
        kind: QuestionKind | None = None,
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """List the party's questions and disputes with their answers, newest first."""
        async with serving.looking(identity) as session:
            found = PostgresQuestions(session.driver)
            return viewed(await found.page(identity.party, state=state, kind=kind, cursor=cursor, limit=limit))

    return router


def add_question_routes(router: APIRouter, origin: OriginApi, who: Identity) -> None:
    """Add the routes for answers to questions and disputes."""

    @router.post("/referrals/{referral_id}:reply", **does(service.AnsweredQuestion, takes=[Reply]))
    async def reply(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Answer a recipient's question about items, once: by codes, by an amendment, or that you cannot answer."""
        return await origin.act(row(Subject.REFERRAL, "reply"), referral_id, request, identity=identity)

    @router.post("/referrals/{referral_id}:uphold", **does(service.AnsweredQuestion, takes=[Ruling]))
    async def uphold(referral_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Decide a dispute: for each item, uphold or concede the content that was sent."""
        return await origin.act(row(Subject.REFERRAL, "uphold"), referral_id, request, identity=identity)


QUESTIONS: Final = OriginFeature(add_question_routes, {Reply: answer_question, Ruling: answer_question})
