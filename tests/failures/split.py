"""An exchange with fault injection: the hotline in three processes; each process and server can be killed or frozen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import asyncpg
import httpx

from deploy.devstack.stack import DevStack
from shared.core.errors import Unavailable
from tests.support import driver_delivery as delivery
from tests.support.frozen import freeze, thaw
from tests.support.running import SERVICES, Exchange, until
from tests.support.stack import servers

#: label → (instance, parts; all of them if none is named)
PROCESSES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "api": ("hotline", ("api", "documents")),
    "relay": ("hotline", ("relay", "documents")),
    "consumer": ("hotline", ("consumer", "documents")),
    "law_enforcement": ("law_enforcement", ()),
    "industry": ("industry", ()),
    "audit": ("audit", ()),
}
BROKER, DATABASE = "broker", "database"
START_S_MAX: Final = 180.0
#: Every process writes it when all its parts run.
_STARTED = '"event": "service_started"'


class SplitExchange(Exchange):
    """`Exchange` with the processes of `PROCESSES`, which its user starts and ends."""

    def __init__(
        self,
        stack: DevStack,
        *,
        settings: Mapping[str, str],
        parts: Mapping[str, tuple[str, tuple[str, ...]]] = PROCESSES,
    ) -> None:
        super().__init__(stack, settings={"SAMPLING_RATIO": "0"} | dict(settings))
        self._parts = parts
        #: Replacement program of a process from its next start on, by label, to switch a protection off.
        self.programs: dict[str, Sequence[str]] = {}
        self._starts: dict[str, int] = {}
        self._watching: dict[str, asyncpg.Connection] = {}

    async def start(self, *labels: str) -> None:
        """Start processes or servers, and wait until they work."""
        for label in labels:
            if label in self._parts:
                instance, parts = self._parts[label]
                self.serve(instance, only=parts, label=label, program=self.programs.get(label))
                self._starts[label] = self._starts.get(label, 0) + 1
        await asyncio.gather(*(self._until_works(label) for label in labels))

    async def kill(self, label: str) -> int:
        """Send `kill -9`, or an immediate shutdown to PostgreSQL; return the id of the killed process."""
        pid = self._pid(label)
        servers = {BROKER: self.stack.kafka.kill, DATABASE: self.stack.postgres.crash}
        await asyncio.to_thread(servers[label] if label in servers else self.processes[label].kill)
        return pid

    def pause(self, label: str) -> int:
        """Freeze a process or server until `resume`; return its id. PostgreSQL's child processes freeze, too."""
        pid = self._pid(label)
        freeze(pid)
        for each in _children(pid) if label == DATABASE else ():
            freeze(each)
        return pid

    def resume(self, label: str) -> None:
        pid = self._pid(label)
        for each in (*(_children(pid) if label == DATABASE else ()), pid):
            thaw(each)

    async def list_dead(self) -> list[str]:
        """Name each process that has ended, or whose readiness names a part that does not run."""
        dead = [label for label in self._parts if not self.processes[label].running()]
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            for instance, url in self.endpoints.http.items():
                if (answer := await http.get(f"{url}/readyz")).status_code != httpx.codes.OK:
                    dead.append(f"{instance}: {answer.text}")
        return dead

    async def _is_provisioned(self) -> bool:
        """Return whether the broker answers and uses its manifest. A new broker may drop the connection."""
        with suppress(Unavailable):
            await asyncio.to_thread(self.stack.kafka.wait_ready)
            return True
        return False

    def _pid(self, label: str) -> int:
        servers = {BROKER: self.stack.kafka, DATABASE: self.stack.postgres}
        pid = servers[label].pid if label in servers else self.processes[label].pid
        assert pid is not None, f"{label} had ended"
        return pid

    async def unacknowledged(self) -> int:
        """Count messages between instances of parties without an acknowledgement.

        Use it within `watched` for frequent calls.
        """
        total = 0
        for service in SERVICES:
            watching = self._watching.get(service)
            if watching is None or watching.is_closed():
                url = self.endpoints.databases[service].accountant_url
                watching = self._watching[service] = await asyncpg.connect(url)
            total += await delivery.count_unacknowledged_messages(watching)
        return total

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keep the connections of `unacknowledged` open within this context."""
        try:
            yield
        finally:
            for connection in self._watching.values():
                await connection.close()
            self._watching.clear()

    async def until_acknowledged(self, seconds_max: float) -> None:
        """Wait until every message between parties is acknowledged and every fact is sent."""
        deadline, empty = time.monotonic() + seconds_max, 0
        while empty < 3:
            try:
                empty = empty + 1 if await self.under_way() == 0 else 0
            except (OSError, asyncpg.PostgresError):
                empty = 0  # the database is being started
            if time.monotonic() > deadline:
                held = {each: await delivery.count_unacknowledged_by_recipient(self, each) for each in SERVICES}
                raise AssertionError(f"not acknowledged after {seconds_max:g} s: {held}")
            await asyncio.sleep(0.2)

    async def _until_works(self, label: str) -> None:
        if label == BROKER:
            await asyncio.to_thread(self.stack.kafka.spawn)
            await until(self._is_provisioned, seconds_max=START_S_MAX)
        elif label == DATABASE:
            await asyncio.to_thread(self.stack.postgres.start)
        else:
            wanted = self._starts[label]
            process, log = self.processes[label], self.stack.state.log(label)
            await asyncio.to_thread(process.wait_until, lambda: _count(log, _STARTED) >= wanted, seconds=START_S_MAX)
            if label in self.endpoints.http or label == "api":
                url = self.endpoints.http["hotline" if label == "api" else label]
                await asyncio.to_thread(self.wait_ready, label, url)


@contextmanager
def split_exchange(
    state: Path,
    *,
    settings: Mapping[str, str] | None = None,
    parts: Mapping[str, tuple[str, tuple[str, ...]]] = PROCESSES,
) -> Iterator[SplitExchange]:
    """Yield an exchange whose servers run and are set up, without processes. Kill all remaining ones at the end."""
    with servers(state, forking=True) as stack:
        exchange = SplitExchange(stack, settings=settings or {}, parts=parts)
        try:
            yield exchange
        finally:
            exchange.kill_all()


def _count(log: Path, text: str) -> int:
    return log.read_text(encoding="utf-8", errors="replace").count(text)


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
