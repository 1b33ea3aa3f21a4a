"""`python -m tests.benchmarks.filled_cost`: what a referral costs on stores with much behind them, against little.

The same exchange twice, each begun anew and filled by SQL to so many referrals, cases, notices and entries of audit's;
then referrals in batches until all are delivered and audited, the median of three rounds. Prints CPU milliseconds each;
exit code 1 if they are more than a tenth apart.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import asyncpg

from tests.benchmarks.__main__ import CLOSED_BATCH, ROUNDS, _ready, _throughput
from tests.benchmarks.filled import FILLED, fill_history
from tests.benchmarks.measure import _superuser
from tests.benchmarks.stage import Stage, stage

APART_MAX: Final = 0.10
#: A sixth of what the bench files.
_QUICK: Final = 6


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if both cost alike, else 1."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.filled_cost", description=__doc__)
    options.add_argument("--rows", type=int, nargs=2, default=(10_000, 2_000_000))
    few, many = (measured(rows) for rows in options.parse_args(arguments).rows)
    ratio = many / few
    print(f"cost of a referral: {few:.2f} CPU ms on the small store, {many:.2f} on the large one, {ratio:.2f} times")
    return 0 if abs(ratio - 1) <= APART_MAX else 1


def measured(rows: int) -> float:
    """CPU milliseconds of a referral on stores filled to so many."""
    with tempfile.TemporaryDirectory(prefix="causeway-cost-") as folder, stage(Path(folder)) as running:
        for service in FILLED:
            asyncio.run(_filled(running, service, rows))
        with asyncio.Runner() as runner:
            bench = runner.run(_ready(running, _QUICK))
            rounds = [
                runner.run(_throughput(bench, CLOSED_BATCH // _QUICK, 100, run=f"filled{number}"))
                for number in range(ROUNDS)
            ]
    cost = median(each["cpu_ms_per_referral"] for each in rounds)
    print(
        f"filled to {rows}: {cost:.2f} CPU ms a referral, of {[each['cpu_ms_per_referral'] for each in rounds]}",
        flush=True,
    )
    return float(cost)


async def _filled(running: Stage, service: str, rows: int) -> None:
    admin = await asyncpg.connect(_superuser(running, service))
    try:
        await fill_history(admin, service, rows)
        await admin.execute("CHECKPOINT")
    finally:
        await admin.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
