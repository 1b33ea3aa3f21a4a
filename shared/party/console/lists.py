"""Pages of the attention list, deadlines, webhooks and work items; and the event stream for open pages.

The stream sends the party's feed as server-sent events (HTML standard, §9.2), so that an open page shows new rows.
The webhook pages show the result of each delivery attempt, and can send events again. A work item of a provider is
answered at once for all open notices about one location.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from starlette.responses import Response

from shared.core.acts.act import ACTORS, Act, Subject
from shared.core.errors import Refused
from shared.party.attention import AttentionRoutes
from shared.party.console.forms import chosen_act, done_once
from shared.party.events import DueList, Events, EventsQuery
from shared.party.webhooks import Doing, Registration, Replay, WebhookRoutes, WebhookSecret
from shared.party.work_items.api import TAKES, WorkResults, WorkRoutes
from shared.platform.console.forms import PageInput, inputs_of, labels_of, problems_of, read_inputs
from shared.platform.console.frame import HEADERS, ROOT, Frame, turned_to
from shared.platform.http.edge import read_model
from shared.platform.http.identity import Identity
from shared.platform.http.paging import BIGINT_MAX

#: The longest time that a stream request is held open. Then the browser reconnects, after the stated pause.
WAIT_S: Final = 25
RETRY_MS: Final = 2000
_EVENTS_MAX: Final = 50


class LiveStream:
    """The event stream, and the event number after which a page starts to listen."""

    def __init__(self, frame: Frame, events: Events) -> None:
        self._events = events
        frame.stream("/live", self._stream)

    async def last(self, identity: Identity) -> int | None:
        """Return the number of the party's last event, which a page built now includes; None without a permit."""
        try:
            return (await self._events.page(identity, EventsQuery(limit=1))).last
        except Refused:
            return None

    async def _stream(self, asked: PageInput) -> Response:
        said = asked.request.headers.get("last-event-id") or asked.query("after") or "0"
        after = int(said) if said.isascii() and said.isdecimal() and len(said) < 19 else 0
        try:
            found = await self._events.page(asked.identity, EventsQuery(after=after, limit=_EVENTS_MAX, wait=WAIT_S))
            news = "".join(f"id: {each.number}\nevent: news\ndata: {each.subject}\n\n" for each in found.items)
        except Refused as error:
            if error.code != "feed_began_anew":
                raise
            news = "id: 0\nevent: news\ndata: all\n\n"
        headers = dict(HEADERS) | {"Cache-Control": "no-store"}
        return Response(f"retry: {RETRY_MS}\n\n{news}", media_type="text/event-stream", headers=headers)


ROWS_OF_A_PAGE: Final = 25
#: The highest rank of a list: only subjects with a child at risk, or all.
_P0, _ALL = 0, 1


class ListPages:
    """The attention list and the deadlines. `places` are the paths of the kinds of subjects below /console."""

    def __init__(
        self, frame: Frame, live: LiveStream, attention: AttentionRoutes, *, due: DueList, places: Mapping[Subject, str]
    ) -> None:
        self._frame = frame
        self._live = live
        self._attention = attention
        self._due = due
        self._places = {kind.value: f"{ROOT}/{path}" for kind, path in places.items()}
        frame.get("/attention", self._waiting)
        frame.get("/due", self._falling_due)

    async def _waiting(self, asked: PageInput) -> Response:
        only = asked.query("priority")
        rank_max = _P0 if only == "p0" else _ALL
        after = await self._live.last(asked.identity)
        page = await self._attention.page(
            asked.identity, asked.query("cursor"), rank_max=rank_max, limit=ROWS_OF_A_PAGE
        )
        views = {"listed": page, "only": only, "places": self._places, "after": after}
        return self._frame.page(asked, "attention.html", views)

    async def _falling_due(self, asked: PageInput) -> Response:
        after = await self._live.last(asked.identity)
        page = await self._due.page(asked.identity, asked.query("cursor"), ROWS_OF_A_PAGE)
        sent = [path for kind, path in self._places.items() if kind != Subject.REFERRAL]
        return self._frame.page(asked, "due.html", {"listed": page, "after": after, "sent": sent[0] if sent else None})


PATH: Final = f"{ROOT}/webhooks"
_ATTEMPTS: Final = 50


class WebhookPages:
    """The webhook pages. The use cases check the roles."""

    def __init__(self, frame: Frame, routes: WebhookRoutes) -> None:
        self._frame = frame
        self._routes = routes
        frame.get("/webhooks", self._listed)
        frame.post("/webhooks", self._register)
        frame.get("/webhooks/{id}", self._shown)
        frame.post("/webhooks/{id}/replay", self._replay)
        frame.post("/webhooks/{id}/trigger", self._trigger)
        frame.post("/webhooks/{id}/rotate", self._rotate)
        frame.post("/webhooks/{id}/remove", self._remove)

    async def _register(self, asked: PageInput) -> Response:
        try:
            said = read_model(Registration, read_inputs(Registration, asked.form))
            answer = await self._done(asked, "submit", said.spelt(), doing=partial(self._routes.register, said))
        except Refused as error:
            if error.code == "forbidden":
                raise
            return await self._listed(asked, status=error.status, problems=problems_of(error))
        return await self._listed(asked, secret=await self._routes.shown(asked.identity, answer))

    async def _listed(
        self,
        asked: PageInput,
        *,
        status: int = 200,
        problems: list[tuple[str, str]] | None = None,
        secret: WebhookSecret | None = None,
    ) -> Response:
        views = {
            "listed": await self._routes.list(asked.identity),
            "inputs": inputs_of(Registration) if asked.identity.role in ACTORS else (),
            "problems": problems or [],
            "secret": secret,
        }
        return self._frame.page(asked, "webhooks.html", views, status=status)

    async def _shown(self, asked: PageInput, *, secret: WebhookSecret | None = None) -> Response:
        identity, webhook_id = asked.identity, asked.id()
        views = {
            "it": await self._routes.show(identity, webhook_id),
            "deliveries": await self._routes.deliveries(identity, webhook_id, before=BIGINT_MAX, limit=_ATTEMPTS),
            "may_act": identity.role in ACTORS,
            "secret": secret,
            "done": asked.query("done"),
        }
        return self._frame.page(asked, "webhook.html", views)

    async def _replay(self, asked: PageInput) -> Response:
        said = read_model(Replay, read_inputs(Replay, asked.form))
        await self._done(asked, "replay", said.spelt(), doing=partial(self._routes.replay, asked.id(), said))
        return turned_to(f"{PATH}/{asked.id()}?done=replay")

    async def _trigger(self, asked: PageInput) -> Response:
        await self._done(asked, "trigger", b"", doing=partial(self._routes.trigger, asked.id()))
        return turned_to(f"{PATH}/{asked.id()}?done=test")

    async def _rotate(self, asked: PageInput) -> Response:
        answer = await self._done(asked, "rotate", b"", doing=partial(self._routes.rotate, asked.id()))
        return await self._shown(asked, secret=await self._routes.shown(asked.identity, answer))

    async def _remove(self, asked: PageInput) -> Response:
        await self._routes.remove(asked.identity, asked.id())
        return turned_to(PATH)

    async def _done(self, asked: PageInput, action: str, body: bytes, *, doing: Doing) -> bytes:
        """Do an act once for each sent form and return the stored response."""
        done = partial(self._routes.done, asked.identity, doing)
        return await done_once(asked, self._routes.serving.acts, action, doing=done, roles=ACTORS, body=body)


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

    async def _list(self, asked: PageInput) -> Response:
        after = await self._last(asked.identity)
        found = await self._routes.page(asked.identity, asked.query("cursor"), ROWS_OF_A_PAGE)
        return self._frame.page(asked, "work.html", {"listed": found, "after": after})

    async def _shown(
        self, asked: PageInput, *, status: int = 200, refused: str = "", problem: Refused | None = None
    ) -> Response:
        found = await self._routes.show(asked.identity, asked.id())
        acts = [(row, inputs_of(takes)) for row, takes in TAKES.items() if asked.identity.role in row.roles]
        inputs = next((each for row, each in acts if row.name == refused), ())
        problems = [] if problem is None else problems_of(problem, inputs)
        views = {"it": found, "acts": acts, "refused": refused, "problems": problems, "labels": labels_of(inputs)}
        return self._frame.page(asked, "work_item.html", views, status=status)

    async def _act(self, asked: PageInput) -> Response:
        """Answer each notice of a work item. A refused notice does not stop the others."""
        row = chosen_act(asked, self._acts)
        try:
            answered = await self._done(asked, row)
        except Refused as error:
            if error.status in (403, 404):
                raise
            return await self._shown(asked, status=error.status, refused=row.name, problem=error)
        return self._frame.page(asked, "work_done.html", {"row": row, "results": answered.results})

    async def _done(self, asked: PageInput, row: Act) -> WorkResults:
        said = read_model(TAKES[row], read_inputs(TAKES[row], asked.form))
        doing = partial(self._routes.answered, row, asked.id(), said=said, identity=asked.identity)
        acts = self._routes.acts
        answer = await done_once(asked, acts, row.name, doing=doing, roles=row.roles, body=said.spelt(), status=200)
        return WorkResults.model_validate_json(answer)
