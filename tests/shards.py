"""`python -m tests.shards`: the whole suite, as runs of pytest two at a time, each with servers of its own.

Each run takes the folders that are named for it, the last one everything else: what is new is run without being named.
Nothing is shared but the processors: each run makes its own folders, and its servers take free ports. On one processor
they run one after the other. Exit code 1 if any run fails, or collects nothing.
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
AT_ONCE: Final = 2
#: Folders below the tests' own, those first that take longest: whichever processor is done takes the next, so that the
#: last ones are short. What shares a running exchange stands together: each run starts its own.
NAMED: Final = (
    ("acceptance", "journeys"),
    ("console",),
    ("deploy", "support"),
    ("failures",),
    ("services", "conformance", "skew"),
    ("shared/runtime",),
    ("simulation", "architecture", "client", "contracts"),
)

_saying = Lock()


@dataclass(frozen=True, slots=True)
class Ended:
    """One run of pytest that has ended: exit code, last line, seconds it took, and a line for each test that failed."""

    code: int
    last: str
    seconds: float
    failed: tuple[str, ...] = ()


def main(argv: Sequence[str]) -> int:
    """Run the suite; `argv` goes to each run of pytest."""
    chosen = chosen_by_shard("tests", NAMED)
    ended = run([[*each, *argv] for each in chosen], at_once=min(AT_ONCE, len(os.sched_getaffinity(0))))
    for number, each in enumerate(ended, 1):
        print(f"shard {number}: exit code {each.code} after {each.seconds:.0f} s: {each.last}")
    for number, each in enumerate(ended, 1):
        for line in each.failed:
            print(f"shard {number}: {line}")
    return int(any(each.code for each in ended))


def chosen_by_shard(tests: str, named: Sequence[Sequence[str]]) -> list[list[str]]:
    """What to tell each run of pytest so that every test below `tests` is run by exactly one of them."""
    chosen = [[f"{tests}/{folder}" for folder in folders] for folders in named]
    return [*chosen, [tests, *(f"--ignore={folder}" for folders in chosen for folder in folders)]]


def run(chosen: Sequence[Sequence[str]], *, at_once: int, cwd: Path = ROOT) -> list[Ended]:
    """Run pytest once for each, so many at once; each line is told as it comes, with its run's number."""
    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(lambda each: _run(each[0], each[1], cwd), enumerate(chosen, 1)))


def _run(number: int, chosen: Sequence[str], cwd: Path) -> Ended:
    begun, last, failed = monotonic(), "", []
    # It is interrupted when we end, in whatever way, and then stops its servers.
    command = ["setpriv", "--pdeathsig", "INT", sys.executable, "-m", "pytest", *chosen]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pytest:
        assert pytest.stdout is not None
        for line in pytest.stdout:
            last = line.strip("=\n ") or last
            if line.startswith(("FAILED ", "ERROR ")):
                failed.append(line.rstrip())
            with _saying:
                print(f"{number} | {line}", end="", flush=True)
    return Ended(pytest.returncode, last, monotonic() - begun, tuple(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
