"""Pages of a provider's work items: open notices of several notifiers about one location, answered at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response

from shared.exchange.act import Act
from shared.kernel.errors import Refused
from shared.party.console.forms import chosen_act, done_once
from shared.party.work_items.api import TAKES, WorkAnswered, WorkRoutes
from shared.runtime.console.asked import Asked
from shared.runtime.console.forms import inputs_of, labels_of, problems_of, read_inputs
from shared.runtime.console.frame import Frame
from shared.runtime.http.edge import read_model
from shared.runtime.http.identity import Identity

PLACE: Final = "work-items"
ROWS_OF_A_PAGE: Final = 25


class WorkPages:
    """What the pages do. `last` is where a page begins to listen for news."""

    def __init__(self, frame: Frame, routes: WorkRoutes, *, last: Callable[[Identity], Awaitable[int | None]]) -> None:
        self._frame = frame
        self._routes = routes
        self._last = last
        self._acts = {row.name: row for row in TAKES}
        frame.get(f"/{PLACE}", self._list)
        frame.get(f"/{PLACE}/{{id}}", self._one)
        frame.post(f"/{PLACE}/{{id}}/act/{{act}}", self._act)

    async def _list(self, asked: Asked) -> Response:
        after = await self._last(asked.identity)
        found = await self._routes.page(asked.identity, asked.query("cursor"), ROWS_OF_A_PAGE)
        return self._frame.page(asked, "work.html", {"listed": found, "after": after})

    async def _one(self, asked: Asked) -> Response:
        return await self._shown(asked)

    async def _shown(
        self, asked: Asked, *, status: int = 200, refused: str = "", problem: Refused | None = None
    ) -> Response:
        found = await self._routes.show(asked.identity, asked.id())
        acts = [(row, inputs_of(takes)) for row, takes in TAKES.items() if asked.identity.role in row.roles]
        inputs = next((each for row, each in acts if row.name == refused), ())
        problems = [] if problem is None else problems_of(problem, inputs)
        views = {"it": found, "acts": acts, "refused": refused, "problems": problems, "labels": labels_of(inputs)}
        return self._frame.page(asked, "work_item.html", views, status=status)

    async def _act(self, asked: Asked) -> Response:
        """Each notice alone: one that is refused holds up no other."""
        row = chosen_act(asked, self._acts)
        try:
            answered = await self._done(asked, row)
        except Refused as error:
            if error.status in (403, 404):
                raise
            return await self._shown(asked, status=error.status, refused=row.name, problem=error)
        return self._frame.page(asked, "work_done.html", {"row": row, "results": answered.results})

    async def _done(self, asked: Asked, row: Act) -> WorkAnswered:
        said = read_model(TAKES[row], read_inputs(TAKES[row], asked.form))
        doing, acts = self._routes.doing(row, asked.id(), said, identity=asked.identity), self._routes.acts
        answer = await done_once(asked, acts, row.name, doing=doing, roles=row.roles, body=said.spelt(), status=200)
        return WorkAnswered.model_validate_json(answer)
