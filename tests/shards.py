"""`python -m tests.shards`: the whole suite, as two runs of pytest side by side, each with servers of its own.

The first takes the folders named here, the second everything else: what is new is run without being named. Nothing is
shared but the processors: each run makes its own folders, and its servers take free ports. On one processor they run
one after the other. Exit code 1 if either run fails, or collects nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

ROOT: Final = Path(__file__).parents[1]
#: Below the tests' folder; together about half of the suite's time (`pytest --durations=60` says where it goes).
FIRST: Final = ("acceptance", "client", "contracts", "deploy", "simulation")

_saying = Lock()


@dataclass(frozen=True, slots=True)
class Ended:
    """One run of pytest that has ended: its exit code, its last line, and the seconds it took."""

    code: int
    last: str
    seconds: float


def main(argv: Sequence[str]) -> int:
    """Run the suite; `argv` goes to both runs of pytest."""
    chosen = chosen_by_shard("tests", FIRST)
    ended = run([[*each, *argv] for each in chosen], at_once=min(len(chosen), len(os.sched_getaffinity(0))))
    for number, each in enumerate(ended, 1):
        print(f"shard {number}: exit code {each.code} after {each.seconds:.0f} s: {each.last}")
    return int(any(each.code for each in ended))


def chosen_by_shard(tests: str, first: Sequence[str]) -> list[list[str]]:
    """What to tell each run of pytest so that every test below `tests` is run by exactly one of them."""
    named = [f"{tests}/{folder}" for folder in first]
    return [named, [tests, *(f"--ignore={folder}" for folder in named)]]


def run(chosen: Sequence[Sequence[str]], *, at_once: int, cwd: Path = ROOT) -> list[Ended]:
    """Run pytest once for each, so many at once; each line is told as it comes, with its run's number."""
    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(lambda each: _run(each[0], each[1], cwd), enumerate(chosen, 1)))


def _run(number: int, chosen: Sequence[str], cwd: Path) -> Ended:
    begun, last = monotonic(), ""
    # It is interrupted when we end, in whatever way, and then stops its servers.
    command = ["setpriv", "--pdeathsig", "INT", sys.executable, "-m", "pytest", *chosen]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pytest:
        assert pytest.stdout is not None
        for line in pytest.stdout:
            last = line.strip("=\n ") or last
            with _saying:
                print(f"{number} | {line}", end="", flush=True)
    return Ended(pytest.returncode, last, monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
