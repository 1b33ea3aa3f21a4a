"""A party with webhook addresses: their routes, a courier on the test's clock, and receivers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.authority import Role
from shared.core.envelope.webhooks import verify_webhook
from shared.core.ids import uuid4
from shared.instance.parties import party_routers
from shared.platform.courier.addresses import AddressRules
from shared.platform.courier.courier import WebhookDispatcher
from shared.platform.courier.leases import DeliveryLeases, SendingPlaces
from shared.platform.courier.sender import Sender, SendResult
from shared.platform.database.transactions import Database, RowScope
from tests.contracts.described import Described
from tests.services.deliveries import directory
from tests.services.doors import CLOCK, asking, door, serving
from tests.services.law_enforcement.agency import KEK
from tests.services.law_enforcement.feeds import noted
from tests.services.outgoing import keep_sent
from tests.support.manual_clock import ManualClock

URL = "https://hooks.party.example/causeway"
_EARLIER = "UPDATE webhook SET due_at = due_at - $1::interval, lease_expires_at = lease_expires_at - $1::interval"
DESCRIBED = Described("law_enforcement")
ONE_PLACE = SendingPlaces(free=1, held={}, of_party=1, most=1)


@dataclass
class Receivers:
    """A substitute for the network: the answer of each address, and the received requests in order."""

    answers: dict[str, SendResult] = field(default_factory=dict)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> SendResult:
        self.got.append((url, headers, body))
        return self.answers.get(url, SendResult("delivered", 204))

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.got]

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.got]

    def numbers(self) -> list[int]:
        return [body["data"]["number"] for body in self.bodies()]


class HeldReceivers:
    """Receivers of which only `URL` answers before `let_go` is set. `begun` gets each address as its request begins."""

    def __init__(self) -> None:
        self.begun, self.let_go = asyncio.Queue[str](), asyncio.Event()

    async def post(self, url: str, *_: Any) -> SendResult:
        self.begun.put_nowait(url)
        if url != URL:
            await self.let_go.wait()
        return SendResult("delivered", 204)


class Party:
    """A party of its own. The courier sends only to its addresses."""

    def __init__(self, database: Database, http: httpx.AsyncClient, rules: AddressRules) -> None:
        self.database, self.http, self.rules = database, http, rules
        self.name = f"{uuid4().hex[:8]}.example"
        self.clock = ManualClock(CLOCK.now())
        self.receivers = Receivers()
        self.suspended = False
        self.leases = DeliveryLeases(database, KEK, lambda: [self.name])

    def courier(self, sender: Sender | None = None) -> WebhookDispatcher:
        suspended = lambda _: self.suspended  # noqa: E731
        return WebhookDispatcher(self.leases, sender or self.receivers, clock=self.clock, suspended=suspended)  # type: ignore[arg-type]

    async def note(self, count: int = 1) -> list[str]:
        """Note acts that concern the party."""
        return [str(each.subject) for each in await noted(self.database, self.name, count)]

    async def later(self, seconds: float) -> None:
        """Let this time pass, also by the clock of the database. Negative: the database's clock goes back."""
        async with self.database.transaction(RowScope([self.name], Role.SERVICE, "apply")) as session:
            await session.driver.execute(_EARLIER, timedelta(seconds=seconds))
        self.clock.advance(max(seconds, 0))

    async def ask(
        self, method: str, path: str = "", *, role: Role = Role.MACHINE, key: str | None = None, **said: Any
    ) -> httpx.Response:
        key = key or (uuid4().hex if method == "POST" else None)
        body = said or None if path.endswith((":rotate", ":trigger")) else said
        posted, headers = body if method == "POST" else None, asking(self.name, role=role, key=key)
        answer = await self.http.request(method, f"/v1/webhooks{path}", json=posted, headers=headers)
        assert DESCRIBED.differences(answer) == []
        return answer

    async def done(self, method: str, path: str = "", **said: Any) -> dict[str, Any]:
        answer = await self.ask(method, path, **said)
        assert answer.is_success, answer.text
        return answer.json()

    async def register(self, url: str = URL, **said: Any) -> dict[str, Any]:
        return await self.done("POST", url=url, **said)

    async def events(self) -> list[dict[str, Any]]:
        answer = await self.http.get("/v1/events", params={"limit": 200}, headers=asking(self.name, role=Role.VIEWER))
        return answer.json()["items"]

    def verified(self, secret: str, messages: Sequence[tuple[str, dict[str, str], bytes]] | None = None) -> int:
        """Return how many of the messages are signed under the secret, after checking that all are."""
        found = self.receivers.got if messages is None else messages
        for _, headers, body in found:
            at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=UTC)
            assert verify_webhook(secret, headers, body, at=at) == headers["webhook-id"]
        return len(found)


@asynccontextmanager
async def party(endpoint: DatabaseEndpoint, rules: AddressRules | None = None) -> AsyncIterator[Party]:
    database, rules = Database(endpoint.service_url, pool_size=4), rules or AddressRules()
    keep_sent(database, "law_enforcement")
    stood = replace(serving(database, "law_enforcement", kek=KEK, directory=directory()), address_rules=rules)
    async with door(*party_routers(stood)) as http:
        yield Party(database, http, rules)
    await database.close()
