"""Many timers, eight workers that are stopped in the middle, and clocks that step by an hour.

    python -m tests.shared.platform.timers.long_run [--edges 25000]

Prints figures. The exit code is 1 unless each timer fired once and none early.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Final

from tests.services.databases import migrated, running_postgres
from tests.shared.core.routing.test_clocks import AT
from tests.shared.platform.timers.workers import (
    WORKERS,
    SteppingClock,
    begun,
    hours,
    rows_of,
    timers_kept,
    timers_of,
    told,
)

#: Each edge has four timers: its rules' deadline, a reminder and two rungs.
EDGES: Final = 25_000
STEPS: Final = (5, 12, 30, 1, 24, 24, 48, 24, 30)


async def measured(folder: Path, edges: int) -> bool:
    with running_postgres(folder, "industry") as endpoint:
        async with migrated(endpoint, "industry") as database:
            await begun(database, edges)
            clocks = [SteppingClock(AT) for _ in range(WORKERS)]
            first = timers_of(database, clocks[0])
            while await first.look():
                pass
            made = len(await timers_kept(database))
            await hours(endpoint, clocks, STEPS, random=Random(14))
            said = await told(database)
            twice, early = len(said) - len(set(said)), sum(at > clocks[0].true for *_, at in said)
            before = await rows_of(database)
            await first.rebuild()
            same = await rows_of(database) == before
    print(
        f"timers {made}, reported {len(said)}, twice {twice}, early {early}, rebuilt {'equal' if same else 'unequal'}"
    )
    return twice == early == 0 and same and made >= 4 * edges


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.shared.platform.timers.long_run", description=__doc__)
    options.add_argument("--edges", type=int, default=EDGES)
    edges: int = options.parse_args().edges
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(measured(Path(folder), edges)) else 1


if __name__ == "__main__":
    sys.exit(main())
