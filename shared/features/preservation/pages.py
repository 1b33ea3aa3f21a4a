"""Pages of preservations, the same for agencies and providers: the requests, and the acts of each side.

Only an agency sends requests. The sealed part stays closed until a person opens it with a reason, which is reported to
audit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from functools import partial
from typing import Annotated, Final

from pydantic import BaseModel, Field, JsonValue
from starlette.responses import Response

from shared.core.acts.act import Act, Subject
from shared.core.acts.states import begins, may_come_in, personal, states
from shared.core.contracts.base import Contract, PartyId
from shared.core.contracts.fields import CaseReference
from shared.core.errors import Refused, not_found
from shared.core.protocol.preservation import ASK
from shared.core.vocabulary.preservation import PreservationKind, PreservationTerm
from shared.core.vocabulary.referral import LocatorKind
from shared.core.vocabulary.reveal import RevealReason
from shared.core.vocabulary.routing import Instrument
from shared.features.events.pages import LiveStream, chosen_act, chosen_state, done_once, read_reason, read_said, spelt
from shared.features.preservation.api import PreservationRoutes, XmlResponse
from shared.features.preservation.rules import AskResult, OpenedPreservation, PreservationAsk, PreservationSummary
from shared.features.preservation.service import export, list_preservations, look_at_preservation, show_preservation
from shared.features.record_access.store import AccessLogRow, looks_at
from shared.platform.console.forms import PageInput, inputs_of, labels_of, problems_of, read_inputs
from shared.platform.console.frame import HEADERS, ROOT, Frame, turned_to
from shared.platform.database.transactions import Session
from shared.platform.http.edge import read_model

PLACE: Final = "preservations"
PATH: Final = f"{ROOT}/{PLACE}"
ROWS_OF_A_PAGE: Final = 25
#: The work of an act within its transaction.
Doing = Callable[[Session], Awaitable[Contract]]


class NewPreservation(BaseModel):
    """The form of an agency's request. Locations have one line each, all of one kind."""

    provider: Annotated[PartyId, Field(description="The provider's id.")]
    kind: PreservationKind
    instrument: Instrument
    term: Annotated[PreservationTerm | None, Field(description="A term of the instrument. Or give a day.")] = None
    until: date | None = None
    locations: Annotated[tuple[str, ...], Field(description="One on each line. Only the provider can read them.")]
    location_kind: Annotated[LocatorKind, Field(title="Kind of location")] = LocatorKind.URL
    order_reference: Annotated[
        CaseReference | None, Field(title="Your order's reference", description="Only the provider can read it.")
    ] = None


class PreservationPages:
    """The handlers of the pages. `routes` wire the use cases, as in the API."""

    def __init__(self, frame: Frame, routes: PreservationRoutes, *, live: LiveStream) -> None:
        self._frame = frame
        self._routes = routes
        self._live = live
        own = personal(Subject.PRESERVATION)
        self._acts = {row.name: row for row in own if row.track is routes.track and not begins(row)}
        self._asks = routes.track is ASK.track
        frame.get(f"/{PLACE}", self._list)
        if self._asks:
            frame.get(f"/{PLACE}/new", self._form)
            frame.post(f"/{PLACE}/new", self._ask)
        frame.get(f"/{PLACE}/{{id}}", self._looked)
        frame.post(f"/{PLACE}/{{id}}/reveal", self._reveal)
        frame.post(f"/{PLACE}/{{id}}/export", self._export)
        frame.post(f"/{PLACE}/{{id}}/act/{{act}}", self._act)

    async def _list(self, request: PageInput) -> Response:
        known = sorted(states(Subject.PRESERVATION))
        state = chosen_state(request, known)
        after = await self._live.last(request.identity)
        async with self._routes.serving.reading(request.identity) as session:
            acting = self._routes.acting(request.identity, session)
            found = await list_preservations(acting, state=state, cursor=request.query("cursor"), limit=ROWS_OF_A_PAGE)
        asks = self._asks and request.identity.role in ASK.roles
        views = {"listed": found, "states": known, "state": state, "after": after, "asks": asks}
        return self._frame.page(request, "preservations.html", views)

    async def _form(self, request: PageInput, *, status: int = 200, problem: Refused | None = None) -> Response:
        if request.identity.role not in ASK.roles:
            raise not_found()
        problems = [] if problem is None else [(path.partition(".")[0], said) for path, said in problems_of(problem)]
        inputs = inputs_of(NewPreservation)
        views = {"inputs": inputs, "labels": labels_of(inputs), "problems": problems}
        return self._frame.page(request, "preservation_new.html", views, status=status)

    async def _ask(self, request: PageInput) -> Response:
        try:
            ask = read_model(PreservationAsk, _wanted(read_inputs(NewPreservation, request.form)))
            reply = await self._done(request, ASK, partial(self._routes.asked, ask, request.identity), body=ask.spelt())
        except Refused as error:
            if error.status == 404 or error.code == "forbidden":
                raise
            return await self._form(request, status=error.status, problem=error)
        result = AskResult.model_validate_json(reply)
        warned = f"&warned={result.warnings[0].value}" if result.warnings else ""
        return turned_to(f"{PATH}/{result.preservation_id}?done={ASK.name}{warned}")

    async def _looked(
        self, request: PageInput, *, status: int = 200, refused: str = "", problem: Refused | None = None
    ) -> Response:
        after = await self._live.last(request.identity)
        async with self._routes.serving.reading(request.identity) as session:
            found = await look_at_preservation(request.id(), self._routes.acting(request.identity, session))
            looks = await self._list_accesses(request, session)
        inputs = inputs_of(self._acts[refused].takes) if refused else ()
        wrong: dict[str, object] = {"labels": labels_of(inputs)}
        wrong["problems"] = [] if problem is None else problems_of(problem, inputs)
        return self._shown(request, found, status=status, refused=refused, looks=looks, after=after, **wrong)

    async def _reveal(self, request: PageInput) -> Response:
        reason = read_reason(request)
        async with self._routes.serving.reading(request.identity) as session:
            acting = self._routes.acting(request.identity, session)
            found = await show_preservation(request.id(), acting, reason=reason)
            looks = await self._list_accesses(request, session)
        return self._shown(request, found, looks=looks, opened=found)

    async def _list_accesses(self, request: PageInput, session: Session) -> Sequence[AccessLogRow]:
        """Return the openings by people and machines of the party."""
        kek, party = self._routes.serving.kek, request.identity.party
        return await looks_at(session.driver, kek, party=party, subject=request.id())

    async def _export(self, request: PageInput) -> Response:
        """Export the whole flow as ETSI TS 103 120 XML. This opens the sealed part."""
        reason = read_reason(request)
        async with self._routes.serving.reading(request.identity) as session:
            found = await export(request.id(), self._routes.acting(request.identity, session), reason=reason)
        name = f"preservation-{request.id()}-ts103120.xml"
        headers = dict(HEADERS) | {"Content-Disposition": f'attachment; filename="{name}"'}
        return XmlResponse(found, headers=headers)

    async def _act(self, request: PageInput) -> Response:
        row = chosen_act(request, self._acts)
        try:
            said = read_said(row.takes, request)
            move = partial(self._routes.move, row, request.id(), said=said, identity=request.identity)
            await self._done(request, row, move, body=spelt(said))
        except Refused as error:
            if error.status in (403, 404):
                raise
            return await self._looked(request, status=error.status, refused=row.name, problem=error)
        return turned_to(f"{PATH}/{request.id()}?done={row.name}")

    async def _done(self, request: PageInput, row: Act, doing: Doing, *, body: bytes) -> bytes:
        """Do an act once for each sent form and return its response."""
        return await done_once(request, self._routes.serving.acts, row.name, doing=doing, roles=row.roles, body=body)

    def _shown(
        self, request: PageInput, found: PreservationSummary | OpenedPreservation, *, status: int = 200, **more: object
    ) -> Response:
        open_acts = [
            (row, inputs_of(row.takes))
            for row in self._acts.values()
            if request.identity.role in row.roles and found.state.value in may_come_in(row)
        ]
        done = request.query("done")
        views: dict[str, object] = {
            "it": found,
            "acts": open_acts,
            "reasons": list(RevealReason),
            "done": done if done in {*self._acts, ASK.name} else None,
            "warned": request.query("warned") == "hold_stands",
            "opened": None,
            "refused": "",
            "problems": [],
            "labels": {},
            "after": None,
        }
        return self._frame.page(request, "preservation.html", views | more, status=status)


def _wanted(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the request of a form. Its model then reports missing or wrong fields."""
    lines, kind = values.pop("locations", None), values.pop("location_kind", LocatorKind.URL.value)
    located: list[JsonValue] = [{"kind": kind, "value": each} for each in lines] if isinstance(lines, list) else []
    return values | {"locations": located}
