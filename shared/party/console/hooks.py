"""Pages of the addresses to which a party has its events sent: what came of each attempt, and sending again."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from starlette.responses import Response

from shared.exchange.act import ACTORS
from shared.kernel.errors import Refused
from shared.party.console.forms import done_once
from shared.party.webhooks import Doing, Registration, Replay, WebhookRoutes, WebhookSecret
from shared.runtime.console.asked import Asked
from shared.runtime.console.forms import inputs_of, problems_of, read_inputs
from shared.runtime.console.frame import ROOT, Frame, turned_to
from shared.runtime.http.edge import read_model
from shared.runtime.http.paging import BIGINT_MAX

PATH: Final = f"{ROOT}/webhooks"
_ATTEMPTS: Final = 50


class HookPages:
    """What the pages do; roles are asked for by the use cases."""

    def __init__(self, frame: Frame, routes: WebhookRoutes) -> None:
        self._frame = frame
        self._routes = routes
        frame.get("/webhooks", self._list)
        frame.post("/webhooks", self._register)
        frame.get("/webhooks/{id}", self._one)
        frame.post("/webhooks/{id}/replay", self._replay)
        frame.post("/webhooks/{id}/trigger", self._trigger)
        frame.post("/webhooks/{id}/rotate", self._rotate)
        frame.post("/webhooks/{id}/remove", self._remove)

    async def _list(self, asked: Asked) -> Response:
        return await self._listed(asked)

    async def _register(self, asked: Asked) -> Response:
        try:
            said = read_model(Registration, read_inputs(Registration, asked.form))
            answer = await self._done(asked, "submit", said.spelt(), doing=self._routes.registering(said))
        except Refused as error:
            if error.code == "forbidden":
                raise
            return await self._listed(asked, status=error.status, problems=problems_of(error))
        return await self._listed(asked, secret=await self._routes.shown(asked.identity, answer))

    async def _listed(
        self,
        asked: Asked,
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

    async def _one(self, asked: Asked) -> Response:
        return await self._shown(asked, asked.id())

    async def _shown(self, asked: Asked, webhook_id: UUID, *, secret: WebhookSecret | None = None) -> Response:
        identity = asked.identity
        views = {
            "it": await self._routes.show(identity, webhook_id),
            "deliveries": await self._routes.deliveries(identity, webhook_id, before=BIGINT_MAX, limit=_ATTEMPTS),
            "may_act": identity.role in ACTORS,
            "secret": secret,
            "done": asked.query("done"),
        }
        return self._frame.page(asked, "webhook.html", views)

    async def _replay(self, asked: Asked) -> Response:
        said = read_model(Replay, read_inputs(Replay, asked.form))
        await self._done(asked, "replay", said.spelt(), doing=self._routes.replaying(asked.id(), said))
        return turned_to(f"{PATH}/{asked.id()}?done=replay")

    async def _trigger(self, asked: Asked) -> Response:
        await self._done(asked, "trigger", b"", doing=self._routes.triggering(asked.id()))
        return turned_to(f"{PATH}/{asked.id()}?done=test")

    async def _rotate(self, asked: Asked) -> Response:
        answer = await self._done(asked, "rotate", b"", doing=self._routes.rotating(asked.id()))
        return await self._shown(asked, asked.id(), secret=await self._routes.shown(asked.identity, answer))

    async def _remove(self, asked: Asked) -> Response:
        await self._routes.remove(asked.identity, asked.id())
        return turned_to(PATH)

    async def _done(self, asked: Asked, action: str, body: bytes, *, doing: Doing) -> bytes:
        """An act, once for the form that it was sent from; what is stored of its answer."""
        done = self._routes.done(asked.identity, doing)
        return await done_once(asked, self._routes.serving.acts, action, doing=done, roles=ACTORS, body=body)
