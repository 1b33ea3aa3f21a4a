"""HTTP routes for questions and disputes: the party's own, and the answers to those of others."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Depends
from starlette.responses import Response

from shared.core.acts.act import Subject
from shared.core.acts.states import row
from shared.core.contracts.questions import Reply, Ruling
from shared.core.vocabulary.questions import QuestionKind, QuestionState
from shared.features.dialogues.store import PostgresQuestions, QuestionPage
from shared.features.events.api import RouteContext, viewed
from shared.features.filing.api.act_handlers import ActRoute, feature_of
from shared.features.questions.service import AnsweredQuestion, QuestionBatch, answer_question
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import shows
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


_REPLY: Final = "Answer a recipient's question about items, once: by codes, by an amendment, or that you cannot answer."
_UPHOLD: Final = "Decide a dispute: for each item, uphold or concede the content that was sent."

QUESTIONS: Final = feature_of(
    ActRoute(row(Subject.REFERRAL, "reply"), AnsweredQuestion, _REPLY, Reply, answer_question),
    ActRoute(row(Subject.REFERRAL, "uphold"), AnsweredQuestion, _UPHOLD, Ruling, answer_question),
)._replace(follow=lambda driver, _, at: QuestionBatch(PostgresQuestions(driver), at))
