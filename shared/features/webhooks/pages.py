"""Pages of a party's webhooks."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.responses import Response

from shared.core.acts.act import ACTORS
from shared.core.errors import Refused
from shared.features.events.pages import done_once
from shared.features.webhooks.api import Doing, Registration, Replay, WebhookRoutes, WebhookSecret
from shared.platform.console.forms import PageInput, inputs_of, problems_of, read_inputs
from shared.platform.console.frame import ROOT, Frame, turned_to
from shared.platform.http.edge import read_model
from shared.platform.http.paging import BIGINT_MAX

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

    async def _register(self, request: PageInput) -> Response:
        try:
            said = read_model(Registration, read_inputs(Registration, request.form))
            answer = await self._done(request, "submit", said.spelt(), doing=partial(self._routes.register, said))
        except Refused as error:
            if error.code == "forbidden":
                raise
            return await self._listed(request, status=error.status, problems=problems_of(error))
        return await self._listed(request, secret=await self._routes.shown(request.identity, answer))

    async def _listed(
        self,
        request: PageInput,
        *,
        status: int = 200,
        problems: list[tuple[str, str]] | None = None,
        secret: WebhookSecret | None = None,
    ) -> Response:
        views = {
            "listed": await self._routes.list(request.identity),
            "inputs": inputs_of(Registration) if request.identity.role in ACTORS else (),
            "problems": problems or [],
            "secret": secret,
        }
        return self._frame.page(request, "webhooks.html", views, status=status)

    async def _shown(self, request: PageInput, *, secret: WebhookSecret | None = None) -> Response:
        identity, webhook_id = request.identity, request.id()
        views = {
            "it": await self._routes.show(identity, webhook_id),
            "deliveries": await self._routes.deliveries(identity, webhook_id, before=BIGINT_MAX, limit=_ATTEMPTS),
            "may_act": identity.role in ACTORS,
            "secret": secret,
            "done": request.query("done"),
        }
        return self._frame.page(request, "webhook.html", views)

    async def _replay(self, request: PageInput) -> Response:
        said = read_model(Replay, read_inputs(Replay, request.form))
        await self._done(request, "replay", said.spelt(), doing=partial(self._routes.replay, request.id(), said))
        return turned_to(f"{PATH}/{request.id()}?done=replay")

    async def _trigger(self, request: PageInput) -> Response:
        await self._done(request, "trigger", b"", doing=partial(self._routes.trigger, request.id()))
        return turned_to(f"{PATH}/{request.id()}?done=test")

    async def _rotate(self, request: PageInput) -> Response:
        answer = await self._done(request, "rotate", b"", doing=partial(self._routes.rotate, request.id()))
        return await self._shown(request, secret=await self._routes.shown(request.identity, answer))

    async def _remove(self, request: PageInput) -> Response:
        await self._routes.remove(request.identity, request.id())
        return turned_to(PATH)

    async def _done(self, request: PageInput, action: str, body: bytes, *, doing: Doing) -> bytes:
        """Do an act once for each sent form and return the stored response."""
        done = partial(self._routes.done, request.identity, doing)
        return await done_once(request, self._routes.serving.acts, action, doing=done, roles=ACTORS, body=body)
