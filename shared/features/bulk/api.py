"""HTTP routes for many acts in one request, and for notices grouped by location."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Annotated, Final, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field, JsonValue
from pydantic_core import from_json
from starlette.responses import Response

from shared.core.acts.act import Act, NoticeState, Subject
from shared.core.acts.states import personal, row
from shared.core.contracts.base import Contract, Uuid
from shared.core.errors import Refused
from shared.features.bulk.service import Outcome, act_on_many
from shared.features.bulk.store import (
    MEMBERS_MAX,
    BatchedAct,
    KeyedLine,
    LineKeys,
    PostgresWorkItems,
    WorkDisowning,
    WorkItem,
    WorkItemPage,
    WorkStatements,
    lines_of,
)
from shared.features.events.api import viewed
from shared.features.received.api import ItemRoutes
from shared.features.received.service.items import ItemActor
from shared.platform.database.transactions import RowScope, Session
from shared.platform.http.acts import Acts, items_hash
from shared.platform.http.batches import LIST, RefusedAct, RequestBody, batched, read_list
from shared.platform.http.edge import read_json, read_key, read_model
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does, shows
from shared.platform.http.paging import Cursor, Limit
from shared.platform.http.problems import Problem, problem_body

#: The field with the id of a subject.
Named = Literal["notice_id", "referral_id"]


class PostedLine(NamedTuple):
    """A valid line: the act, the line's own idempotency key if it has one, and a hash that equal lines share."""

    line: BatchedAct
    key: bytes | None
    same: bytes


class BatchSubject:
    """The request and response models of batches on one kind of subject, derived from its acts."""

    def __init__(self, subject: Subject, named: Named, moved: type[Contract]) -> None:
        self.subject = subject
        self._named = named
        self._rows = {row.name: row for row in personal(subject)}
        self.roles = frozenset(role for row in self._rows.values() for role in row.roles)
        takes = {name: row.takes for name, row in self._rows.items()}
        self.models = batched(subject.value.capitalize(), takes, named=named, moved=moved, about=f"{subject}s")

    def read(self, place: int, value: Mapping[str, JsonValue], *, route: str) -> PostedLine:
        """Read one line. Raises `Refused` with the places of its fields, as for a single request."""
        row = self._rows.get(str(value.get("act")))
        if row is None:
            detail = f"one of {', '.join(self._rows)}"
            raise Refused("act_unknown", detail, field="/act")
        read = read_model(self.models.lines[row.name], value)
        line = BatchedAct(place, row, getattr(read, self._named), None if row.takes is None else _body(row.takes, read))
        content = {name: value[name] for name in value if name != "key"}
        return PostedLine(line, None if read.key is None else read_key(read.key), items_hash(route, [(content, b"")]))


def _body(takes: type[Contract], line: Contract) -> Contract:
    """Return the content of a line, without its subject and key."""
    names = line.model_fields_set & takes.model_fields.keys()
    return takes.model_construct(names, **{name: getattr(line, name) for name in takes.model_fields})


def add_batch(router: APIRouter, path: str, routes: ItemRoutes, *, kind: BatchSubject) -> None:
    """Add the route for many acts on received subjects. `routes` performs each single act."""
    bulk, who = BulkRoutes(routes, kind), Depends(routes.serving.identified)

    @router.post(
        path,
        name=f"{kind.subject}_batch",
        **does(kind.models.answer, takes=[kind.models.batch], status=200, conflict=None),
    )
    async def act_on_many(request: Request, identity: Identity = who) -> Response:
        """Do up to 100 acts. Each has its own result; a refused act does not stop the others."""
        return await bulk.act(request, identity)


class BulkRoutes:
    """The handler of the route."""

    def __init__(self, routes: ItemRoutes, kind: BatchSubject) -> None:
        self._routes = routes
        self._kind = kind

    async def act(self, request: Request, identity: Identity) -> Response:
        """Do the posted acts, once for the idempotency key of the request."""
        route, headers, owe = request.url.path, request.headers, partial(self._routes.serving.owe, identity.principal)
        body = RequestBody(await request.body(), headers.get("content-type"), headers.get("content-encoding"))
        read = await read_list(body, LIST, route, make=partial(self._read, route=route), owe=owe)
        do, acts = partial(self._done, read.made, identity), self._routes.serving.acts
        roles = self._kind.roles
        return await acts.once(request, identity, "read", roles=roles, act=do, status=200, wanted=read.same)

    def _read(self, place: int, value: Mapping[str, JsonValue] | Refused, *, route: str) -> PostedLine | Refused:
        try:
            return value if isinstance(value, Refused) else self._kind.read(place, value, route=route)
        except Refused as error:
            return error

    async def _done(self, posted: Sequence[PostedLine | Refused], identity: Identity, session: Session) -> Contract:
        read = [each for each in posted if isinstance(each, PostedLine)]
        keyed = [KeyedLine(each.line.place, each.key, each.same) for each in read if each.key is not None]
        keys = LineKeys(session.driver, identity.party, keyed)
        before = await keys.claim()
        lines = [each.line for each in read if each.line.place not in before and each.line.place not in keys.twins]
        self._routes.serving.owe(identity.principal, len(posted) + sum(line.items for line in lines))
        now = await act_on_many(lines, self._routes.act_on, BatchTransaction(self._routes, session, identity))
        done = {
            line.place: self._routes.moved(line.subject_id, state).spelt()
            for line in lines
            if isinstance(state := now[line.place], str)
        }
        await keys.keep(done)
        refused = {place: each for place, each in (before | now).items() if isinstance(each, Refused)}
        refused |= {place: each for place, each in enumerate(posted) if isinstance(each, Refused)}
        answered = done | {place: each for place, each in before.items() if isinstance(each, bytes)}
        firsts = (keys.twins.get(place, place) for place in range(len(posted)))
        return self._kind.models.answer(
            results=tuple(
                self._moved(place, answered[first]) if first in answered else _refused(place, refused[first])
                for place, first in enumerate(firsts)
            )
        )

    def _moved(self, place: int, answer: bytes) -> Contract:
        return self._kind.models.moved.model_validate(from_json(answer) | {"index": place, "status": 202})


def _refused(place: int, error: Refused) -> RefusedAct:
    return RefusedAct(index=place, status=error.status, problem=problem_body(error))


class BatchTransaction:
    """The transaction of a batch, bound to one act after the other."""

    def __init__(self, routes: ItemRoutes, session: Session, identity: Identity) -> None:
        self._routes = routes
        self._session = session
        self._identity = identity

    async def acting(self, action: str) -> ItemActor:
        await self._session.bind(RowScope([self._identity.party], self._identity.role, action))
        return self._routes.acting(self._identity, self._session)

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        async with self._session.savepoint():
            yield


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
        self._routes.serving.owe(identity.principal, len(lines) + len(item.items))
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
