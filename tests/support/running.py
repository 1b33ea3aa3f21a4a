"""A running exchange for tests: servers, instances as processes of their own, and clients of the sample parties."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from client.api import CausewayClient
from deploy.devstack.process import Process
from deploy.devstack.stack import DevStack
from deploy.devstack.supervisor import answers_ready
from deploy.scenarios.player import ISSUE_SLOT_S, PartyKey
from deploy.site.endpoints import STACK_FILE, Endpoints
from deploy.site.installation import Installation, environment, install
from deploy.site.open import Site
from deploy.site.settings import AUDIT, inherited_environment
from deploy.stack_children import sandbox_children, serving
from shared.core.authority import Role
from shared.core.envelope.base64url import to_base64url
from shared.instance.settings import prefix_of
from shared.platform.http.identity import issue_key, keep_key
from tests.support.stack import FOUR, large_days, servers

SERVICES = ("hotline", "law_enforcement", "industry")
#: The program of an instance, unless a test gives another.
SERVED = ("-m", "deploy.cli", "serve")
READY_S_MAX = 180.0
STOP_S_MAX = 60.0
QUIET_S_MAX = 180.0
UNTIL_PAUSE_S_MAX = 0.25
#: Numbers not yet in Kafka or not acknowledged by their addressee, and pairs whose messages are being carried over.
UNDER_WAY = """
SELECT coalesce(sum(greatest(last - sent, CASE WHEN peer = $1 THEN 0 ELSE last - acked END)), 0)
       + (SELECT count(*) FROM stream_pair WHERE jsonb_array_length(state::jsonb -> 'sources') > 0 AND peer <> $1)
FROM stream
"""
#: The ends of an instance's own streams.
_ENDS = "SELECT peer, incarnation, max(last) FILTER (WHERE lane = 0), max(last) FILTER (WHERE lane = 1) FROM stream"
_ENDS += " GROUP BY peer, incarnation"
_READ = "SELECT writer, addressee, incarnation, urgent_through, ordinary_through FROM receive_state"
#: Parties of the sample directory whose referrals reach one recipient of each kind: see `referral`.
HOTLINE, OTHER_HOTLINE, AGENCY = "hotline-be.example", "hotline-nl.example", "police-nl.example"
PROVIDER = "provider-012.example"

_RANDOM = Random(41)
_references = count(1)


class Exchange:
    """One exchange in one state directory. Each process has a label: an instance's id, or another.

    A test that stops a process or a server of a shared exchange starts it again.
    """

    def __init__(
        self, stack: DevStack, *, settings: Mapping[str, str] | None = None, program: Sequence[str] = SERVED
    ) -> None:
        """Install the exchange.

        `settings` override those of every instance, by field: {"MERGE_DELAY_S": "2"}. Each instance runs `program`.
        """
        self.stack = stack
        self.program = program
        self.processes: dict[str, Process] = {}
        self._ports_given = {port for url in stack.endpoints.http.values() if (port := urlsplit(url).port)}
        self._settings = {
            # Rate limits are for parties, but a test is one process that acts for all of them.
            "REQUESTS_PER_S": "100000",
            "BYTES_PER_S": "1000000000",
            "WORK_PER_S": "1000000000",
            "SAMPLING_RATIO": "1",
            "WEBHOOKS_TO_LOOPBACK": "true",
            "ISSUE_SLOT_S": ISSUE_SLOT_S,
        } | dict(settings or {})
        with large_days():
            self.installation: Installation = install(self.state, stack.endpoints)
        entries = json.loads(self.installation.parties_file.read_text())
        self.parties: dict[str, PartyKey] = {entry["party"]: PartyKey(entry["url"], entry["key"]) for entry in entries}

    @property
    def state(self) -> Path:
        return self.stack.state.path

    @property
    def endpoints(self) -> Endpoints:
        return self.stack.endpoints

    def spans_file(self, label: str) -> Path:
        return self.state / f"spans-{label}.jsonl"

    def free_port(self) -> int:
        """Return a free loopback port, reserved for the caller and outside the range of outgoing connections."""
        return self.stack.state.port(f"given/{len(self._ports_given)}", self._ports_given)

    # -- processes ------------------------------------------------------------------------------------------

    def serve(
        self,
        instance: str,
        *,
        only: Sequence[str] = (),
        label: str | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        program: Sequence[str] | None = None,
    ) -> Process:
        """Start `causeway serve` for an instance and do not wait. A part without an API is never `ready`.

        `port` is the port of its API, by default the instance's own. `program` replaces the exchange's program.
        """
        label = label or instance
        wanted = self._settings | {"SPANS_FILE": str(self.spans_file(label))} | dict(settings or {})
        if port is not None:
            wanted["HTTP_PORT"] = str(port)
        variables = environment(self.installation, self.endpoints, instance)
        if port is not None:
            # Another process of the instance already has the port for metrics.
            variables.pop(f"{prefix_of(instance)}METRICS_PORT", None)
        variables |= {prefix_of(instance) + name: value for name, value in wanted.items()}
        argv = serving(self.endpoints, instance, program or self.program)
        argv += [word for part in only for word in ("--only", part)]
        process = self._process(label)
        process.start(argv, clean_environment() | variables)
        return process

    def sandbox(self) -> None:
        """Let the sample parties answer automatically from now on, one process per instance."""
        for child in sandbox_children(self.state, self.endpoints):
            self._process(child.name).start(child.argv, clean_environment() | dict(child.env))

    def beat(self) -> None:
        """Publish the document heartbeat every 10 s from now on.

        An instance that has received one requires the next ones.
        """
        argv = (sys.executable, "-m", "deploy.cli", "directory", "beat", "--state", str(self.state))
        self._process("beat").start(argv, clean_environment())

    def wait_ready(self, label: str, url: str | None = None) -> None:
        """Wait for the `/readyz` of a process. `url` is its base if it is not the instance's own."""
        ready = f"{url or self.endpoints.http[label]}/readyz"
        self.processes[label].wait_until(lambda: answers_ready(ready), seconds=READY_S_MAX)

    def stop(self, *labels: str) -> None:
        """Ask processes to end, all at once, and wait until they have. Skip those that are not running."""
        with ThreadPoolExecutor(max(1, len(labels))) as threads:
            list(threads.map(lambda each: self.processes[each].stop(signal.SIGTERM, seconds=STOP_S_MAX), labels))

    def kill_all(self) -> None:
        """Kill all processes, because no test reads their results any more."""
        for each in self.processes.values():
            each.kill()

    def _process(self, label: str) -> Process:
        """Return the process with this label. It is kept, so that a second start continues the same log."""
        if label not in self.processes:
            state = self.stack.state
            log, lock = state.begin_log(label), state.children_lock
            self.processes[label] = Process(
                label, log=log, death_signal=signal.SIGTERM, lock=lock, forks=self.stack.forks
            )
        return self.processes[label]

    # -- parties --------------------------------------------------------------------------------------------

    def client(self, party: str, *, url: str | None = None) -> CausewayClient:
        """Return the party's typed client, as its own tools use it."""
        key = self.parties[party]
        return CausewayClient(url or key.url, key.key)

    def http(self, party: str, *, url: str | None = None, timeout_s: float = 30.0) -> httpx.AsyncClient:
        """Return the party's bare HTTP client. It retries nothing and shows every answer unchanged."""
        key = self.parties[party]
        headers = {"Authorization": f"Bearer {key.key}"}
        return httpx.AsyncClient(base_url=url or key.url, headers=headers, timeout=timeout_s, trust_env=False)

    async def issued(self, service: str, party: str, role: Role) -> str:
        """Issue a further API key of a party that the service serves. It belongs to another user than the first key."""
        key, hashed = issue_key(live=False)
        admin = await self.admin(service)
        await keep_key(admin, hashed, party, role=role)
        await admin.close()
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=self.endpoints.http[service], headers=headers, trust_env=False) as http:
            # The service learns of the key by a notification.
            await until(lambda: _opens(http))
        return key

    @property
    def site(self) -> Site:
        """Return the site as the operator's verbs use it."""
        return Site(self.state / STACK_FILE, self.state, self.endpoints)

    # -- databases ------------------------------------------------------------------------------------------

    async def count_as_accountant(self, service: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Return rows that the accountant of this service may read."""
        return await rows_of(self.endpoints.databases[service].accountant_url, query, *arguments)

    async def admin(self, service: str) -> asyncpg.Connection:
        """Connect to the service's database with a role that no policy restricts."""
        return await asyncpg.connect(self._admin_url(service))

    def _admin_url(self, service: str) -> str:
        return f"{self.stack.postgres.admin_url.rpartition('/')[0]}/causeway_{service}"

    async def rows_past_policies(self, service: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Return rows of the service's database, read with a role that no policy restricts."""
        return await rows_of(self._admin_url(service), query, *arguments)

    @property
    def senders(self) -> list[str]:
        """Return the instances that send to others: all except audit."""
        return [name for name in self.endpoints.instances if self.endpoints.kind(name) != AUDIT]

    async def under_way(self) -> int:
        """Count the messages that wait to be sent, or for an acknowledgement by their addressee other than audit."""
        waiting = [await self.rows_past_policies(name, UNDER_WAY, AUDIT) for name in self.senders]
        return sum(rows[0][0] for rows in waiting)

    async def until_quiet(self, seconds_max: float = QUIET_S_MAX) -> None:
        """Wait until nothing is under way twice in a row: everything sent has been acknowledged."""
        deadline, quiet = time.monotonic() + seconds_max, 0
        while quiet < 2:
            quiet = quiet + 1 if await self.under_way() == 0 else 0
            if time.monotonic() > deadline:
                raise TimeoutError("messages are still on their way")
            await asyncio.sleep(0.1)

    async def until_taken(self, seconds_max: float = QUIET_S_MAX) -> None:
        """Wait until every message was accepted by its recipient, which may acknowledge it 10 s later."""

        async def all_have_read() -> bool:
            return all([await self._has_read(name) for name in self.senders])

        await until(all_have_read, seconds_max=seconds_max)

    async def until_all_have_answered(self, seconds_max: float = 300) -> None:
        """Wait until every instance has received the acknowledgements that it requests from peers after its start."""

        async def none_is_due() -> bool:
            due = "SELECT count(*) FROM stream_pair WHERE state::jsonb ->> 'awaited_since' IS NOT NULL"
            return not any([(await self.rows_past_policies(name, due))[0][0] for name in self.senders])

        await until(none_is_due, seconds_max=seconds_max)

    async def until_audited(self, seconds_max: float = QUIET_S_MAX) -> None:
        """Wait until audit has stored every message that was sent."""
        await until(lambda: self._has_read(AUDIT, copies=True), seconds_max=seconds_max)

    async def _has_read(self, reader: str, *, copies: bool = False) -> bool:
        """Return whether it has read to the ends of all streams to it, or with `copies` of all streams."""
        read = {(row[0], row[1]): tuple(row)[2:] for row in await self.rows_past_policies(reader, _READ)}
        rows = [(name, row) for name in self.senders for row in await self.rows_past_policies(name, _ENDS)]
        ends = {(name, row[0]): tuple(row)[1:] for name, row in rows if copies or row[0] == reader}
        return all(not any(end[1:]) or read.get(pair) == end for pair, end in ends.items())


@contextmanager
def running_exchange(
    state: Path,
    *,
    settings: Mapping[str, str] | None = None,
    secure: bool = False,
    instances: Mapping[str, str] = FOUR,
    program: Sequence[str] = SERVED,
    start: Callable[[Exchange], None] | None = None,
) -> Iterator[Exchange]:
    """Start everything in an empty directory, wait until all instances are ready, and kill it all at the end.

    `start`, if given, starts the instances instead.
    """
    with servers(state, instances=instances, secure=secure, forking=True) as stack:
        exchange = Exchange(stack, settings=settings, program=program)
        try:
            for instance in instances if start is None else ():
                exchange.serve(instance)
            for instance in instances if start is None else ():
                exchange.wait_ready(instance)
            if start is not None:
                start(exchange)
            yield exchange
        finally:
            exchange.kill_all()


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """The exchange that tests share. A test adds to it, and leaves every process running."""
    with running_exchange(tmp_path_factory.mktemp("exchange")) as running:
        yield running


def referral(**changes: Any) -> dict[str, Any]:
    """Return a referral that `HOTLINE` may submit. It goes to `OTHER_HOTLINE`, `AGENCY` and, as a notice, `PROVIDER`.

    Each has an external reference of its own unless one is given. Locations are invented.
    """
    number = next(_references)
    item = {
        "locator": {"kind": "url", "value": f"https://images.{PROVIDER}/gallery/{number}"},
        "site_type": "imagehost",
        "hosting": [{"jurisdiction": "NL", "provider": PROVIDER, "method": "stated"}],
        "assessments": [{"scheme": "interpol_baseline", "value": "baseline", "jurisdiction": "BE", "status": "final"}],
    }
    return _filing(number, item) | changes


def _filing(number: int, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "external_ref": f"ref-{number:06d}",
        "exercise": True,
        "incident_kind": "csam",
        "observed_at": "2026-03-20T08:00:00Z",
        "media_kind": "image",
        "viewed_by": "human",
        "items": [item],
    }


def over_budget(filing: dict[str, Any]) -> dict[str, Any]:
    """Return the same referral at a new address of its provider. It is above its budget and below the ceiling."""
    (first,) = filing["items"]
    address = f"https://images.{PROVIDER}/{to_base64url(_RANDOM.randbytes(350))}"
    return filing | {"items": [first | {"locator": {"kind": "url", "value": address}}]}


def provider_filing(**changes: Any) -> dict[str, Any]:
    """Return a referral that `PROVIDER` may submit about an account of its own. It goes to `AGENCY`."""
    number = next(_references)
    item = {
        "locator": {"kind": "account", "value": f"user-{number}@{PROVIDER}"},
        "hosting": [{"provider": PROVIDER, "method": "provider"}],
    }
    return _filing(number, item) | {"user_jurisdictions": ["NL"]} | changes


async def until(holds: Callable[[], Awaitable[object]], *, seconds_max: float = QUIET_S_MAX) -> None:
    """Repeat the check until it holds. Raises `AssertionError` after `seconds_max`.

    The pauses grow, because each check costs the waited-for processes time.
    """
    deadline, pause_s = time.monotonic() + seconds_max, 0.02
    while not await holds():
        assert time.monotonic() < deadline, "what is waited for does not come"
        await asyncio.sleep(pause_s)
        pause_s = min(1.2 * pause_s, UNTIL_PAUSE_S_MAX)


async def _opens(http: httpx.AsyncClient) -> bool:
    """Return whether the service accepts the key of this client yet."""
    return (await http.get("/v1/whoami")).status_code != httpx.codes.UNAUTHORIZED


async def rows_of(url: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """Run one query over a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()


def clean_environment() -> dict[str, str]:
    """Return the inherited environment, without settings that were meant for another exchange."""
    return {name: value for name, value in inherited_environment().items() if not name.startswith("CAUSEWAY_")}
