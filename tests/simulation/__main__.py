"""Many seeds on all cores, or the controls; exit code 1 if a promise was broken, or a control was not found.

`python -m tests.simulation --seeds 10000 [--resume FILE]` · `python -m tests.simulation --controls --seeds 500`
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

from tests.simulation.progress import Progress
from tests.simulation.rules import CONTROLS
from tests.simulation.run import Report, collect_seldom, seeds_needed, simulate

#: So many seeds are done between two notes of how far it came.
NOTED_EVERY = 10


def main() -> int:
    """Run what is asked for; print what went wrong with the seed that shows it, and a summary."""
    options = argparse.ArgumentParser(prog="python -m tests.simulation")
    options.add_argument("--seeds", type=int, default=10_000, help="how many; with --controls, at most")
    options.add_argument("--first", type=int, default=0, help="the first seed")
    options.add_argument("--resume", type=Path, help="goes on where this file says, and notes there how far it came")
    options.add_argument("--processes", type=int, help="how many at once; all cores unless said")
    options.add_argument("--controls", action="store_true", help="take each rule away, and count seeds until it shows")
    given = options.parse_args()
    # A seed's run is its own, whatever process it is in; the reports come in the order of the seeds.
    with get_context("spawn").Pool(given.processes, initializer=collect_seldom) as pool:
        if given.controls:
            return controls(pool, given.seeds)
        return many(pool, range(given.first, given.first + given.seeds), Progress(given.resume))


def many(pool: Pool, seeds: range, progress: Progress) -> int:
    """Run seeds, from where it stopped the last time with the same code."""
    done = progress.begin(seeds.start)
    for report in pool.imap(simulate, seeds[done:], chunksize=5):
        progress.add(report.counts | {"events": report.events}, failed=bool(report.violations))
        if report.violations:
            say(report)
        if progress.done % NOTED_EVERY == 0:
            progress.note()
    progress.note()
    print(f"{progress.done} seeds, {progress.failed} with violations; {progress.totals}")
    return 1 if progress.failed else 0


def controls(pool: Pool, seeds_max: int) -> int:
    """Take away one rule after the other; print how many seeds it took until something broke."""
    missed = 0
    for name, needed in zip(CONTROLS, pool.imap(partial(seeds_needed, seeds_max=seeds_max), CONTROLS), strict=True):
        missed += needed is None
        print(f"{name}: {f'NOT in {seeds_max}' if needed is None else needed}", flush=True)
    print(f"{len(CONTROLS)} controls, {missed} not found")
    return 1 if missed else 0


def say(report: Report) -> None:
    """How to see it again, and what was broken."""
    print(f"seed {report.seed}: python -m tests.simulation --first {report.seed} --seeds 1")
    print(f"  history {report.history}, {report.events} events, {report.virtual_s} s of virtual time")
    for violation in report.violations:
        print(f"  {violation}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
