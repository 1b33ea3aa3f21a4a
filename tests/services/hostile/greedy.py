"""A provider's service in this process, with budgets that count what they grant, and principals that ask it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import httpx
import pytest

from deploy.site.installation import environment
from services.industry import app as industry
from shared.core.authority import Role
from shared.features.filing.service.alarms import IntakeQueue
from shared.instance.app import App
from shared.instance.machinery import build_machinery
from shared.instance.settings import RuntimeSettings, prefix_of
from shared.platform.admission.budgets import BUDGETS, BudgetLimits, Budgets, PlacePool, Principal, Shares
from shared.platform.console.accounts import Person, Sessions, permit
from shared.platform.console.forms import CSRF, FORM_TYPE, ONCE, csrf_of
from shared.platform.http.identity import issue_key, keep_key, key_hash
from tests.support.manual_clock import ManualClock
from tests.support.running import Exchange, provider_filing, until

INSTANCE: Final = "industry"
#: How many times its budget or places a greedy principal asks for.
TIMES: Final = 20
OTHER: Final = "provider-013.example"
SITE: Final = "http://localhost"
UNBOUNDED: Final = 1e9
_numbers = count(1)


class CountedBudgets(Budgets):
    """Budgets that count what each principal was charged: requests, bytes and work. A party's is its keys' together."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        super().__init__(BudgetLimits(UNBOUNDED, UNBOUNDED, UNBOUNDED), clock)
        self.taken: dict[Principal, tuple[float, ...]] = {}
        self._of_addresses: list[Budgets] = []

    def for_addresses(self) -> Budgets:
        self._of_addresses.append(super().for_addresses())
        return self._of_addresses[-1]

    def begin(self, **limits: float) -> None:
        """Forget all principals, and limit only these rates."""
        self.taken.clear()
        for each in (self, *self._of_addresses):
            each._rates = tuple(limits.get(f"{name}_per_s", UNBOUNDED) for name in BUDGETS)
            each._levels.clear()

    def _take(self, principal: Principal, taken: tuple[float, ...]) -> None:
        before = self.taken.get(principal, (0.0, 0.0, 0.0))
        self.taken[principal] = tuple(a + b for a, b in zip(before, taken, strict=True))
        super()._take(principal, taken)


class Ask(NamedTuple):
    """A request of one class, and the status with which it is served. `form` is sent by a session, `body` by a key."""

    method: str
    path: str
    status: int
    body: dict[str, Any] | None = None
    form: dict[str, Any] | None = None


@dataclass
class Caller:
    """A key or a session of a party, at an address. `referral_id` is a referral of its own, with `filed` as content."""

    service: Service
    party: str
    word: str
    principal: Principal
    is_session: bool
    address: str = "192.0.2.1"
    filed: dict[str, Any] = field(default_factory=dict)
    referral_id: str = ""
    served: int = 0

    def request(self, ask: Ask, *, padded: int = 0) -> tuple[str, dict[str, str], bytes]:
        """Return path, headers and content of the next request. `padded` is the number of useless bytes in it."""
        number = next(_numbers)
        path = ask.path.format(id=self.referral_id)
        content = b" " * padded
        headers = {"if-match": '"1"', "idempotency-key": f"greedy-{number}", "content-type": "application/json"}
        if self.is_session:
            headers |= {"cookie": f"causeway={self.word}", "origin": SITE}
        else:
            headers["authorization"] = f"Bearer {self.word}"
        if ask.form is not None:
            changing = {"revision": str(self.served + 1), "media_kind": ("video", "image")[self.served % 2]}
            fields = {CSRF: csrf_of(self.word), ONCE: f"greedy-{number}"} | ask.form | changing
            headers["content-type"] = FORM_TYPE
            content = (urlencode(fields, doseq=True) + "&pad=" + "x" * padded).encode()
        elif ask.body is not None:
            reference = {"external_ref": f"greedy-{number}"} if ask.path == "/v1/referrals" and self.referral_id else {}
            content = httpx.Request("POST", SITE, json=ask.body or self.filed | reference).content + content
        return path, headers, content

    async def ask(self, ask: Ask, *, padded: int = 0) -> httpx.Response:
        path, headers, content = self.request(ask, padded=padded)
        transport = httpx.ASGITransport(self.service.app.http, client=(self.address, 1))
        async with httpx.AsyncClient(transport=transport, base_url=SITE) as http:
            answer = await http.request(ask.method, path, headers=headers, content=content)
        self.served += answer.status_code == ask.status
        return answer


@dataclass
class Service:
    """The service, its budgets, and the pools of places by name."""

    app: App
    exchange: Exchange
    budgets: CountedBudgets
    pools: dict[str, list[PlacePool]]
    #: The ordinary and the dense queue of the intake.
    queues: list[IntakeQueue]
    url: str

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Let no other transaction read or write a table during the block."""
        admin = await self.exchange.admin(INSTANCE)
        try:
            async with admin.transaction():
                await admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                yield
        finally:
            await admin.close()

    def held(self, budget: str, principal: Principal) -> int:
        """Return the places of a principal that are in use."""
        return sum(pool.of_holder[principal] for pool in self.pools[budget])

    async def key(self, party: str, **more: Any) -> Caller:
        """Issue a key of a party, and file a referral of ten items with it."""
        text, hashed = issue_key(live=False)
        machinery = self.app.machinery
        async with machinery.database.transaction() as session:
            await keep_key(session.driver, hashed, party, role=Role.MACHINE)
        await machinery.key_table.refresh()
        principal = Principal(party, machinery.keys.kek.actor_id(party, key_hash(text)))
        made = Caller(self, party, text, principal, False, **more)
        made.filed = filing(party, items=10)
        made.referral_id = await self._filed(made)
        return made

    async def session(self, party: str, **more: Any) -> Caller:
        """Begin a session of another person of a party, and file a referral of ten items for the party."""
        machinery = self.app.machinery
        person = Person(party, f"{next(_numbers):032x}")
        sessions = Sessions(machinery.database, INSTANCE, machinery.directory, machinery.clock, machinery.keys.kek)
        async with machinery.database.transaction() as session:
            await permit(session.driver, person, Role.ANALYST)
        word = await sessions.begin(person, authenticated_at=machinery.clock.now())
        principal = Principal(party, machinery.keys.kek.actor_id(party, bytes.fromhex(person.actor)))
        made = Caller(self, party, word, principal, True, **more)
        key = await self.key(party)
        made.filed, made.referral_id = key.filed, key.referral_id
        return made

    async def _filed(self, caller: Caller) -> str:
        answer = await caller.ask(Ask("POST", "/v1/referrals", 202, body={}))
        assert answer.status_code == 202, answer.text
        caller.served = 0
        return str(answer.json()["referral_id"])


def filing(party: str, items: int = 1) -> dict[str, Any]:
    """Return a referral of a provider about accounts of its own."""
    made = provider_filing()
    made["items"] = [
        {
            "locator": {"kind": "account", "value": f"u-{next(_numbers)}@{party}"},
            "hosting": [{"provider": party, "method": "provider"}],
        }
        for _ in range(items)
    ]
    return made


@asynccontextmanager
async def greedy_service(exchange: Exchange) -> AsyncIterator[Service]:
    """Run the API and documents of the exchange's providers in this process."""
    prefix = prefix_of(INSTANCE)
    variables = environment(exchange.installation, exchange.endpoints, INSTANCE)
    given: dict[str, Any] = {name.removeprefix(prefix).lower(): value for name, value in variables.items()}
    pools, queues = defaultdict[str, list[PlacePool]](list), list[IntakeQueue]()
    with pytest.MonkeyPatch.context() as patched:
        make_pool, make_queue = PlacePool.__init__, IntakeQueue.__init__

        def pool(made: PlacePool, budget: str, shares: Shares) -> None:
            make_pool(made, budget, shares)
            pools[budget].append(made)

        def queue(made: IntakeQueue, places: int) -> None:
            make_queue(made, places)
            queues.append(made)

        patched.setattr(PlacePool, "__init__", pool)
        patched.setattr(IntakeQueue, "__init__", queue)
        settings = RuntimeSettings.of(INSTANCE, **given | {"webhooks_to_loopback": True})
        machinery = await build_machinery(INSTANCE, settings, erases=industry.ERASES, tracks=industry.TRACKS)
        machinery.budgets = budgets = CountedBudgets(ManualClock(machinery.clock.now()))
        app = industry.assemble(machinery)
    tasks = [asyncio.ensure_future(app.parts[name]()) for name in ("documents", "api")]
    try:
        url = exchange.endpoints.http[INSTANCE]
        async with httpx.AsyncClient(base_url=url) as http:
            await until(lambda: _answers(http))
        yield Service(app, exchange, budgets, pools, queues, url)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await machinery.close()


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        answer = await http.get("/readyz")
    except httpx.HTTPError:
        return False
    return answer.status_code == 200
