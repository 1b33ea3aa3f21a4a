"""`python -m tests.benchmarks.filled_cost`: what a referral costs on stores with much behind them, against little.

Two exchanges side by side, filled by SQL to so many referrals, cases, notices and entries of audit's; then referrals in
batches until all are delivered and audited, to one and the other in turn, so that other work meets both.
Prints CPU milliseconds each, medians; exit code 1 if they are more than a tenth apart.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final, NamedTuple

import asyncpg

from tests.benchmarks.__main__ import CLOSED_BATCH, Bench, _ready, _throughput
from tests.benchmarks.filled import FILLED, fill_history
from tests.benchmarks.measure import _superuser
from tests.benchmarks.stage import Stage, stage

APART_MAX: Final = 0.10
#: A sixth of what the bench files, out of twice as many.
_QUICK: Final = 6
#: So many rounds on each.
TURNS: Final = 7


class Filled(NamedTuple):
    """An exchange whose stores were filled to so many, and what a referral took in each round, CPU milliseconds."""

    rows: int
    bench: Bench
    costs: list[float]


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 if both cost alike, else 1."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.filled_cost", description=__doc__)
    options.add_argument("--rows", type=int, nargs=2, default=(10_000, 2_000_000))
    few, many = measured(options.parse_args(arguments).rows)
    ratio = many / few
    print(f"cost of a referral: {few:.2f} CPU ms on the small store, {many:.2f} on the large one, {ratio:.2f} times")
    return 0 if abs(ratio - 1) <= APART_MAX else 1


def measured(sizes: Sequence[int]) -> list[float]:
    """CPU milliseconds of a referral on stores filled to so many, for each size."""
    with ExitStack() as both, asyncio.Runner() as runner:
        filled = [_begun(both, runner, rows) for rows in sizes]
        for number in range(TURNS):
            for each in filled:
                run = f"filled{number}of{each.rows}"
                told = runner.run(_throughput(each.bench, CLOSED_BATCH // _QUICK, 100, run=run))
                each.costs.append(told["cpu_ms_per_referral"])
                print(f"on {each.rows}: {told['cpu_ms_by_process']}", flush=True)
    for each in filled:
        print(f"filled to {each.rows}: {median(each.costs):.2f} CPU ms a referral, of {each.costs}", flush=True)
    return [median(each.costs) for each in filled]


def _begun(both: ExitStack, runner: asyncio.Runner, rows: int) -> Filled:
    folder = both.enter_context(tempfile.TemporaryDirectory(prefix="causeway-cost-"))
    running = both.enter_context(stage(Path(folder)))
    runner.run(_all_filled(running, rows))
    return Filled(rows, runner.run(_ready(running, _QUICK // 2)), [])


async def _all_filled(running: Stage, rows: int) -> None:
    began = monotonic()
    await asyncio.gather(*(_filled(running, service, rows) for service in FILLED))
    print(f"{len(FILLED)} stores filled to {rows} in {monotonic() - began:.0f} s", flush=True)


async def _filled(running: Stage, service: str, rows: int) -> None:
    admin = await asyncpg.connect(_superuser(running, service))
    try:
        await fill_history(admin, service, rows)
        await admin.execute("CHECKPOINT")
    finally:
        await admin.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
