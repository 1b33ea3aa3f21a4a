"""Many seeds of the stream protocol, or the controls: `python -m tests.simulation.streams SEEDS [FIRST]`.

With `--mood MOOD` all runs have one mood. `--sql` keeps messaging in PostgreSQL, and compares each run with the one in
memory. `--controls` removes each rule and counts the runs until something breaks. The exit code is 1 if a promise was
broken, or a control was not found.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections import Counter

from tests.simulation.streams.controls import CONTROLS, runs_needed
from tests.simulation.streams.run import short_hours, simulate
from tests.simulation.streams.sql import run_sql
from tests.simulation.streams.world import MOODS

#: Runs between two lines of progress.
PROGRESS_EVERY = 200


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.simulation.streams", description=__doc__)
    options.add_argument("seeds", type=int, help="how many; with --controls, at most for each control")
    options.add_argument("first", type=int, nargs="?", default=0, help="the first seed")
    options.add_argument("--mood", choices=MOODS, help="the mood of all runs; otherwise by turns")
    options.add_argument("--until-broken", action="store_true", help="stop at the first run that breaks a promise")
    options.add_argument("--controls", action="store_true", help="remove each rule, and count runs until it shows")
    options.add_argument("--sql", action="store_true", help="over PostgreSQL; each run must count as in memory")
    given = options.parse_args()
    if given.sql:
        return run_sql(range(given.first, given.first + given.seeds))
    # Imported modules stay; a run's garbage is seldom collected.
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)
    return run_controls(given.seeds) if given.controls else run_many(given)


def run_many(given: argparse.Namespace) -> int:
    totals: Counter[str] = Counter()
    with short_hours():
        for seed in range(given.first, given.first + given.seeds):
            report = simulate(seed, given.mood)
            totals.update(report.count)
            totals.update(runs=1, broken=bool(report.violations))
            if report.violations:
                print(f"seed {seed} ({report.mood}):", *report.violations, sep="\n  ")
                if given.until_broken:
                    break
            if totals["runs"] % PROGRESS_EVERY == 0:
                print(dict(totals))
                sys.stdout.flush()
    print(dict(totals))
    return 1 if totals["broken"] else 0


def run_controls(runs_max: int) -> int:
    missed = 0
    for name, control in CONTROLS.items():
        needed = runs_needed(control, runs_max=runs_max)
        missed += needed is None
        print(f"{name}: {f'NOT in {runs_max}' if needed is None else needed}", flush=True)
    print(f"{len(CONTROLS)} controls, {missed} not found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
