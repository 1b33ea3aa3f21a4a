"""The HTTP door of work items, at the service of a provider."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import Response

from shared.contracts.base import Contract, Uuid
from shared.exchange.act import Act, NoticeState, Subject
from shared.exchange.states import row
from shared.kernel.errors import Refused
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
from shared.runtime.database.transactions import Session
from shared.runtime.http.acts import Acts
from shared.runtime.http.edge import read_json, read_model
from shared.runtime.http.identity import Identity
from shared.runtime.http.openapi import does, shows
from shared.runtime.http.paging import Cursor, Limit
from shared.runtime.http.problems import Problem, problem_body

ANSWER: Final = row(Subject.NOTICE, "answer")
NOT_OURS: Final = row(Subject.NOTICE, "not_ours")
#: What is said of a location in each of the acts that may be done to a work item.
TAKES: Final[Mapping[Act, type[WorkStatements | WorkDisowning]]] = {ANSWER: WorkStatements, NOT_OURS: WorkDisowning}


class NoticeResult(Contract):
    """What became of one notice: the state that it has come to, or why the act was refused."""

    notice_id: Uuid
    status: Annotated[int, Field(ge=202, le=499)]
    state: NoticeState | None = None
    problem: Problem | None = None


class WorkAnswered(Contract):
    """One result for each notice that had something open at this location; each notifier is told of its own alone."""

    work_item: Uuid
    results: Annotated[tuple[NoticeResult, ...], Field(min_length=1, max_length=MEMBERS_MAX)]


def work_items_router(routes: ItemRoutes) -> APIRouter:
    """The routes under /v1/work-items. `routes` does each act on a notice alone."""
    router, who = APIRouter(prefix="/v1/work-items", tags=["work items"]), Depends(routes.serving.identified)
    work = WorkRoutes(routes)

    @router.get("", name="list_work_items", **shows(WorkItemPage))
    async def page(identity: Identity = who, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """What is to be answered, one entry for each location: those that the newest notices lead, `limit` of these."""
        return viewed(await work.page(identity, cursor, limit))

    @router.get("/{work_item}", name="show_work_item", **shows(WorkItem))
    async def show(work_item: UUID, identity: Identity = who) -> Response:
        """What is open at one location."""
        return viewed(await work.show(identity, work_item))

    @router.post("/{work_item}:answer", **does(WorkAnswered, takes=[WorkStatements], status=200, conflict=None))
    async def answer_work_item(work_item: UUID, request: Request, identity: Identity = who) -> Response:
        """Answer each notice that has something open at one location, and tell each notifier by itself."""
        return await work.act(ANSWER, work_item, request, identity=identity)

    @router.post("/{work_item}:not-ours", **does(WorkAnswered, takes=[WorkDisowning], status=200, conflict=None))
    async def disown_work_item(work_item: UUID, request: Request, identity: Identity = who) -> Response:
        """Say of each notice that what it names at one location is not yours, and to each notifier by itself."""
        return await work.act(NOT_OURS, work_item, request, identity=identity)

    return router


class WorkRoutes:
    """What the routes do, for whichever door."""

    def __init__(self, routes: ItemRoutes) -> None:
        self._routes = routes

    @property
    def acts(self) -> Acts:
        return self._routes.serving.acts

    async def page(self, identity: Identity, cursor: str | None, limit: int) -> WorkItemPage:
        """The party's work items. Whoever may look at a notice may."""
        async with self._looking(identity) as session:
            return await PostgresWorkItems(session.driver).page(identity.party, cursor=cursor, limit=limit)

    async def show(self, identity: Identity, work_item: UUID) -> WorkItem:
        """One of them."""
        async with self._looking(identity) as session:
            return await PostgresWorkItems(session.driver).one(identity.party, work_item)

    def _looking(self, identity: Identity) -> AbstractAsyncContextManager[Session]:
        return self._routes.serving.looking(identity, Subject.NOTICE, NoticeState.ISSUED)

    async def answered(
        self, act: Act, work_item: UUID, session: Session, *, said: WorkStatements | WorkDisowning, identity: Identity
    ) -> WorkAnswered:
        """Answer each notice of one, within a transaction."""
        item = await PostgresWorkItems(session.driver).one(identity.party, work_item)
        lines = lines_of(item, act, said)
        self._routes.serving.owe(identity.party, len(lines) + len(item.items))
        outcomes = await act_on_many(lines, self._routes.act_on, BatchTransaction(self._routes, session, identity))
        results = [_result(line.subject_id, outcomes[line.place]) for line in lines]
        return WorkAnswered(work_item=work_item, results=tuple(results))

    async def act(self, act: Act, work_item: UUID, request: Request, *, identity: Identity) -> Response:
        """Act on a work item, once for the request's idempotency key."""
        said = read_model(TAKES[act], await read_json(request))
        doing = partial(self.answered, act, work_item, said=said, identity=identity)
        return await self.acts.once(request, identity, act.name, roles=act.roles, act=doing, status=200)


def _result(notice_id: UUID, outcome: Outcome) -> NoticeResult:
    if isinstance(outcome, Refused):
        return NoticeResult(notice_id=notice_id, status=outcome.status, problem=problem_body(outcome))
    return NoticeResult(notice_id=notice_id, status=202, state=NoticeState(outcome))
