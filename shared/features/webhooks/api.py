"""HTTP routes for webhooks and their deliveries."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ConfigDict, Field, JsonValue, StringConstraints
from starlette.responses import Response

from shared.core.acts.act import ACTORS
from shared.core.acts.states import WebhookState
from shared.core.contracts.base import Contract, Instant, Uuid
from shared.features.events.api import RouteContext, viewed
from shared.platform.courier.addresses import URL_CHARACTERS_MAX, read_url
from shared.platform.courier.endpoints import CreatedEndpoint, Delivery, WebhookEndpoint, WebhookEndpoints
from shared.platform.database.transactions import RowScope, Session
from shared.platform.http.edge import read_json, read_model
from shared.platform.http.identity import Identity
from shared.platform.http.openapi import does, shows
from shared.platform.http.paging import BIGINT_MAX, Limit

_ID: Final = "019b2d3c-4400-7000-8000-000000000003"
_WEBHOOK: Final[dict[str, JsonValue]] = {
    "webhook_id": _ID,
    "url": "https://hooks.party.example/causeway",
    "state": "active",
    "number": 1040,
    "last": 1042,
    "failures": 2,
    "failing_since": "2026-05-04T12:00:00.000Z",
    "due_at": "2026-05-04T12:05:05.000Z",
    "made_at": "2026-05-01T09:00:00.000Z",
}
_DELIVERY: Final[dict[str, JsonValue]] = {
    "entry": 7,
    "message_id": "evt_019b2d3c440070008000000000000001_1041",
    "number": 1041,
    "attempt": 2,
    "at": "2026-05-04T12:00:05.000Z",
    "code": "status_refused",
    "status": 503,
    "duration_ms": 84,
}
_Number = Annotated[int, Field(ge=0, le=BIGINT_MAX)]


class Registration(Contract):
    """A webhook to register: an https address with a public name. It gets events after `after`, else new ones only."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"url": "https://hooks.party.example/causeway"}]})

    url: Annotated[str, StringConstraints(min_length=8, max_length=URL_CHARACTERS_MAX, pattern=r"^[!-~]+$")]
    after: Annotated[
        _Number | None, Field(description="Send the events after this event number. If empty, only new events.")
    ] = None


class Replay(Contract):
    """The event number from which events are sent again; if empty, the first event that was not confirmed."""

    number: Annotated[int, Field(ge=1, le=BIGINT_MAX)] | None = None


class WebhookSecret(Contract):
    """A webhook with the secret that signs its deliveries. Only this response shows the secret."""

    webhook_id: Uuid
    state: WebhookState
    secret: Annotated[str, StringConstraints(pattern=r"^whsec_[A-Za-z0-9+/]{43}=$")]


class WebhookTransition(Contract):
    """The webhook's state after an act. After a replay, `number` is the event after which deliveries continue."""

    webhook_id: Uuid
    state: WebhookState
    number: _Number | None = None


class ShownWebhook(Contract):
    """A webhook. Its receiver has confirmed all events up to `number`; `last` is the last event of the feed.

    While deliveries of the next event fail, `failures` is the number of attempts and `due_at` the time of the next one.
    Until `both_until` the old secret signs, too.
    """

    webhook_id: Uuid
    url: str
    state: WebhookState
    number: _Number
    last: _Number
    failures: _Number
    failing_since: Instant | None = None
    due_at: Instant | None = None
    both_until: Instant | None = None
    made_at: Instant


class WebhookList(Contract):
    """The party's webhooks, in the order in which they were registered."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_WEBHOOK]}]})

    items: tuple[ShownWebhook, ...]


class ShownDelivery(Contract):
    """One attempt. `code` is `delivered` or the error, `status` the HTTP status, `entry` its number in the log."""

    entry: _Number
    message_id: str
    number: _Number
    attempt: _Number
    at: Instant
    code: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,64}$")]
    status: int | None = None
    duration_ms: int


class Deliveries(Contract):
    """Delivery attempts, newest first. The last thousand are stored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_DELIVERY]}]})

    items: tuple[ShownDelivery, ...]


class _SealedSecret(Contract):
    """The stored form of a response with a secret, for repeated requests. The webhook's key encrypts the secret.

    Removing the webhook erases that key, so the stored secret cannot be read any more.
    """

    webhook_id: Uuid
    state: WebhookState
    secret: str


#: The work of an act on the party's webhooks, within its transaction.
Doing = Callable[[WebhookEndpoints], Awaitable[Contract]]


@dataclass(frozen=True, slots=True)
class WebhookRoutes:
    """The handlers of the routes."""

    serving: RouteContext

    async def list(self, identity: Identity) -> WebhookList:
        async with self.serving.looking(identity, "webhook", WebhookState.ACTIVE) as session:
            return WebhookList(items=tuple(map(_shown, await self._of(session, identity).list())))

    async def show(self, identity: Identity, webhook_id: UUID) -> ShownWebhook:
        async with self.serving.looking(identity, "webhook", WebhookState.ACTIVE) as session:
            return _shown(await self._of(session, identity).show(webhook_id))

    async def deliveries(self, identity: Identity, webhook_id: UUID, *, before: int, limit: int) -> Deliveries:
        async with self.serving.looking(identity, "webhook", WebhookState.ACTIVE) as session:
            found = await self._of(session, identity).deliveries(webhook_id, before=before, limit=limit)
        return Deliveries(items=tuple(map(_shown_delivery, found)))

    async def act(self, request: Request, identity: Identity, action: str, *, doing: Doing) -> Response:
        """Do one act, once for its idempotency key."""
        done = partial(self.done, identity, doing)
        return await self.serving.acts.once(request, identity, action, roles=ACTORS, act=done)

    async def make(self, request: Request, identity: Identity, action: str, *, doing: Doing) -> Response:
        """Do one act that responds with a secret. The stored response does not show the secret."""
        answer = await self.act(request, identity, action, doing=doing)
        shown = await self.shown(identity, bytes(answer.body))
        return Response(shown.spelt(), status_code=answer.status_code, media_type="application/json")

    async def shown(self, identity: Identity, answer: bytes) -> WebhookSecret:
        """Return the response for a stored one, with its secret decrypted."""
        kept = _SealedSecret.model_validate_json(answer)
        async with self.serving.looking(identity, "webhook", WebhookState.ACTIVE) as session:
            secret = await self._of(session, identity).secret(kept.webhook_id, b64decode(kept.secret))
        return WebhookSecret(webhook_id=kept.webhook_id, state=kept.state, secret=secret)

    async def done(self, identity: Identity, doing: Doing, session: Session) -> Contract:
        """Do an act on the party's webhooks within a transaction."""
        return await doing(self._of(session, identity))

    async def register(self, said: Registration, mine: WebhookEndpoints) -> Contract:
        """Register a webhook. Raises `Refused` for an address to which nothing may be sent."""
        read_url(said.url, self.serving.address_rules)
        return sealed(await mine.register(said.url, after=said.after, at=self.serving.clock.now()))

    async def rotate(self, webhook_id: UUID, mine: WebhookEndpoints) -> Contract:
        """Create a new secret."""
        return sealed(await mine.rotate(webhook_id, at=self.serving.clock.now()))

    async def replay(self, webhook_id: UUID, said: Replay, mine: WebhookEndpoints) -> Contract:
        """Send events again from a number."""
        number = await mine.replay(webhook_id, said.number)
        return WebhookTransition(webhook_id=webhook_id, state=WebhookState.ACTIVE, number=number)

    async def trigger(self, webhook_id: UUID, mine: WebhookEndpoints) -> Contract:
        """Add a test event to the feed."""
        return WebhookTransition(webhook_id=webhook_id, state=await mine.trigger(webhook_id))

    async def remove(self, identity: Identity, webhook_id: UUID) -> WebhookTransition:
        self.serving.authority.require("webhook", identity.role, action="remove", state=WebhookState.ACTIVE)
        scope = RowScope([identity.party], identity.role, "remove")
        async with self.serving.database.transaction(scope) as session:
            await self._of(session, identity).remove(webhook_id)
        return WebhookTransition(webhook_id=webhook_id, state=WebhookState.REMOVED)

    def _of(self, session: Session, identity: Identity) -> WebhookEndpoints:
        return WebhookEndpoints(session.driver, self.serving.kek, identity.party)


def webhooks_router(serving: RouteContext) -> APIRouter:
    """Build the routes under /v1/webhooks."""
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
    who = Depends(serving.identified)
    routes = WebhookRoutes(serving)
    _add_looks(router, routes, who)

    @router.post("", **does(WebhookSecret, takes=[Registration]))
    async def register(request: Request, identity: Identity = who) -> Response:
        """Register an address for the party's events. The response has the secret that signs them."""
        said = read_model(Registration, await read_json(request))
        return await routes.make(request, identity, "submit", doing=partial(routes.register, said))

    @router.post("/{webhook_id}:rotate", **does(WebhookSecret))
    async def rotate(webhook_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Create a new secret. The old secret stays valid for 24 hours."""
        return await routes.make(request, identity, "rotate", doing=partial(routes.rotate, webhook_id))

    @router.post("/{webhook_id}:replay", **does(WebhookTransition, takes=[Replay]))
    async def replay(webhook_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Send events again from a number, in order and with the same ids. A paused webhook starts again."""
        said = read_model(Replay, await read_json(request))
        return await routes.act(request, identity, "replay", doing=partial(routes.replay, webhook_id, said))

    @router.post("/{webhook_id}:trigger", **does(WebhookTransition))
    async def trigger(webhook_id: UUID, request: Request, identity: Identity = who) -> Response:
        """Add a test event to the party's feed, to see it arrive."""
        return await routes.act(request, identity, "trigger", doing=partial(routes.trigger, webhook_id))

    return router


def _add_looks(router: APIRouter, routes: WebhookRoutes, who: Identity) -> None:
    @router.get("", **shows(WebhookList))
    async def page(identity: Identity = who) -> Response:
        """List the party's webhooks."""
        return viewed(await routes.list(identity))

    @router.get("/{webhook_id}", **shows(ShownWebhook))
    async def show(webhook_id: UUID, identity: Identity = who) -> Response:
        """Show one webhook and the progress of its receiver."""
        return viewed(await routes.show(identity, webhook_id))

    @router.delete("/{webhook_id}", **shows(WebhookTransition))
    async def remove(webhook_id: UUID, identity: Identity = who) -> Response:
        """Remove a webhook. Its address and secret are erased."""
        return viewed(await routes.remove(identity, webhook_id))

    @router.get("/{webhook_id}/deliveries", **shows(Deliveries))
    async def deliveries(
        webhook_id: UUID,
        identity: Identity = who,
        before: Annotated[int, Query(ge=0, le=BIGINT_MAX, description="Entries below this number.")] = BIGINT_MAX,
        limit: Limit = 50,
    ) -> Response:
        """List the delivery attempts, newest first."""
        return viewed(await routes.deliveries(identity, webhook_id, before=before, limit=limit))


def sealed(made: CreatedEndpoint) -> Contract:
    """Return the stored form of a response with a secret."""
    return _SealedSecret(webhook_id=made.webhook_id, state=made.state, secret=b64encode(made.secret).decode())


def _shown(one: WebhookEndpoint) -> ShownWebhook:
    fields = {name: value for name, value in one._asdict().items() if value is not None}
    if not one.failures:
        fields.pop("due_at")
    return ShownWebhook(**fields)


def _shown_delivery(one: Delivery) -> ShownDelivery:
    return ShownDelivery(**{name: value for name, value in one._asdict().items() if value is not None})
