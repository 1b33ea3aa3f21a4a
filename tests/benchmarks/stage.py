"""The stage: servers and instances as separate processes, and the CPU time of each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx

from deploy.devstack.stack import DevStack
from deploy.site.endpoints import Endpoints
from deploy.site.settings import inherited_environment
from deploy.stack_children import instance_children
from tests.support.stack import FOUR, embedded_settings, large_days

#: A busy machine takes a while to load five instances.
_READY_S_MAX = 240.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stage:
    """A running exchange. `pids` has one process per instance, Kafka's, and PostgreSQL's postmaster."""

    state: Path
    endpoints: Endpoints
    pids: dict[str, int]

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds used so far by each process, PostgreSQL with all of its own."""
        used = {name: _cpu_s(pid) for name, pid in self.pids.items()}
        used["postgres"] = cpu_s_below(self.pids["postgres"])
        return used


@contextmanager
def stage(state: Path, *, instances: Mapping[str, str] = FOUR) -> Iterator[Stage]:
    """Start everything in an empty directory; stop it all at the end. `instances`: the kind of each by name."""
    with DevStack(state, embedded_settings(), instances=instances) as stack:
        _keep_commit_times(stack)
        with large_days():
            children = instance_children(state, stack.endpoints)
        environment = {key: value for key, value in inherited_environment().items() if not key.startswith("CAUSEWAY_")}
        budgets = {"REQUESTS_PER_S": "100000", "BYTES_PER_S": "1000000000", "WORK_PER_S": "1000000000"}
        running: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for child in children:
                generous = {f"CAUSEWAY_{child.name.upper()}_{key}": value for key, value in budgets.items()}
                with (state / f"{child.name}.log").open("wb") as log:
                    running[child.name] = subprocess.Popen(
                        child.argv, env=environment | dict(child.env) | generous, stdout=log, stderr=log
                    )
            for child in children:
                _until_ready(child.ready_url)
            pids = {name: process.pid for name, process in running.items()}
            yield Stage(state, stack.endpoints, pids | {"kafka": stack.kafka.pid, "postgres": stack.postgres.pid})
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait(timeout=30)


def _keep_commit_times(stack: DevStack) -> None:
    """Have PostgreSQL record when each transaction committed, so that latencies end at the commit, not before it."""
    import asyncio

    import asyncpg

    async def alter() -> None:
        connection = await asyncpg.connect(stack.postgres.admin_url)
        await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        await connection.close()

    asyncio.run(alter())
    stack.postgres.stop()
    stack.postgres.start()


def _until_ready(url: str) -> None:
    deadline = monotonic() + _READY_S_MAX
    while monotonic() < deadline:
        with suppress(httpx.HTTPError):  # it does not listen yet; a server that never does is named below
            if httpx.get(url, timeout=1).status_code == httpx.codes.OK:
                return
        sleep(0.1)
    raise AssertionError(f"not ready: {url}")


def cpu_s_below(pid: int) -> float:
    """Return the CPU seconds used so far by a process and all of its children."""
    return sum(_cpu_s(each) for each in _descendants(pid))


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # User and system time of the process and of those of its children that have ended.
    return sum(int(fields[at]) for at in (11, 12, 13, 14)) / _TICKS_PER_S


def _descendants(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, growing = [root], True
    while growing:
        more = [pid for pid, parent in parents.items() if parent in found and pid not in found]
        found += more
        growing = bool(more)
    return found
