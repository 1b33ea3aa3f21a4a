"""HTTP routes for work items, in the service of a provider."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import Response

from shared.core.acts.act import Act, NoticeState, Subject
from shared.core.acts.states import row
from shared.core.contracts.base import Contract, Uuid
from shared.core.errors import Refused
from shared.party.bulk.api import BatchTransaction
from shared.party.bulk.use_cases import Outcome, act_on_many
from shared.party.recipient.api import ItemRoutes
from shared.party.serving import viewed
from shared.party.work_items.store import (
    MEMBERS_MAX,
    PostgresWorkItems,
    WorkDisowning,
    WorkItem,
    WorkItemPage,
    WorkStatements,
    lines_of,
)
from shared.platform.database.transactions import Session
from shared.platform.http.acts import Acts
from shared.platform.http.edge import read_json, read_model
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does, shows
from shared.platform.http.paging import Cursor, Limit
from shared.platform.http.problems import Problem, problem_body

ANSWER: Final = row(Subject.NOTICE, "answer")
NOT_OURS: Final = row(Subject.NOTICE, "not_ours")
#: The request body of each act on a work item.
TAKES: Final[Mapping[Act, type[WorkStatements | WorkDisowning]]] = {ANSWER: WorkStatements, NOT_OURS: WorkDisowning}


class NoticeResult(Contract):
    """The result for one notice: its new state, or the reason for which the act was refused."""

    notice_id: Uuid
    status: Annotated[int, Field(ge=202, le=499)]
    state: NoticeState | None = None
    problem: Problem | None = None


class WorkResults(Contract):
    """One result for each notice with open items at this location. Each notifier hears of its own notice only."""

    work_item: Uuid
    results: Annotated[tuple[NoticeResult, ...], Field(min_length=1, max_length=MEMBERS_MAX)]


def work_items_router(routes: ItemRoutes) -> APIRouter:
    """Build the routes under /v1/work-items. `routes` performs the act on each single notice."""
    router, who = APIRouter(prefix="/v1/work-items", tags=["work items"]), Depends(routes.serving.identified)
    work = WorkRoutes(routes)

    @router.get("", name="list_work_items", **shows(WorkItemPage))
    async def page(identity: Identity = who, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """List the open items, one entry for each location, for the `limit` newest notices that lead a location."""
        return viewed(await work.page(identity, cursor, limit))

    @router.get("/{work_item}", name="show_work_item", **shows(WorkItem))
    async def show(work_item: UUID, identity: Identity = who) -> Response:
        """Show the open items of one location."""
        return viewed(await work.show(identity, work_item))

    @router.post("/{work_item}:answer", **does(WorkResults, takes=[WorkStatements], status=200, conflict=None))
    async def answer_work_item(work_item: UUID, request: Request, identity: Identity = who) -> Response:
        """Answer each notice with open items at one location. Each notifier gets its own answer."""
        return await work.act(ANSWER, work_item, request, identity=identity)

    @router.post("/{work_item}:not-ours", **does(WorkResults, takes=[WorkDisowning], status=200, conflict=None))
    async def disown_work_item(work_item: UUID, request: Request, identity: Identity = who) -> Response:
        """State that you do not host the content at one location. Each notifier gets its own answer."""
        return await work.act(NOT_OURS, work_item, request, identity=identity)

    return router


class WorkRoutes:
    """The handlers of the routes, for the API and the console."""

    def __init__(self, routes: ItemRoutes) -> None:
        self._routes = routes

    @property
    def acts(self) -> Acts:
        return self._routes.serving.acts

    async def page(self, identity: Identity, cursor: str | None, limit: int) -> WorkItemPage:
        """Return the party's work items. The permit to read notices is enough."""
        async with self._looking(identity) as session:
            return await PostgresWorkItems(session.driver).page(identity.party, cursor=cursor, limit=limit)

    async def show(self, identity: Identity, work_item: UUID) -> WorkItem:
        """Return one work item."""
        async with self._looking(identity) as session:
            return await PostgresWorkItems(session.driver).one(identity.party, work_item)

    def _looking(self, identity: Identity) -> AbstractAsyncContextManager[Session]:
        return self._routes.serving.looking(identity, Subject.NOTICE, NoticeState.ISSUED)

    async def answered(
        self, act: Act, work_item: UUID, session: Session, *, said: WorkStatements | WorkDisowning, identity: Identity
    ) -> WorkResults:
        """Answer each notice of a work item, within a transaction."""
        item = await PostgresWorkItems(session.driver).one(identity.party, work_item)
        lines = lines_of(item, act, said)
        self._routes.serving.owe(identity.party, len(lines) + len(item.items))
        outcomes = await act_on_many(lines, self._routes.act_on, BatchTransaction(self._routes, session, identity))
        results = [_result(line.subject_id, outcomes[line.place]) for line in lines]
        return WorkResults(work_item=work_item, results=tuple(results))

    async def act(self, act: Act, work_item: UUID, request: Request, *, identity: Identity) -> Response:
        """Act on a work item, once for the request's idempotency key."""
        said = read_model(TAKES[act], await read_json(request))
        doing = partial(self.answered, act, work_item, said=said, identity=identity)
        return await self.acts.once(request, identity, act.name, roles=act.roles, act=doing, status=200)


def _result(notice_id: UUID, outcome: Outcome) -> NoticeResult:
    if isinstance(outcome, Refused):
        return NoticeResult(notice_id=notice_id, status=outcome.status, problem=problem_body(outcome))
    return NoticeResult(notice_id=notice_id, status=202, state=NoticeState(outcome))
