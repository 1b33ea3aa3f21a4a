"""The costliest requests of one client: other parties and monitoring are hardly affected, and memory is stable.

python -m tests.failures.exhaustion [--seconds 30]     prints figures; exit code 1 unless others stay within 2 x
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from shared.core.ids import uuid7
from tests.failures.load import quantile
from tests.support.costly_bodies import large_referrals, nested_items, nested_values
from tests.support.running import Exchange, running_exchange

ATTACKER, OTHER = "hotline-nl.example", "hotline-be.example"
#: A party's budget by default. The stack of the tests grants more.
BUDGET: Final = {
    "REQUESTS_PER_S": "200",
    "BYTES_PER_S": "4000000",
    "WORK_PER_S": "1000",
    # In other tests the loop writes a span of every message to a file.
    "SAMPLING_RATIO": "0.01",
}
PATIENCE_S: Final = 120.0
RATIO_MAX: Final = 2.0
GROWTH_KIB_MAX: Final = 160 * 1024
IDLE: Final = 1_005
#: Client address of the other parties. Idle connections are limited per address, and clients at the attacker's address
#: lose their own.
ELSEWHERE: Final = "127.0.0.2"
_LABEL: Final = "hotline-api-exhausted"
_CHUNKED: Final = (
    "POST /v1/referrals:check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
)


class Api(NamedTuple):
    """The API of the hotline alone, within the ordinary budget: its base URL and process; both parties' keys."""

    url: str
    pid: int
    attacker: str
    other: str


@contextmanager
def served_alone(exchange: Exchange) -> Iterator[Api]:
    port = exchange.free_port()
    process = exchange.serve("hotline", only=["api", "documents"], label=_LABEL, port=port, settings=BUDGET)
    exchange.wait_ready(_LABEL, f"http://127.0.0.1:{port}")
    keys = exchange.parties
    yield Api(f"http://127.0.0.1:{port}", process.pid, keys[ATTACKER].key, keys[OTHER].key)
    exchange.stop(_LABEL)


class Watched:
    """The durations of the others' requests during an attack, and the answers of /livez."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.took_s: list[float] = []
        self.lives = Counter[int]()

    async def look(self, seconds: float, enough: Callable[[], bool] = lambda: True) -> None:
        """Send requests for `seconds`, and until it is enough."""
        async with httpx.AsyncClient(
            base_url=self._api.url, timeout=60, transport=httpx.AsyncHTTPTransport(local_address=ELSEWHERE)
        ) as client:
            headers, begun = {"authorization": f"Bearer {self._api.other}"}, perf_counter()
            while perf_counter() - begun < seconds or not enough():
                assert perf_counter() - begun < PATIENCE_S
                at = perf_counter()
                answer = await client.get("/v1/referrals?limit=1", headers=headers)
                assert answer.status_code == 200
                self.took_s.append(perf_counter() - at)
                self.lives[(await client.get("/livez")).status_code] += 1
                await asyncio.sleep(0.02)


#: Receives each status that the attacker gets; 200 if a request succeeded.
Told = Callable[[int], object]
Attack = Callable[[Api, Told], Awaitable[None]]


async def dearest_bodies(api: Api, told: Told) -> None:
    """Send the costliest bodies that the API accepts, two checks and a list, each again after its answer."""
    await _post_each(api, [*(("check", large_referrals(40)) for _ in range(2)), ("batch", large_referrals(20))], told)


async def refused_bodies(api: Api, told: Told) -> None:
    """Send the heaviest bodies of tiny values: refused as a whole, or item by item."""
    await _post_each(api, list(product(("check", "batch"), (nested_values(), nested_items()))), told)


async def idle_sockets(api: Api, told: Told) -> None:
    """Open more idle connections than are allowed, and reopen closed ones."""
    at = urlsplit(api.url)
    while True:
        opened = [await asyncio.open_connection(at.hostname, at.port) for _ in range(IDLE)]
        for _, writer in opened:
            with suppress(OSError):
                writer.write(b"GET /livez HT")
        told(200)
        await asyncio.sleep(1.0)
        for _, writer in opened:
            writer.close()


async def endless_trailers(api: Api, told: Told) -> None:
    """Send endless trailers, and start again after each cut."""
    at = urlsplit(api.url)
    block = b"".join(b"x-%d: " % n + b"y" * 4_000 + b"\r\n" for n in range(64))
    while True:
        _, writer = await asyncio.open_connection(at.hostname, at.port)
        with suppress(OSError):
            writer.write(_CHUNKED.format(key=api.attacker).encode())
            while True:
                writer.write(block)
                await writer.drain()
        writer.close()
        told(200)
        await asyncio.sleep(0.01)


ATTACKS: Final[Mapping[str, Attack]] = {
    each.__name__: each for each in (dearest_bodies, refused_bodies, idle_sockets, endless_trailers)
}


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The effect of one attack on the others, and the attacker's statuses."""

    attack: str
    before_s: float
    during_s: float
    statuses: Counter[int]
    lives: Counter[int]
    grown_kib: int

    @property
    def ratio(self) -> float:
        return self.during_s / self.before_s

    def kept(self) -> bool:
        memory = self.grown_kib <= GROWTH_KIB_MAX
        return self.ratio <= RATIO_MAX and set(self.lives) == {200} and memory

    def line(self) -> str:
        return (
            f"{self.attack}: others' p99 {self.before_s * 1000:.0f} ms before, {self.during_s * 1000:.0f} ms during, "
            f"{self.ratio:.2f} x; attacker {dict(self.statuses)}; /livez {dict(self.lives)}; {self.grown_kib} KiB more"
        )


async def exhausted(api: Api, attack: str, *, seconds: float) -> Exhausted:
    """Measure the others for `seconds` without the attack and as long with it, or until it succeeds."""
    before, during, statuses = Watched(api), Watched(api), Counter[int]()
    await before.look(1.0)  # warm
    before.took_s.clear()
    await before.look(seconds)
    memory_before = memory_kib(api.pid)
    begun = asyncio.Event()
    attacking = asyncio.create_task(_elsewhere(attack, api, statuses, begun))
    async with asyncio.timeout(PATIENCE_S):
        await begun.wait()
    await during.look(seconds, lambda: statuses[200] > 1)
    attacking.cancel()
    await asyncio.wait([attacking])
    return Exhausted(
        attack=attack,
        before_s=quantile(before.took_s, 0.99),
        during_s=quantile(during.took_s, 0.99),
        statuses=statuses,
        lives=during.lives,
        grown_kib=memory_kib(api.pid) - memory_before,
    )


async def _elsewhere(attack: str, api: Api, statuses: Counter[int], begun: asyncio.Event) -> None:
    """Attack in a separate process, so that it does not slow the measurement. The key goes in by standard input.

    `begun` is set when the process runs, because its start is no part of its requests.
    """
    command = (sys.executable, "-m", "tests.failures.exhaustion", "--attack", attack, api.url)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    process.stdin.write(api.attacker.encode() + b"\n")
    try:
        await process.stdout.readline()
        begun.set()
        async for line in process.stdout:
            statuses[int(line)] += 1
    finally:
        process.kill()
        await process.wait()


def memory_kib(pid: int) -> int:
    """Read the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def _post_each(api: Api, ways: Iterable[tuple[str, bytes]], told: Told) -> None:
    async with asyncio.TaskGroup() as group:
        for path, body in ways:
            group.create_task(_post(api, path, body, told))


async def _post(api: Api, path: str, body: bytes, told: Told) -> None:
    async with httpx.AsyncClient(base_url=api.url, timeout=120, trust_env=False) as client:
        headers = {"authorization": f"Bearer {api.attacker}", "content-type": "application/json"}
        while True:
            with suppress(httpx.HTTPError):
                answer = await client.post(
                    f"/v1/referrals:{path}", content=body, headers=headers | {"idempotency-key": uuid7().hex}
                )
                told(answer.status_code)
                if answer.status_code != 200:
                    await asyncio.sleep(0.05)


def main() -> int:
    """Return exit code 1 unless the others' p99 stays within 2 x, memory is stable, and /livez always answers."""
    arguments = argparse.ArgumentParser(description="The dearest that one client can ask for.")
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--attack", nargs=2, metavar=("NAME", "URL"), help="only attack; the key by standard input")
    given = arguments.parse_args()
    if given.attack:
        name, url = given.attack
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
        attacker = Api(url, 0, sys.stdin.readline().strip(), "")
        asyncio.run(_attack(ATTACKS[name], attacker))
        return 0
    with (
        tempfile.TemporaryDirectory() as state,
        running_exchange(Path(state)) as exchange,
        served_alone(exchange) as api,
    ):
        found = [asyncio.run(exhausted(api, each, seconds=given.seconds)) for each in ATTACKS]
    for each in found:
        print(each.line())
    return int(not all(each.kept() for each in found))


async def _attack(attack: Attack, api: Api) -> None:
    print(flush=True)
    await attack(api, lambda status: print(status, flush=True))


if __name__ == "__main__":
    sys.exit(main())
