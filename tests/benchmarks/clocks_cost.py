"""`python -m tests.benchmarks.clocks_cost`: what an origin files and a provider receives, and what looks cost after it.

Printed are CPU milliseconds a referral of five edges, or a notice: of Python and of PostgreSQL. Neither Kafka nor HTTP
is in it, so it says something on a busy machine, too: beside another tree, run in alternation.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable
from datetime import datetime
from itertools import count
from pathlib import Path
from time import process_time

from deploy.site.endpoints import DatabaseEndpoint
from shared.kernel.authority import Role
from shared.kernel.canonical import digest
from shared.kernel.clock import ManualClock
from shared.kernel.ids import uuid7
from shared.party.origin.domain import Request, Submission
from shared.routing.clocks import Law, LawAt
from shared.runtime.database.transactions import Database, RowScope
from shared.runtime.timers.timers import Timers
from tests.benchmarks.stage import cpu_s_below
from tests.services.databases import migrated, running_databases
from tests.services.deliveries import issued
from tests.services.doors import ACTOR
from tests.services.hotline.origin import APPLYING, Origin
from tests.services.industry import provider
from tests.shared.routing.test_clocks import SAMPLE_LAW
from tests.support.builders import AT, HOTLINE
from tests.support.exchange_world import submission, world

FILED, RECEIVED = 1_000, 300
#: So long until PostgreSQL's processes rest, and their times are whole.
_REST_S = 0.5
_numbers = count(1)


async def main() -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory(prefix="causeway-clocks-") as folder,
        running_databases(Path(folder), "hotline", "industry") as endpoints,
    ):
        await _filing(endpoints["hotline"])
        await _receiving(endpoints["industry"])


async def _filing(endpoint: DatabaseEndpoint) -> None:
    exchange = world()
    shelf = exchange.shelf

    def law_at(at: datetime) -> Law:
        return Law(shelf.directories.active(at), shelf.policies.active(at))

    async with migrated(endpoint, "hotline") as database:
        origin, postmaster = Origin(database, exchange), await _postmaster(database)
        database.law_at = law_at
        async with origin.intake.running():
            await _file(origin, 4, of=100)  # warm
            for size in (100, 5):
                await _measured(f"filed by {size}", FILED, postmaster, _file(origin, FILED // size, of=size))
                await _measured("  looked at", FILED, postmaster, _look(database, law_at, APPLYING))


async def _receiving(endpoint: DatabaseEndpoint) -> None:
    async with migrated(endpoint, "industry") as database:
        providers, postmaster = provider.Providers(database), await _postmaster(database)
        law = Law(providers.directory, SAMPLE_LAW)
        database.law_at = lambda _: law
        await _receive(providers, 4, of=25)  # warm
        for size in (25, 3):
            await _measured(f"received by {size}", RECEIVED, postmaster, _receive(providers, RECEIVED // size, of=size))
            looking = _look(database, lambda _: law, provider.APPLYING)
            await _measured("  looked at", RECEIVED, postmaster, looking)


async def _measured(what: str, number: int, postmaster: int, work: Awaitable[None]) -> None:
    """Do it, and print what each of `number` cost."""
    python, postgres = process_time(), cpu_s_below(postmaster)
    await work
    python = process_time() - python
    await asyncio.sleep(_REST_S)
    postgres = cpu_s_below(postmaster) - postgres
    print(f"{what:16} Python {1000 * python / number:.2f} PostgreSQL {1000 * postgres / number:.2f}", flush=True)


async def _file(origin: Origin, requests: int, *, of: int) -> None:
    party = origin.intake.origin(HOTLINE)
    for _ in range(requests):
        contents = [submission(external_ref=f"cost-{next(_numbers)}") for _ in range(of)]
        posted = [digest(each.model_dump_json().encode()) for each in contents]
        submissions = [
            Submission(party, Role.MACHINE, content, None, body_sha256=body, actor=ACTOR)
            for content, body in zip(contents, posted, strict=True)
        ]
        await origin.intake.submit(Request(submissions, uuid7().bytes * 2, bytes(32), single=False))


async def _receive(providers: provider.Providers, batches: int, *, of: int) -> None:
    for _ in range(batches):
        await providers.receive(*(issued(uuid7()) for _ in range(of)))


async def _look(database: Database, law_at: LawAt, scope: RowScope) -> None:
    clock = ManualClock(AT)

    async def witness(_: object) -> datetime:
        return clock.now()

    timers = Timers(database, law_at, clock, scope=lambda: scope, witness=witness)
    while await timers.look():
        pass


async def _postmaster(database: Database) -> int:
    """The process id of the server: whoever began the one that answers."""
    ((backend,),) = await database.fetch("SELECT pg_backend_pid()")
    return _parent(backend)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
