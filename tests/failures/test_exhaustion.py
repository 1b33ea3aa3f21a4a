"""The dearest bodies that a party may post, as fast as it is answered: the others, and who watches, notice little."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import httpx
import pytest

from shared.kernel.ids import uuid7
from tests.failures.load import quantile
from tests.failures.split import SplitExchange
from tests.services.hotline.test_beside_the_loop import dear

ATTACKER, OTHER = "hotline-nl.example", "hotline-be.example"
#: What settings give a party where they say nothing, and the stack of the tests gives more.
BUDGET = {"REQUESTS_PER_S": "200", "BYTES_PER_S": "4000000", "WORK_PER_S": "2000"}
SECONDS, PATIENCE_S = 6.0, 120.0
#: The aim is twice; deadlines of tests are ten times the aim.
RATIO_MAX = 20.0
GROWTH_KIB_MAX = 160 * 1024


@pytest.fixture(scope="module")
def api(intake: SplitExchange) -> Iterator[tuple[str, int]]:
    """The API of the hotline alone, within the ordinary budget: its base URL and process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    label = "hotline-api-exhausted"
    process = intake.serve("hotline", only=["api", "documents"], label=label, port=port, settings=BUDGET)
    intake.wait_ready(label, f"http://127.0.0.1:{port}")
    assert process.pid is not None
    yield f"http://127.0.0.1:{port}", process.pid
    intake.stop(label)


def memory_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


class Watched:
    """How long the others' looks took while this lasted, and what /livez said."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self.took_s: list[float] = []
        self.lives = Counter[int]()

    async def look(self, seconds: float, enough: Callable[[], bool] = lambda: True) -> None:
        """Look for so long, and until it is enough."""
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            headers, begun = {"authorization": f"Bearer {self._key}"}, perf_counter()
            while perf_counter() - begun < seconds or not enough():
                assert perf_counter() - begun < PATIENCE_S
                at = perf_counter()
                answer = await client.get(f"{self._url}/v1/referrals?limit=1", headers=headers)
                assert answer.status_code == 200
                self.took_s.append(perf_counter() - at)
                self.lives[(await client.get(f"{self._url}/livez")).status_code] += 1
                await asyncio.sleep(0.02)


async def attack(url: str, key: str, *, path: str, body: bytes, statuses: Counter[int]) -> None:
    """Post the body again and again, each time as soon as there is an answer."""
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        while True:
            with suppress(httpx.HTTPError):
                answer = await client.post(
                    f"{url}/v1/referrals:{path}", content=body, headers=headers | {"idempotency-key": uuid7().hex}
                )
                statuses[answer.status_code] += 1
                if answer.status_code != 200:
                    await asyncio.sleep(0.05)


@pytest.mark.timing
async def test_the_dearest_bodies_of_one_party_hold_up_neither_the_others_nor_who_watches(
    intake: SplitExchange, api: tuple[str, int], record_property: Callable[[str, object], None]
) -> None:
    url, pid = api
    attacker, other = intake.parties[ATTACKER].key, intake.parties[OTHER].key
    before, during = Watched(url, other), Watched(url, other)
    await before.look(1.0)  # warm
    before.took_s.clear()
    await before.look(SECONDS)
    memory_before = memory_kib(pid)
    statuses: Counter[int] = Counter()
    ways = (("check", dear(40)), ("check", dear(40)), ("batch", dear(20)))
    attacking = [
        asyncio.create_task(attack(url, attacker, path=path, body=body, statuses=statuses)) for path, body in ways
    ]
    await during.look(SECONDS, lambda: statuses[200] > 1)
    for each in attacking:
        each.cancel()
    await asyncio.wait(attacking)
    p99 = [quantile(each.took_s, 0.99) for each in (before, during)]
    record_property("others_p99_ms", [round(each * 1000) for each in p99])
    record_property("attacker_statuses", dict(statuses))
    # It got something done.
    assert set(statuses) <= {200, 429, 503}
    assert set(during.lives) == {200}
    assert p99[1] <= RATIO_MAX * p99[0]
    assert memory_kib(pid) - memory_before <= GROWTH_KIB_MAX
