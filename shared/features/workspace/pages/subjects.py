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

    async def _list(self, asked: PageInput) -> Response:
        mine = asked.query("claimed") == "mine"
        known = sorted(states(self._routes.recipient.subject))
        state = chosen_state(asked, known)
        claimed_by = asked.identity.actor if mine and self._kind.claimed else None
        page = ItemQuery(state, asked.query("cursor"), ROWS_OF_A_PAGE, sought_in(asked.query), claimed_by)
        after = await self._live.last(asked.identity)
        async with self._serving.reading(asked.identity) as session:
            acting = self._routes.acting(asked.identity, session)
            found = cast("SubjectList", await list_items(self._routes.recipient, page, acting))
            beside = await self._beside(asked.identity, session, found.items)
        views: dict[str, object] = {
            "after": after,
            "kind": self._kind,
            "listed": found,
            "beside": beside,
            "bulk": [row.name for row in self._bulk_acts(asked)],
            "states": known,
            "state": state,
            "only": asked.query("priority"),
            "mine": claimed_by is not None,
        }
        return self._frame.page(asked, "subjects.html", views | filters_of(asked))

    async def _beside(self, who: Identity, session: Session, listed: Sequence[ShownItem]) -> Beside:
        return {} if self._kind.beside is None else await self._kind.beside(session.driver, who.party, listed)

    async def _one(self, asked: PageInput) -> Response:
        after = await self._live.last(asked.identity)
        return self._shown(asked, await self._found(asked), after=after)

    async def _reveal(self, asked: PageInput) -> Response:
        """Show the opened record. The reason is reported to audit."""
        reason = read_reason(asked)
        if (unproven := self._frame.unproven(asked, f"{ROOT}/{self._kind.path}/{asked.id()}")) is not None:
            return unproven
        found = await self._found(asked, reason)
        return self._shown(asked, found, opened=found.it, compared=self._kind.amended(found.it))

    async def _found(self, asked: PageInput, reason: RevealReason | None = None) -> _Found:
        """Load one subject for its page. With a `reason`, its record is opened."""
        recipient, subject_id, party = self._routes.recipient, asked.id(), asked.identity.party
        async with self._serving.reading(asked.identity) as session:
            acting = self._routes.acting(asked.identity, session)
            if reason is None:
                found = await look_at_item(recipient, subject_id, acting)
            else:
                found = await show_item(recipient, subject_id, acting, reason=reason)
            raised = await PostgresQuestions(session.driver).about(party, subject_id)
            looks = await looks_at(session.driver, self._serving.kek, party=party, subject=subject_id)
            return _Found(found, raised, looks, await self._closed(found, raised, acting))

    async def _evidence(self, asked: PageInput) -> Response:
        async with self._serving.reading(asked.identity) as session:
            acting = self._routes.acting(asked.identity, session)
            witness = self._serving.witness
            kept = await show_evidence(self._routes.recipient, asked.id(), acting, witness=witness)
        name = f"{self._kind.one}-{asked.id()}-evidence.json"
        headers = dict(HEADERS) | {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(kept.model_dump_json(exclude_unset=True), media_type="application/json", headers=headers)

    def _bulk_acts(self, asked: PageInput) -> Sequence[Act]:
        return [row for name, row in self._acts.items() if name in self._kind.bulk and asked.identity.role in row.roles]

    def _chosen(self, asked: PageInput) -> tuple[Act, Sequence[UUID]]:
        """Return the act and the ticked subjects. Raises `Refused("nothing_chosen")`."""
        row = next((each for each in self._bulk_acts(asked) if each.name == asked.said("act")), None)
        try:
            ids = [UUID(each) for each in dict.fromkeys(asked.form.get("id", ()))]
        except ValueError:
            raise not_found() from None
        if row is None:
            raise not_found()
        if not 0 < len(ids) <= ROWS_OF_A_PAGE:
            raise Refused("nothing_chosen", f"tick 1 to {ROWS_OF_A_PAGE} of the list", field="/id")
        return row, ids

    async def _confirm(self, asked: PageInput) -> Response:
        """Show the act and its subjects for confirmation, before anything is done."""
        row, ids = self._chosen(asked)
        async with self._serving.reading(asked.identity) as session:
            acting = self._routes.acting(asked.identity, session)
            all_chosen = [(each, await look_at_item(self._routes.recipient, each, acting)) for each in ids]
            left = [(each, it) for each, it in all_chosen if not await self._may(row, it, acting)]
        found = [each for each in all_chosen if each not in left]
        inputs = inputs_of(row.takes, rows=[ALIKE])
        views = {"kind": self._kind, "row": row, "found": found, "left": left, "inputs": inputs}
        return self._frame.page(asked, "bulk.html", views)

    async def _in_bulk(self, asked: PageInput) -> Response:
        """Do the act on each subject. A refused subject does not stop the others."""
        row, ids = self._chosen(asked)
        said = read_said(row.takes, asked)
        self._serving.owe(asked.identity.party, len(ids))
        results: list[tuple[UUID, Refused | None]] = []
        for each in ids:
            try:
                await self._done(asked, row, each, said=said, beside=f".{each}")
                results.append((each, None))
            except RetryLater:
                raise  # the same form may be sent again: what was done is not done again
            except Refused as error:
                results.append((each, error))
        return self._frame.page(asked, "bulk_done.html", {"kind": self._kind, "row": row, "results": results})

    async def _act(self, asked: PageInput) -> Response:
        """Do one act, once for each sent form."""
        row = chosen_act(asked, self._acts)
        subject_id, here = asked.id(), f"{ROOT}/{self._kind.path}/{asked.id()}"
        try:
            said = read_said(row.takes, asked)
            await self._done(asked, row, subject_id, said=said)
        except Refused as error:
            if error.status in (403, 404):
                raise
            return await self._refused(asked, row, error)
        return turned_to(f"{here}?done={row.name}")

    async def _done(
        self, asked: PageInput, row: Act, subject_id: UUID, *, said: Contract | None, beside: str = ""
    ) -> None:
        move = partial(self._routes.move, row, subject_id, said=said, identity=asked.identity)
        acts = self._serving.acts
        await done_once(asked, acts, row.name, doing=move, roles=row.roles, body=spelt(said), beside=beside)

    async def _refused(self, asked: PageInput, row: Act, error: Refused) -> Response:
        found = await self._found(asked)
        inputs = inputs_of(row.takes, rows=self._kind.numbers(found.it))
        wrong: dict[str, object] = {"problems": problems_of(error, inputs), "labels": labels_of(inputs)}
        here = found._replace(closed=found.closed - {row.name})
        return self._shown(asked, here, status=error.status, refused=row.name, **wrong)

    async def _closed(self, found: ShownItem, raised: Sequence[ShownQuestion], acting: ItemActor) -> frozenset[str]:
        """Return the acts that the state permits, but an open question or another row forbids now."""
        mine = [each for each in raised if each.own and each.state is QuestionState.OPEN]
        asked = frozenset(_RAISES[each.kind] for each in mine)
        return asked | (frozenset() if self._kind.not_now is None else await self._kind.not_now(found, acting))

    async def _may(self, row: Act, found: ShownItem, acting: ItemActor) -> bool:
        """Return whether the act is possible in the present state."""
        return _state(found) in may_come_in(row) and row.name not in await self._closed(found, (), acting)

    def _shown(self, asked: PageInput, found: _Found, *, status: int = 200, **more: object) -> Response:
        numbers, state = self._kind.numbers(found.it), _state(found.it)
        open_acts = [
            (row, inputs_of(row.takes, rows=numbers))
            for row in self._acts.values()
            if asked.identity.role in row.roles and state in may_come_in(row) and row.name not in found.closed
        ]
        views: dict[str, object] = {
            "kind": self._kind,
            "it": found.it,
            "id": asked.id(),
            "raised": found.raised,
            "looks": found.looks,
            "acts": open_acts,
            "reasons": list(RevealReason),
            "done": self._acts.get(asked.query("done") or ""),
            "opened": None,
            "compared": (),
            "refused": None,
            "problems": [],
            "labels": {},
            "after": None,
        }
        return self._frame.page(asked, "subject.html", views | more, status=status)


def _state(found: ShownItem) -> str:
    return str(found.state)  # type: ignore[attr-defined]
