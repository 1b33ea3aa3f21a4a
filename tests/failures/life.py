"""A long run: clocks, hold windows and webhooks at work, parties that answer, and every process killed in turn.

    python -m tests.failures.life [--seconds 900] [--per-s 3] [--kill-every 20] [--seed 1]

An hour of the policy lasts a second, and a hold window twenty seconds. Prints the final account of messages, timers,
holds and sent events. Exit code 1 if anything was lost, done twice, reported twice, or issued while it was held.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, Final
from uuid import UUID

import asyncpg
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from deploy.policy import sample_policy
from deploy.site.installation import publish_document
from shared.core.clock import SystemClock, rfc3339
from tests.failures.kills import Blow, rounds
from tests.failures.load import Sender, posts
from tests.failures.split import BROKER, DATABASE, PROCESSES, SplitExchange, split_exchange
from tests.failures.verdict import Verdict, judge
from tests.journeys.test_holds import policy_hour
from tests.support import driver
from tests.support.running import SERVICES, clean_environment, until
from tests.support.windowed import windowed

#: The hotline's clocks, windows, feeds and webhooks run in a process of their own: `causeway serve --only`.
LIVING: Final = PROCESSES | {"keeper": ("hotline", ("timers", "courier", "documents"))}
WINDOW_H: Final = 20
SETTLED_S_MAX: Final = 600.0
#: Number of parties of each kind that receive their events.
WATCHED: Final = 3
#: The first attempt at one in this many events is answered with an error.
FAILS_EVERY: Final = 40


@dataclass(slots=True)
class Receiver:
    """A party's webhook address, with the number of deliveries by number in its feed."""

    party: str
    secret: str = ""
    port: int = 0
    got: Counter[int] = field(default_factory=Counter)
    forged: int = 0
    failed: set[int] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
            body = await reader.readexactly(int(headers["content-length"]))
            writer.write(f"HTTP/1.1 {self._taken(headers, body)} -\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    def _taken(self, headers: Mapping[str, str], body: bytes) -> int:
        number = int(headers["webhook-id"].rpartition("_")[2])
        if number % FAILS_EVERY == 0 and number not in self.failed:
            self.failed.add(number)
            return 503
        try:
            Webhook(self.secret).verify(body, dict(headers))
        except WebhookVerificationError:
            self.forged += 1
            return 401
        self.got[number] += 1
        return 204


@dataclass(slots=True)
class Lived:
    """The counts of a run, and the account of everything at the end."""

    kills: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    found: dict[str, int] = field(default_factory=dict)
    events: int = 0
    repeated: int = 0
    verdict: Verdict | None = None

    def faults(self) -> dict[str, object]:
        """Return the promises that were broken, with their counts."""
        return self.verdict.faults() | {name: count for name, count in self.found.items() if count}

    def lines(self) -> Iterator[str]:
        yield f"lived: {self.kills} kills, holds asked {dict(sorted(self.asked.items()))}"
        yield f"events sent {self.events}, {self.repeated} of them more than once"
        yield "faults of clocks, of holds, of events: " + ", ".join(f"{name} {n}" for name, n in self.found.items())
        yield self.verdict.line()


class Holders:
    """The agencies that place holds: on a third of their offers, half of those for a limited time only."""

    def __init__(self, exchange: SplitExchange, sender: Sender, seed: int) -> None:
        self._exchange = exchange
        self._sender = sender
        self._drawn = random.Random(seed)
        self._seen: list[UUID] = []
        self.asked: Counter[str] = Counter()

    async def run(self) -> None:
        """Check for new offers each second, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(1)
                for row in await self._offered():
                    self._seen.append(row["referral_id"])
                    if self._drawn.random() < 1 / 3:
                        group.create_task(self._hold(row["party"], row["referral_id"]))

    async def _offered(self) -> list[asyncpg.Record]:
        try:
            return await driver.list_offered_cases(self._exchange, without=self._seen)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return []  # the database was killed

    async def _hold(self, party: str, referral_id: UUID) -> None:
        until_then = SystemClock().now() + timedelta(seconds=self._drawn.uniform(5, 60))
        said = {"scope": "removal", "basis": "investigation_open", "not_after": rfc3339(until_then)}
        await self._say(party, referral_id, "place-hold", said)
        if self._drawn.random() < 1 / 2:
            await asyncio.sleep(self._drawn.uniform(1, 20))
            await self._say(party, referral_id, "release-hold", {})

    async def _say(self, party: str, referral_id: UUID, act: str, said: Mapping[str, str]) -> None:
        path = f"/v1/cases/{referral_id}:{act}"
        answer = await self._sender.repeated(party, path, json.dumps(said).encode(), key=f"{act}-{referral_id}")
        self.asked[f"{act} {answer.json().get('code', answer.status_code)}"] += 1


@asynccontextmanager
async def receivers(exchange: SplitExchange) -> AsyncIterator[list[Receiver]]:
    """Yield addresses of some parties of each instance, registered with it."""
    chosen: list[Receiver] = []
    for url in (exchange.endpoints.http[each] for each in SERVICES):
        of_it = [party for party, key in exchange.parties.items() if key.url == url]
        chosen += [Receiver(party) for party in of_it[:WATCHED]]
    servers = []
    for each in chosen:
        server = await asyncio.start_server(each.serve, "127.0.0.1", 0)
        each.port = server.sockets[0].getsockname()[1]
        async with exchange.client(each.party) as client:
            body = {"url": f"http://127.0.0.1:{each.port}/hook", "after": 0}
            each.secret = str((await client.call("POST", "/v1/webhooks", body=body))["secret"])
        servers.append(server)
    try:
        yield chosen
    finally:
        for server in servers:
            server.close()


async def live(exchange: SplitExchange, given: argparse.Namespace) -> Lived:
    """Start everything, run it with kills for `seconds`, wait until it is at rest, and account for it."""
    lived = Lived()
    await exchange.start(*LIVING)
    policy = windowed(sample_policy().model_copy(update={"hour_s": 1}), WINDOW_H, version=90)
    await asyncio.to_thread(
        publish_document, exchange.state, exchange.endpoints, policy, active_from=SystemClock().now()
    )
    async with receivers(exchange) as told, Sender(exchange, withdrawn_share=0, seed=given.seed) as sender:
        exchange.sandbox()
        holders = Holders(exchange, sender, given.seed)
        holding = asyncio.create_task(holders.run())
        wanted = posts(given.seconds * given.per_s, given.seed, batch_max=1)
        sending = asyncio.create_task(sender.send_paced(wanted, given.per_s))
        lived.kills = await _killed(exchange, sending, every_s=given.kill_every, seed=given.seed)
        await asyncio.sleep(WINDOW_H)
        holding.cancel()
        lived.asked = holders.asked
        await _at_rest(exchange)
        exchange.stop(*(label for label in exchange.processes if label.startswith("sandbox-")))
        await _at_rest(exchange)
        lived.found = await _accounted(exchange, told)
        lived.events = sum(len(each.got) for each in told)
        lived.repeated = sum(count > 1 for each in told for count in each.got.values())
        lived.verdict = await judge(exchange, sender.tally)
    lived.found["timers_otherwise"] = await _made_again(exchange)
    print(*lived.lines(), sep="\n")
    return lived


async def _killed(exchange: SplitExchange, sending: asyncio.Task[None], *, every_s: float, seed: int) -> int:
    """Kill one process after another during the posts; return the number."""
    targets, drawn, count = (*LIVING, BROKER, DATABASE), random.Random(seed), 0
    blows: list[Blow] = []
    while not sending.done():
        began = monotonic()
        blows = blows or rounds(targets, len(targets), seed + count)
        target = blows.pop().target
        print(f"kill {target} pid {await exchange.kill(target)}", flush=True)
        await asyncio.sleep(drawn.uniform(0, 2))
        await exchange.start(target)
        count += 1
        await asyncio.wait([sending], timeout=max(0.0, every_s - (monotonic() - began)))
    await sending
    return count


async def _at_rest(exchange: SplitExchange) -> None:
    async def quiet() -> bool:
        planned = await driver.count_planned_edges(exchange)
        late = [await driver.count_late_deadlines(exchange, each) for each in SERVICES]
        return planned + sum(late) == 0

    await until(quiet, seconds_max=SETTLED_S_MAX)
    await exchange.until_acknowledged(SETTLED_S_MAX)
    await exchange.until_audited(SETTLED_S_MAX)


async def _accounted(exchange: SplitExchange, told: list[Receiver]) -> dict[str, int]:
    """Return counts by name that must all be zero."""
    broken = await driver.count_edges_issued_while_held(exchange)
    at_origin = await driver.list_holds(exchange, "hotline")
    at_agency = await driver.list_holds(exchange, "law_enforcement")
    # A hold for an edge that was no longer planned, or never was, has no row at its origin.
    unlike = sum(at_origin.get(hold, "too_late") != state for hold, state in at_agency.items())
    differ = 0
    for each in SERVICES:
        steps, events = await driver.count_fired_deadlines(exchange, each)
        differ += abs(steps - events)
    missed = sum([await _missed(exchange, each) for each in told])
    return {
        "issued_while_held": broken,
        "holds_unlike": unlike + len(at_origin.keys() - at_agency.keys()),
        "clocks_told_otherwise": differ,
        "events_missed": missed,
        "events_forged": sum(each.forged for each in told),
        "nothing_held": int(not at_origin),
    }


async def _missed(exchange: SplitExchange, receiver: Receiver) -> int:
    """Return the number of events of its feed that a receiver has not received within ten minutes."""
    numbers: set[int] = set()
    async with exchange.client(receiver.party) as client:
        after, epoch = 0, None
        while (page := await client.events(after=after, epoch=epoch)).items:
            numbers |= {each.number for each in page.items}
            after, epoch = page.items[-1].number, page.epoch
    with suppress(AssertionError):

        async def had() -> bool:
            return numbers <= receiver.got.keys()

        await until(had, seconds_max=SETTLED_S_MAX)
    return len(numbers - receiver.got.keys())


async def _made_again(exchange: SplitExchange) -> int:
    """Return the number of timer rows that differ after a rebuild, with all processes stopped."""
    exchange.stop(*exchange.processes)
    differ = 0
    for each in SERVICES:
        before = await driver.list_deadlines(exchange, each)
        command = [sys.executable, "-m", "deploy.cli", "timers", "rebuild", each, "--state", str(exchange.state)]
        process = await asyncio.create_subprocess_exec(*command, env=clean_environment())
        assert await process.wait() == 0
        after = await driver.list_deadlines(exchange, each)
        differ += len(set(before) ^ set(after))
    return differ


def main() -> int:
    arguments = argparse.ArgumentParser(description="Clocks, holds and webhooks through kills.")
    for name, usual in (("--seconds", 900), ("--per-s", 3), ("--kill-every", 20), ("--seed", 1)):
        arguments.add_argument(name, type=int, default=usual)
    given: Any = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        policy_hour(1),
        split_exchange(Path(folder) / "state", parts=LIVING) as exchange,
    ):
        faults = asyncio.run(live(exchange, given)).faults()
    if faults:
        print(faults)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
