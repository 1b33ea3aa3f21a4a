"""One greedy principal at each bounded pool: its places, what is refused, and who has a place beside it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest

from shared.core.authority import Role
from shared.core.errors import Refused
from shared.core.ids import uuid7
from shared.platform.admission.budgets import SIGN_IN, Principal
from shared.platform.admission.key_table import COUNT_KEYS
from shared.platform.courier import courier
from shared.platform.courier.courier import WebhookDispatcher
from shared.platform.courier.endpoints import ENDPOINTS_A_DAY, ENDPOINTS_MAX
from shared.platform.courier.leases import DeliveryLeases
from shared.platform.courier.sender import SendResult
from shared.platform.database.feed import PLACES_MAX_OF_ONE
from shared.platform.http import identity, server
from shared.platform.http.acts import ACTS
from shared.platform.http.bodies import BODIES
from shared.platform.http.identity import issue_key, keep_key
from shared.platform.http.worker_process import TURNS, WorkerProcess
from tests.architecture.test_entrances import POOLS
from tests.services.databases import until_one_waits_for_a_lock
from tests.services.hostile.greedy import OTHER, TIMES, Ask, Caller, Service
from tests.support.running import PROVIDER, until

pytestmark = pytest.mark.timing

ACT: Final = Ask("POST", f"/v1/notices/{uuid7()}:acknowledge", 404, body={})
CHECK: Final = Ask("POST", "/v1/referrals:check", 200, body={})
FILE: Final = Ask("POST", "/v1/referrals", 202, body={})
LINK: Final = Ask("GET", f"/console/in/{'x' * 43}", 200)


async def three(service: Service) -> tuple[Caller, Caller, Caller]:
    """Return a greedy key, another one of its party, and one of another party."""
    service.budgets.begin()
    return await service.key(PROVIDER), await service.key(PROVIDER), await service.key(OTHER)


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds, for less time than connections may rest."""

    async def look() -> bool:
        return holds()

    await until(look, seconds_max=20)


def begun(caller: Caller, ask: Ask, times: int = 1) -> list[asyncio.Task[httpx.Response]]:
    return [asyncio.create_task(caller.ask(ask)) for _ in range(times)]


def refused(tasks: Sequence[asyncio.Task[httpx.Response]], budget: str) -> int:
    """Count the requests that were refused with a time to retry, for the budget of this name."""
    answers = [each.result() for each in tasks if each.done()]
    told = [each for each in answers if each.status_code == 429 and int(each.headers["Retry-After"]) > 0]
    return sum(each.headers["RateLimit-Policy"].startswith(f'"{budget}"') for each in told)


async def all_served(tasks: Sequence[asyncio.Task[httpx.Response]], ask: Ask) -> int:
    """Return how many were served, once all have an answer."""
    return Counter(each.status_code for each in await asyncio.gather(*tasks))[ask.status]


async def test_sign_in(service: Service) -> None:
    """Many unverified links from one address. `Caller.address` is the principal."""
    key, _, other = await three(service)
    other.address = "192.0.2.2"
    addresses = [Principal(None, each.address) for each in (key, other)]
    async with service.locked("console_link"):
        flood = begun(key, LINK, SIGN_IN.of_holder + SIGN_IN.waiting + TIMES)
        await eventually(lambda: refused(flood, "sign_in") == TIMES)
        beside = begun(other, LINK)
        await eventually(lambda: service.held("sign_in", addresses[1]) == 1)
        assert service.held("sign_in", addresses[0]) == SIGN_IN.of_holder
    assert await all_served(beside, LINK) == 1
    assert await all_served(flood, LINK) == SIGN_IN.of_holder + SIGN_IN.waiting


async def test_acts(service: Service) -> None:
    """More acts than may run and wait. A sibling has the next turn, and another party a place at once."""
    greedy, sibling, other = await three(service)
    async with service.locked("idempotency_key"):
        flood = begun(greedy, ACT, ACTS.of_holder + ACTS.waiting + TIMES)
        await eventually(lambda: refused(flood, "acts") == TIMES)
        beside = begun(sibling, ACT) + begun(other, ACT)
        await eventually(lambda: service.held("acts", other.principal) == 1)
        assert service.held("acts", greedy.principal) == ACTS.of_holder
    assert await all_served(beside, ACT) == 2
    assert await all_served(flood, ACT) == ACTS.of_holder + ACTS.waiting


async def test_checks(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty times the checks that may run and wait. A sibling may have one waiting beyond them."""
    greedy, sibling, other = await three(service)
    release, ask = asyncio.Event(), WorkerProcess._asked

    async def slow(self: WorkerProcess, *said: Any) -> bytes:
        await release.wait()
        return await ask(self, *said)

    monkeypatch.setattr(WorkerProcess, "_asked", slow)
    allowed = TURNS.of_holder + TURNS.waiting
    flood = begun(greedy, CHECK, TIMES * allowed)
    await eventually(lambda: refused(flood, "checks") == (TIMES - 1) * allowed)
    beside = begun(sibling, CHECK, 2) + begun(other, CHECK)
    await eventually(lambda: refused(beside, "checks") == 1)
    release.set()
    assert await all_served(beside, CHECK) == 2
    assert await all_served(flood, CHECK) == allowed


async def test_intake(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty times the submissions that may wait while one is filed. A sibling may have one waiting beyond them."""
    greedy, sibling, other = await three(service)
    queue, share = service.queues[0], 8
    monkeypatch.setattr(queue, "_places_of_one", share)
    async with service.locked("idempotency_key"):
        filing = begun(other, FILE)
        await until_one_waits_for_a_lock(service.app.machinery.database)
        flood = begun(greedy, FILE, TIMES * share)
        await eventually(lambda: refused(flood, "intake") == (TIMES - 1) * share)
        beside = begun(sibling, FILE, 2) + begun(other, FILE)
        await eventually(lambda: queue._waiting[OTHER] == 1 and refused(beside, "intake") == 1)
    assert await all_served([*filing, *beside], FILE) == 3
    assert await all_served(flood, FILE) == share


async def test_long_polls(service: Service) -> None:
    """Twenty times the waiting reads of a party: its longest end early, and nobody else's does."""
    greedy, sibling, other = await three(service)
    last = [(await each.ask(Ask("GET", "/v1/events?limit=1", 200))).json()["last"] for each in (greedy, other)]
    polls = [Ask("GET", f"/v1/events?wait=30&after={each}", 200) for each in last]
    beside = begun(sibling, polls[0]) + begun(other, polls[1])
    places = service.app.machinery.listener._all
    await eventually(lambda: len(places) == 2)
    flood = begun(greedy, polls[0], TIMES * PLACES_MAX_OF_ONE)
    await eventually(lambda: sum(each.done() for each in flood) == (TIMES - 1) * PLACES_MAX_OF_ONE + 1)
    assert Counter(party for party, _ in places.values()) == {PROVIDER: PLACES_MAX_OF_ONE, OTHER: 1}
    assert not any(each.done() for each in beside)
    for place in list(places):
        place.set()
    assert await all_served(beside, polls[0]) == 2


@asynccontextmanager
async def opened(
    url: str, head: str, times: int, address: str = "127.0.0.1"
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open connections from an address, and send the same bytes on each."""
    at = urlsplit(url)
    made = []
    for _ in range(times):
        made.append(await asyncio.open_connection(at.hostname, at.port, local_addr=(address, 0)))
        made[-1][1].write(head.encode())
    try:
        yield [reader for reader, _ in made]
    finally:
        for _, writer in made:
            writer.close()


async def test_bodies(service: Service) -> None:
    """Twenty times the bodies of a key that do not arrive. Those beyond its line are refused at once."""
    greedy, sibling, other = await three(service)
    head = f"POST {ACT.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {greedy.word}\r\n"
    head += "Idempotency-Key: greedy\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    times = TIMES * BODIES.of_holder
    async with opened(service.url, head, times) as all_of:
        answered: list[str] = []

        async def read(each: asyncio.StreamReader) -> None:
            answered.append((await each.read(4_000)).decode())

        reading = [asyncio.create_task(read(each)) for each in all_of]
        beyond = times - BODIES.of_holder - BODIES.waiting
        await eventually(lambda: len(answered) >= beyond)
        assert service.held("bodies", greedy.principal) == BODIES.of_holder
        beside = [await each.ask(ACT) for each in (sibling, other)]
        for task in reading:
            task.cancel()
    assert all("429" in each and '"bodies"' in each and "retry-after" in each.lower() for each in answered)
    assert [each.status_code for each in beside] == [404, 404]


async def few_are_left(service: Service, patched: pytest.MonkeyPatch, head: str) -> None:
    most = 16
    patched.setattr(server, "IDLE_OF_ADDRESS_MAX", most)
    patched.setattr(server, "HEAD_TIMEOUT_S", 600)  # none ends for its half a head
    greedy, _, other = await three(service)
    last = (await greedy.ask(Ask("GET", "/v1/events?limit=1", 200))).json()["last"]
    async with opened(service.url, head.format(key=greedy.word, last=last), TIMES * most) as readers:
        ended = [asyncio.create_task(each.read()) for each in readers]
        await eventually(lambda: sum(not each.done() for each in ended) <= most + PLACES_MAX_OF_ONE)
        transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with httpx.AsyncClient(transport=transport, base_url=service.url) as http:
            answer = await http.get("/v1/whoami", headers={"authorization": f"Bearer {other.word}"})
    assert answer.status_code == 200


async def test_connections(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections on which a read waits: all but the party's places end, and are then at rest."""
    poll = "GET /v1/events?wait=30&after={last} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
    await few_are_left(service, monkeypatch, poll)


async def test_connections_at_rest(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty times the connections that one address may have at rest, each with half a head."""
    await few_are_left(service, monkeypatch, "GET /livez HT")


async def test_api_keys(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty times the keys that an instance may still have: its keys are the principal. Those that it has open."""
    _, _, other = await three(service)
    async with service.app.machinery.database.transaction() as session:
        before = await session.driver.fetchval(COUNT_KEYS)
        monkeypatch.setattr(identity, "KEYS_MAX", before + 2)
        codes: list[str] = []
        for _ in range(TIMES * 2):
            try:
                await keep_key(session.driver, issue_key(live=False)[1], PROVIDER, role=Role.MACHINE)
            except Refused as error:
                codes.append(error.code)
        assert codes == ["api_keys_full"] * (TIMES - 1) * 2
        assert await session.driver.fetchval(COUNT_KEYS) == before + 2
    await service.app.machinery.key_table.refresh()
    assert (await other.ask(Ask("GET", "/v1/whoami", 200))).status_code == 200


def _register(party: str) -> Ask:
    return Ask("POST", "/v1/webhooks", 202, body={"url": f"http://127.0.0.1:9/{party}/{uuid7()}"})


async def test_webhooks(service: Service) -> None:
    """Twenty times the addresses of a party, and as many again once each was removed."""
    greedy, _, other = await three(service)
    codes = Counter[Any]()
    for _ in range(TIMES):
        answers = [await greedy.ask(_register("greedy")) for _ in range(ENDPOINTS_MAX)]
        codes.update(each.json().get("code", "made") for each in answers)
        for each in (await greedy.ask(Ask("GET", "/v1/webhooks", 200))).json()["items"]:
            await greedy.ask(Ask("DELETE", f"/v1/webhooks/{each['webhook_id']}", 204))
    assert codes["made"] == ENDPOINTS_A_DAY, codes
    assert codes["budget_exceeded"] == TIMES * ENDPOINTS_MAX - ENDPOINTS_A_DAY
    assert (await other.ask(_register("other"))).status_code == 202


async def test_webhook_sending(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses that never answer hold their party's places; another party's event is sent."""
    service.budgets.begin()
    greedy, other = await service.key("provider-014.example"), await service.key("provider-015.example")
    monkeypatch.setattr(courier, "ADDRESSES_OF_ONE", 2)
    sent = Counter[str]()

    class Network:
        async def post(self, url: str, *_: Any) -> SendResult:
            sent[url.split("/")[3]] += 1
            if "greedy" in url:
                await asyncio.Event().wait()
            return SendResult("delivered", 204)

    machinery = service.app.machinery
    parties = [greedy.party, other.party]
    leases = DeliveryLeases(machinery.database, machinery.keys.kek, lambda: parties)
    sending = WebhookDispatcher(leases, Network(), clock=machinery.clock)  # type: ignore[arg-type]
    for caller, name, times in ((greedy, "greedy", ENDPOINTS_MAX), (other, "other", 1)):
        for _ in range(times):
            made = await caller.ask(_register(name))
        for _ in range(TIMES):
            await caller.ask(Ask("POST", f"/v1/webhooks/{made.json()['webhook_id']}:trigger", 202, body={"": ""}))
    running = asyncio.create_task(sending.run())
    await eventually(lambda: sent["other"] >= TIMES and sent["greedy"] >= 2)
    assert sending.held[greedy.party] == sent["greedy"] == 2
    running.cancel()
    await asyncio.wait([running])


def test_every_pool_has_its_test() -> None:
    assert {name for name in globals() if name.startswith("test_")} == {
        test_every_pool_has_its_test.__name__,
        *(f"test_{pool}" for pool in POOLS),
    }
