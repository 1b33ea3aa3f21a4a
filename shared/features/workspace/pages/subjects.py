"""Pages of received subjects: the list, one subject, forms for its acts, and its record on demand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol, cast
from uuid import UUID

import asyncpg
from starlette.responses import Response

from shared.core.acts.act import Act
from shared.core.acts.states import may_come_in, personal, states
from shared.core.contracts.base import Contract
from shared.core.errors import Refused, RetryLater, not_found
from shared.core.protocol.revision_diff import RevisionDiff
from shared.core.vocabulary.questions import QuestionKind, QuestionState
from shared.core.vocabulary.reveal import RevealReason
from shared.features.dialogues.store import PostgresQuestions, ShownQuestion
from shared.features.events.pages import LiveStream, chosen_act, chosen_state, done_once, read_reason, read_said, spelt
from shared.features.received.api import ItemRoutes
from shared.features.received.rules import ItemQuery, ShownItem
from shared.features.received.service.items import ItemActor, list_items, look_at_item, show_evidence, show_item
from shared.features.record_access.store import AccessLogRow, looks_at
from shared.features.search.api import filters_of, sought_in
from shared.platform.console.forms import ALIKE, PageInput, inputs_of, labels_of, problems_of
from shared.platform.console.frame import HEADERS, ROOT, Frame, turned_to
from shared.platform.database.transactions import Session
from shared.platform.http.identity import Identity

ROWS_OF_A_PAGE: Final = 25
#: The act that raises each kind of question. Only one of each kind can be open at a time.
_RAISES: Final = {QuestionKind.QUESTION: "ask", QuestionKind.DISPUTE: "dispute"}


#: Subject → the other subjects that are worked on together with it.
Beside = Mapping[UUID, Sequence[UUID]]


class SubjectList(Protocol):
    """A list of subjects of any kind."""

    @property
    def items(self) -> Sequence[ShownItem]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKind:
    """The properties of the pages of one kind of subject.

    `routes` wire the use cases, as in the API. `path` is the path below /console. `rows`, `body` and `record` are the
    templates of the list's columns, of one subject, and of its opened record. `numbers` returns the item numbers of a
    subject. `bulk` are the acts that can be done to several subjects at once. With `claimed`, one person at a time
    holds a subject. `beside` returns the subjects that are worked on together with those of a list. `not_now` returns
    the acts that the state permits, but another row forbids now (such as a lease). `amended` compares the stored
    revisions of an opened record.
    """

    path: str
    title: str
    one: str
    routes: ItemRoutes
    numbers: Callable[[ShownItem], Sequence[int]]
    rows: str
    body: str
    record: str
    bulk: Sequence[str] = ()
    claimed: bool = False
    beside: Callable[[asyncpg.Connection, str, Sequence[ShownItem]], Awaitable[Beside]] | None = None
    not_now: Callable[[ShownItem, ItemActor], Awaitable[frozenset[str]]] | None = None
    amended: Callable[[ShownItem], Sequence[RevisionDiff]] = lambda _: ()


class _Found(NamedTuple):
    """One subject with its questions, the openings of its record, and the acts that are not possible now."""

    it: ShownItem
    raised: Sequence[ShownQuestion]
    looks: Sequence[AccessLogRow]
    closed: frozenset[str]


class SubjectPages:
    """The handlers of the pages. They show the views that the use cases return."""

    def __init__(self, frame: Frame, kind: SubjectKind, *, live: LiveStream) -> None:
        self._frame = frame
        self._routes, self._serving = kind.routes, kind.routes.serving
        self._live = live
        self._kind = kind
        self._acts = {row.name: row for row in personal(kind.routes.recipient.subject)}
        frame.get(f"/{kind.path}", self._list)
        frame.get(f"/{kind.path}/{{id}}", self._one)
        frame.get(f"/{kind.path}/{{id}}/evidence", self._evidence)
        frame.post(f"/{kind.path}/{{id}}/reveal", self._reveal)
        frame.post(f"/{kind.path}/{{id}}/act/{{act}}", self._act)
        if kind.bulk:
            frame.post(f"/{kind.path}/bulk", self._confirm)
            frame.post(f"/{kind.path}/bulk/confirmed", self._in_bulk)

    async def _list(self, request: PageInput) -> Response:
        mine = request.query("claimed") == "mine"
        known = sorted(states(self._routes.recipient.subject))
        state = chosen_state(request, known)
        claimed_by = request.identity.actor if mine and self._kind.claimed else None
        page = ItemQuery(state, request.query("cursor"), ROWS_OF_A_PAGE, sought_in(request.query), claimed_by)
        after = await self._live.last(request.identity)
        async with self._serving.reading(request.identity) as session:
            acting = self._routes.acting(request.identity, session)
            found = cast("SubjectList", await list_items(self._routes.recipient, page, acting))
            beside = await self._beside(request.identity, session, found.items)
        views: dict[str, object] = {
            "after": after,
            "kind": self._kind,
            "listed": found,
            "beside": beside,
            "bulk": [row.name for row in self._bulk_acts(request)],
            "states": known,
            "state": state,
            "only": request.query("priority"),
            "mine": claimed_by is not None,
        }
        return self._frame.page(request, "subjects.html", views | filters_of(request))

    async def _beside(self, who: Identity, session: Session, listed: Sequence[ShownItem]) -> Beside:
        return {} if self._kind.beside is None else await self._kind.beside(session.driver, who.party, listed)

    async def _one(self, request: PageInput) -> Response:
        after = await self._live.last(request.identity)
        return self._shown(request, await self._found(request), after=after)

    async def _reveal(self, request: PageInput) -> Response:
        """Show the opened record. The reason is reported to audit."""
        reason = read_reason(request)
        found = await self._found(request, reason)
        return self._shown(request, found, opened=found.it, compared=self._kind.amended(found.it))

    async def _found(self, request: PageInput, reason: RevealReason | None = None) -> _Found:
        """Load one subject for its page. With a `reason`, its record is opened."""
        recipient, subject_id, party = self._routes.recipient, request.id(), request.identity.party
        async with self._serving.reading(request.identity) as session:
            acting = self._routes.acting(request.identity, session)
            if reason is None:
                found = await look_at_item(recipient, subject_id, acting)
            else:
                found = await show_item(recipient, subject_id, acting, reason=reason)
            raised = await PostgresQuestions(session.driver).about(party, subject_id)
            looks = await looks_at(session.driver, self._serving.kek, party=party, subject=subject_id)
            return _Found(found, raised, looks, await self._closed(found, raised, acting))

    async def _evidence(self, request: PageInput) -> Response:
        async with self._serving.reading(request.identity) as session:
            acting = self._routes.acting(request.identity, session)
            witness = self._serving.witness
            kept = await show_evidence(self._routes.recipient, request.id(), acting, witness=witness)
        name = f"{self._kind.one}-{request.id()}-evidence.json"
        headers = dict(HEADERS) | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(kept.model_dump_json(exclude_unset=True), media_type="application/json", headers=headers)

    def _bulk_acts(self, request: PageInput) -> Sequence[Act]:
        return [row for act, row in self._acts.items() if act in self._kind.bulk and request.identity.role in row.roles]

    def _chosen(self, request: PageInput) -> tuple[Act, Sequence[UUID]]:
        """Return the act and the ticked subjects. Raises `Refused("nothing_chosen")`."""
        row = next((each for each in self._bulk_acts(request) if each.name == request.said("act")), None)
        try:
            ids = [UUID(each) for each in dict.fromkeys(request.form.get("id", ()))]
        except ValueError:
            raise not_found() from None
        if row is None:
            raise not_found()
        if not 0 < len(ids) <= ROWS_OF_A_PAGE:
            raise Refused("nothing_chosen", f"tick 1 to {ROWS_OF_A_PAGE} of the list", field="/id")
        return row, ids

    async def _confirm(self, request: PageInput) -> Response:
        """Show the act and its subjects for confirmation, before anything is done."""
        row, ids = self._chosen(request)
        return await self._confirmation(request, row, ids)

    async def _confirmation(
        self, request: PageInput, row: Act, ids: Sequence[UUID], *, error: Refused | None = None
    ) -> Response:
        async with self._serving.reading(request.identity) as session:
            acting = self._routes.acting(request.identity, session)
            all_chosen = [(each, await look_at_item(self._routes.recipient, each, acting)) for each in ids]
            left = [(each, it) for each, it in all_chosen if not await self._may(row, it, acting)]
        found = [each for each in all_chosen if each not in left]
        inputs = inputs_of(row.takes, rows=[ALIKE])
        problems = {"problems": problems_of(error, inputs) if error else [], "labels": labels_of(inputs)}
        views = {"kind": self._kind, "row": row, "found": found, "left": left, "inputs": inputs} | problems
        return self._frame.page(request, "bulk.html", views, status=error.status if error else 200)

    async def _in_bulk(self, request: PageInput) -> Response:
        """Do the act on each subject. A refused subject does not stop the others."""
        row, ids = self._chosen(request)
        try:
            said = read_said(row.takes, request)
        except Refused as error:
            return await self._confirmation(request, row, ids, error=error)
        self._serving.owe(request.identity.principal, len(ids))
        results: list[tuple[UUID, Refused | None]] = []
        for subject_id in ids:
            try:
                await self._done(request, row, subject_id, said=said, beside=f".{subject_id}")
                results.append((subject_id, None))
            except RetryLater:
                raise  # the same form may be sent again: what was done is not done again
            except Refused as error:
                results.append((subject_id, error))
        return self._frame.page(request, "bulk_done.html", {"kind": self._kind, "row": row, "results": results})

    async def _act(self, request: PageInput) -> Response:
        """Do one act, once for each sent form."""
        row = chosen_act(request, self._acts)
        subject_id, address = request.id(), f"{ROOT}/{self._kind.path}/{request.id()}"
        try:
            said = read_said(row.takes, request)
            await self._done(request, row, subject_id, said=said)
        except Refused as error:
            if error.status in (403, 404):
                raise
            return await self._refused(request, row, error)
        return turned_to(f"{address}?done={row.name}")

    async def _done(
        self, request: PageInput, row: Act, subject_id: UUID, *, said: Contract | None, beside: str = ""
    ) -> None:
        move = partial(self._routes.move, row, subject_id, said=said, identity=request.identity)
        acts = self._serving.acts
        await done_once(request, acts, row.name, doing=move, roles=row.roles, body=spelt(said), beside=beside)

    async def _refused(self, request: PageInput, row: Act, error: Refused) -> Response:
        found = await self._found(request)
        inputs = inputs_of(row.takes, rows=self._kind.numbers(found.it))
        wrong: dict[str, object] = {"problems": problems_of(error, inputs), "labels": labels_of(inputs)}
        with_form = found._replace(closed=found.closed - {row.name})
        return self._shown(request, with_form, status=error.status, refused=row.name, **wrong)

    async def _closed(self, found: ShownItem, raised: Sequence[ShownQuestion], acting: ItemActor) -> frozenset[str]:
        """Return the acts that the state permits, but an open question or another row forbids now."""
        mine = [each for each in raised if each.own and each.state is QuestionState.OPEN]
        raised_acts = frozenset(_RAISES[each.kind] for each in mine)
        return raised_acts | (frozenset() if self._kind.not_now is None else await self._kind.not_now(found, acting))

    async def _may(self, row: Act, found: ShownItem, acting: ItemActor) -> bool:
        """Return whether the act is possible in the present state."""
        return _state(found) in may_come_in(row) and row.name not in await self._closed(found, (), acting)

    def _shown(self, request: PageInput, found: _Found, *, status: int = 200, **more: object) -> Response:
        numbers, state = self._kind.numbers(found.it), _state(found.it)
        open_acts = [
            (row, inputs_of(row.takes, rows=numbers))
            for row in self._acts.values()
            if request.identity.role in row.roles and state in may_come_in(row) and row.name not in found.closed
        ]
        views: dict[str, object] = {
            "kind": self._kind,
            "it": found.it,
            "id": request.id(),
            "raised": found.raised,
            "looks": found.looks,
            "closed": found.closed,
            "acts": open_acts,
            "reasons": list(RevealReason),
            "done": self._acts.get(request.query("done") or ""),
            "opened": None,
            "compared": (),
            "refused": None,
            "problems": [],
            "labels": {},
            "after": None,
        }
        return self._frame.page(request, "subject.html", views | more, status=status)


def _state(found: ShownItem) -> str:
    return str(found.state)  # type: ignore[attr-defined]
