"""`python -m tests.simulation --seeds 10000`: many seeds, on all cores; exit code 1 if a promise was broken."""

from __future__ import annotations

import argparse
import gc
import sys
from collections import Counter
from multiprocessing import get_context

from tests.simulation.run import Report, simulate


def main() -> int:
    """Run the seeds; print what went wrong with the seed that shows it, and a summary."""
    options = argparse.ArgumentParser(prog="python -m tests.simulation")
    options.add_argument("--seeds", type=int, default=10_000, help="how many")
    options.add_argument("--first", type=int, default=0, help="the first seed")
    given = options.parse_args()
    totals: Counter[str] = Counter()
    failed = 0
    # A seed's run is its own, whatever process it is in; the reports come in the order of the seeds. In each process
    # what was imported stays: the collector need not look at it after every seed.
    with get_context("spawn").Pool(initializer=gc.freeze) as pool:
        for report in pool.imap(simulate, range(given.first, given.first + given.seeds), chunksize=20):
            totals.update(report.counts | {"events": report.events})
            if report.violations:
                failed += 1
                say(report)
    print(f"{given.seeds} seeds, {failed} with violations; {dict(totals)}")
    return 1 if failed else 0


def say(report: Report) -> None:
    """How to see it again, and what was broken."""
    print(f"seed {report.seed}: python -m tests.simulation --first {report.seed} --seeds 1")
    print(f"  history {report.history}, {report.events} events, {report.virtual_s} s of virtual time")
    for violation in report.violations:
        print(f"  {violation}")


if __name__ == "__main__":
    sys.exit(main())
