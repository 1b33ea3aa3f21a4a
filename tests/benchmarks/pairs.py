"""`python -m tests.benchmarks.pairs [--commit COMMIT] [--pairs 9]`: the CPU of a referral, here and at a commit.

Two exchanges run at once, each of its own checkout. They take turns with the same referrals in batches, so that a slow
moment affects both. The result is the median of the pairs' ratios. With nine pairs, the second smallest and the second
greatest ratio are an interval that has the median in 96 of 100 cases, whatever the distribution.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from tests.benchmarks.__main__ import Bench, _ready, _throughput
from tests.benchmarks.stage import stage

ROOT: Final = Path(__file__).parents[2]
#: The last commit before parts that keep the exchange available: admission, the meter, accounts of effects.
BEFORE: Final = "610a1a13"
REFERRALS: Final = 2_000
RATIO_MAX: Final = 1.03


def main(argv: Sequence[str]) -> int:
    """Print each pair, the median ratio and its interval. Return 1 if the median is above the bar."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.pairs", description=__doc__)
    options.add_argument("--commit", default=BEFORE)
    options.add_argument("--pairs", type=int, default=9)
    options.add_argument("--turns", type=int, default=0, help=argparse.SUPPRESS)
    given = options.parse_args(argv)
    if given.turns:
        take_turns(given.turns)
        return 0
    ratios: list[float] = []
    with ExitStack() as stack:
        before = stack.enter_context(tempfile.TemporaryDirectory(prefix="causeway-pairs-"))
        _check_out(given.commit, Path(before))
        sides = [_start(Path(before), given.pairs), _start(ROOT, given.pairs)]
        for each in sides:
            stack.callback(each.wait)
            assert each.stdin is not None
            stack.callback(each.stdin.close)
        for each in sides:
            assert _told(each) == "ready"
        for number in range(given.pairs):
            turns = sides if number % 2 else sides[::-1]
            used = {side.pid: _turn(side) for side in turns}
            ratios.append(used[sides[1].pid] / used[sides[0].pid])
            print(f"pair {number + 1}: {used[sides[0].pid]:.2f} ms before, {used[sides[1].pid]:.2f} ms now", flush=True)
    ratios.sort()
    low, high = ratios[min(1, len(ratios) - 1)], ratios[max(-2, -len(ratios))]
    compared = f"median {median(ratios):.3f}, interval {low:.3f} to {high:.3f}"
    print(f"CPU of a referral compared with {given.commit}: {compared}")
    return 0 if median(ratios) <= RATIO_MAX else 1


def _check_out(commit: str, folder: Path) -> None:
    """Write the tree of a commit to a folder, with this program and the downloaded parts of this checkout."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    shutil.copy(__file__, folder / "tests" / "benchmarks")
    (folder / ".state").mkdir()
    (folder / ".state" / "cache").symlink_to(ROOT / ".state" / "cache")


def _start(checkout: Path, turns: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.benchmarks.pairs", "--turns", str(turns)]
    return subprocess.Popen(command, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _turn(side: subprocess.Popen[str]) -> float:
    assert side.stdin is not None
    side.stdin.write("\n")
    side.stdin.flush()
    return float(_told(side))


def _told(side: subprocess.Popen[str]) -> str:
    assert side.stdout is not None
    return side.stdout.readline().strip()


def take_turns(turns: int) -> None:
    """Run an exchange of this checkout. For each line that is read, write the CPU milliseconds of a referral."""
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder)) as running, asyncio.Runner() as runner:
        bench: Bench = runner.run(_ready(running, 1))
        print("ready", flush=True)
        for number in range(turns):
            if not sys.stdin.readline():
                return
            found = runner.run(_throughput(bench, REFERRALS, 100, run=f"turn{number}"))
            print(found["cpu_ms_per_referral"], flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
