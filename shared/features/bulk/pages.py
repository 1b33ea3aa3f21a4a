"""Pages of notices grouped by location."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from starlette.responses import Response

from shared.core.acts.act import Act
from shared.core.errors import Refused
from shared.features.attention.pages import ROWS_OF_A_PAGE
from shared.features.bulk.api import TAKES, WorkResults, WorkRoutes
from shared.features.events.pages import chosen_act, done_once
from shared.platform.console.forms import PageInput, inputs_of, labels_of, problems_of, read_inputs
from shared.platform.console.frame import Frame
from shared.platform.http.edge import read_model
from shared.platform.http.identity import Identity

PLACE: Final = "work-items"


class WorkPages:
    """The pages of work items. `last` returns the event number after which a page starts to listen."""

    def __init__(self, frame: Frame, routes: WorkRoutes, *, last: Callable[[Identity], Awaitable[int | None]]) -> None:
        self._frame = frame
        self._routes = routes
        self._last = last
        self._acts = {row.name: row for row in TAKES}
        frame.get(f"/{PLACE}", self._list)
        frame.get(f"/{PLACE}/{{id}}", self._shown)
        frame.post(f"/{PLACE}/{{id}}/act/{{act}}", self._act)

    async def _list(self, request: PageInput) -> Response:
        after = await self._last(request.identity)
        found = await self._routes.page(request.identity, request.query("cursor"), ROWS_OF_A_PAGE)
        return self._frame.page(request, "work.html", {"listed": found, "after": after})

    async def _shown(
        self, request: PageInput, *, status: int = 200, refused: str = "", problem: Refused | None = None
    ) -> Response:
        found = await self._routes.show(request.identity, request.id())
        acts = [(row, inputs_of(takes)) for row, takes in TAKES.items() if request.identity.role in row.roles]
        inputs = next((each for row, each in acts if row.name == refused), ())
        problems = [] if problem is None else problems_of(problem, inputs)
        views = {"it": found, "acts": acts, "refused": refused, "problems": problems, "labels": labels_of(inputs)}
        return self._frame.page(request, "work_item.html", views, status=status)

    async def _act(self, request: PageInput) -> Response:
        """Answer each notice of a work item. A refused notice does not stop the others."""
        row = chosen_act(request, self._acts)
        try:
            answered = await self._done(request, row)
        except Refused as error:
            if error.status in (403, 404):
                raise
            return await self._shown(request, status=error.status, refused=row.name, problem=error)
        return self._frame.page(request, "work_done.html", {"row": row, "results": answered.results})

    async def _done(self, request: PageInput, row: Act) -> WorkResults:
        said = read_model(TAKES[row], read_inputs(TAKES[row], request.form))
        doing = partial(self._routes.answered, row, request.id(), said=said, identity=request.identity)
        acts = self._routes.acts
        answer = await done_once(request, acts, row.name, doing=doing, roles=row.roles, body=said.spelt(), status=200)
        return WorkResults.model_validate_json(answer)
