"""PostgreSQL's disk full: a size-limited disk is filled under load, and freed again.

    python -m tests.failures.full_disk      prints the results as JSON

It runs in its own user and mount namespaces, where it may mount a disk (tmpfs) that no other process sees.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, Final

from deploy.site.access import answers
from shared.core.errors import Unavailable
from tests.failures.load import Sender, posts
from tests.failures.split import DATABASE, PROCESSES, SplitExchange, split_exchange
from tests.failures.verdict import judge

DISK_MIB: Final = 400
ACKNOWLEDGED_S_MAX: Final = 300.0
FULL_S: Final = 4.0
#: After this time without an answer PostgreSQL is restarted. If it had no space during recovery it may hang and never
#: accept connections (18.4).
HANGS_S: Final = 60.0
_MODULE: Final = "tests.failures.full_disk"
_INSIDE: Final = "inside"


def run() -> dict[str, Any]:
    """Run it in its own namespaces and return the results. Raises if the kernel does not permit them."""
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m", _MODULE, _INSIDE]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


async def fill_and_free(exchange: SplitExchange, disk: Path) -> dict[str, Any]:
    """Post until everything is refused because the disk is full, free the space, and wait until all is delivered."""
    async with Sender(exchange) as sender:
        wanted = posts(600, seed=13)
        await exchange.start(*PROCESSES)
        pids = {label: exchange.processes[label].pid for label in PROCESSES}
        await sender.send(islice(wanted, 40))
        ballast = disk / "ballast"
        _fill(ballast)
        under_way = asyncio.create_task(sender.send(wanted))
        statuses_at_full = sender.tally.statuses.copy()
        refused = await _refused(sender, statuses_at_full)
        ballast.unlink()
        restarted = await _database_answers(exchange)
        await under_way
        await exchange.until_acknowledged(ACKNOWLEDGED_S_MAX)
    verdict = await judge(exchange, sender.tally)
    return {
        "answers_503": refused,
        "statuses": sorted(sender.tally.statuses),
        "database_restarted": restarted,
        "processes_restarted": [label for label in PROCESSES if exchange.processes[label].pid != pids[label]],
        "referrals": verdict.referrals,
        "faults": {name: str(value) for name, value in verdict.faults().items()},
        "line": verdict.line(),
    }


async def _refused(sender: Sender, at_full: dict[int, int]) -> int:
    """Return the number of requests refused in `FULL_S`. Wait ten times as long for the first one."""
    waited_s = 0.0
    while waited_s < FULL_S or (503 not in sender.tally.statuses and waited_s < 10 * FULL_S):
        await asyncio.sleep(0.2)
        waited_s += 0.2
    return sender.tally.statuses.get(503, 0) - at_full.get(503, 0)


async def _database_answers(exchange: SplitExchange) -> bool:
    """Wait until PostgreSQL answers.

    If it has stopped, start it like its supervisor. Return whether that was needed.
    """
    restarted, server, began = False, exchange.stack.postgres, monotonic()
    while not await asyncio.to_thread(answers, server.admin_url):
        if server.running() and monotonic() > began + HANGS_S:
            await asyncio.to_thread(server.crash)
        if not server.running():
            began = monotonic()
            restarted = True
            with suppress(Unavailable):
                await exchange.start(DATABASE)
        await asyncio.sleep(0.2)
    return restarted


def _fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))


@contextmanager
def _small_disk(state: Path) -> Iterator[Path]:
    disk = state / "postgres"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _inside() -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory() as folder,
        _small_disk(Path(folder)) as disk,
        split_exchange(Path(folder)) as exchange,
    ):
        return asyncio.run(fill_and_free(exchange, disk))


if __name__ == "__main__":
    print(json.dumps(_inside() if sys.argv[1:] == [_INSIDE] else run(), indent=None))
