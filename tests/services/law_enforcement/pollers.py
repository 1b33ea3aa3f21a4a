"""Three pollers read a feed while writers commit out of order.

    python -m tests.services.law_enforcement.pollers [--events N]

They pause, are stopped at any point, and continue from their stored places. One transaction stays open throughout. Each
must have read every event once, all in one order.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from shared.platform.database.transactions import Database
from tests.services.databases import migrated, running_postgres
from tests.services.law_enforcement.feeds import PARTY, by_number, opened, polled

SERVICE = "law_enforcement"


async def run(folder: Path, events: int) -> bool:
    with running_postgres(folder, SERVICE) as endpoint:
        async with migrated(endpoint, SERVICE), opened(endpoint, pool_size=8) as feed:
            writing = Database(endpoint.service_url, pool_size=12)
            feed.party = PARTY
            written, pollers = await polled(writing, by_number(feed), count=events, seed=1)
            await writing.close()
    taken = [set(each.taken) for each in pollers]
    missed = sum(len(written - each) for each in taken)
    twice = sum(len(each.taken) for each in pollers) - sum(map(len, taken))
    one_order = all(each.taken == pollers[0].taken for each in pollers)
    restarts = sum(each.restarts for each in pollers)
    print(
        f"polled: {len(written)} events, 3 pollers, {restarts} restarts: {missed} missed, {twice} twice, "
        f"{'one order' if one_order else 'orders differ'}"
    )
    return missed == twice == 0 and one_order and len(written) == events


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.services.law_enforcement.pollers", description=__doc__)
    options.add_argument("--events", type=int, default=100_000)
    events: int = options.parse_args().events
    # Stopping a poller cancels the route's query for it, and the driver logs each such case.
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(run(Path(folder), events)) else 1


if __name__ == "__main__":
    sys.exit(main())
