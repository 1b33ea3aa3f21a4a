"""Many acts in one request, as the typed client does them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from pydantic import JsonValue

from client.calls import Calls
from client.problem import ApiProblem
from client.views import ItemProblem, View
from shared.exchange.act import Subject

#: Where many are answered at once.
_PATHS: Final[Mapping[Subject, str]] = {
    Subject.NOTICE: "/v1/notices:batch",
    Subject.OFFER: "/v1/inbox:batch",
    Subject.CASE: "/v1/cases:batch",
}


class AnswerResult(View):
    """What became of the act at `index`; `status` is what it would have been answered with alone."""

    index: int
    status: int
    notice_id: UUID | None = None
    referral_id: UUID | None = None
    state: str | None = None
    problem: ItemProblem | None = None


class AnswerResults(View):
    """One result for each act."""

    results: tuple[AnswerResult, ...]


class BulkAnswers(Calls):
    """What a recipient answers many at once with."""

    async def answer_many(
        self, subject: Subject, answers: Sequence[Mapping[str, JsonValue]], *, key: str | None = None
    ) -> tuple[AnswerResult, ...]:
        """Do up to 100 acts on notices, offers or cases; each has its own result, and a refused one blocks no other.

        Each is the subject's id, `act` by the name of its row (`shared.exchange.acts`), and what that takes. One with a
        `key` of its own is done once, in whatever call it comes.
        """
        body: dict[str, object] = {"answers": list(answers)}
        results = (await self.post(_PATHS[subject], body, key, view=AnswerResults)).results
        if [each.index for each in results] != [*range(len(answers))]:
            raise ApiProblem("unexpected_answer", status=200)
        return results
