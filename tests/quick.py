"""`python -m tests.quick`: run the tests of the touched rooms, and `tests/architecture`.

A file is touched if it differs from the merge base with the main branch, or is not committed. Its room is the folder
of tests that mirrors its own folder: `shared/core/acts/table.py` belongs to `tests/shared/core/acts`. Touched tests run
first, then those named after a touched module. Exit code 1 if a test fails.

This module is also the pytest plugin that starts no test after `TIME_S_MAX`; it prints the number of tests left out.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Final

import pytest

from tests.shards import ROOT, run

#: Seconds after which no further test of a touched room starts. `make quick` takes three minutes at most.
TIME_S_MAX: Final = 140.0

ALWAYS: Final = "tests/architecture"
#: The main branch, by the first of these names that exists.
MAIN_BRANCHES: Final = ("origin/main", "main")
PRODUCT: Final = ("shared", "services", "client", "deploy")
#: Rooms that a file has in addition to the mirror of its folder, by a part of its path.
OTHER_ROOMS: Final = {"shared/core/contracts/": "tests/contracts", "/migrations/": "tests/services/schemas"}
#: Folders of tests that need minutes or a running exchange; `make check` runs them.
SLOW: Final = (
    *("tests/acceptance/", "tests/benchmarks/", "tests/conformance/", "tests/console/", "tests/failures/"),
    *("tests/guard_report/", "tests/journeys/", "tests/simulation/"),
)


def main() -> int:
    """Run the tests of this tree's touched rooms."""
    touched = touched_files(ROOT)
    chosen = touched_tests(touched, ROOT)
    left_out = sorted(path for path in touched if path.startswith(SLOW))
    runs = [[ALWAYS], *([["-p", "tests.quick", *chosen]] if chosen else [])]
    ended = run(runs, at_once=2)
    for number, each in enumerate(ended, 1):
        print(f"{' '.join(runs[number - 1])[:80]}: exit code {each.code} after {each.seconds:.0f} s: {each.last}")
    if left_out:
        print("touched and not run, `make check` runs it:", *left_out, sep="\n  ")
    return int(any(each.code for each in ended))


def touched_files(root: Path) -> set[str]:
    """Name the files that differ from the merge base with the main branch, untracked files included."""
    base = next((found for name in MAIN_BRANCHES if (found := _git(root, "merge-base", "HEAD", name))), ["HEAD"])
    return {*_git(root, "diff", "--name-only", base[0]), *_git(root, "ls-files", "--others", "--exclude-standard")}


def touched_tests(touched: Collection[str], root: Path) -> list[str]:
    """Name the test modules of the touched rooms in the order in which they run, without `tests/architecture`."""
    found = {test for path in touched for room in rooms(path, root) for test in _modules(room, root)}
    found |= {path for path in touched if _is_test(path) and (root / path).exists() and not _is_left_out(path)}
    named = {f"test_{PurePosixPath(path).stem}.py" for path in touched}
    return sorted(found, key=lambda test: (test not in touched, PurePosixPath(test).name not in named, test))


def rooms(path: str, root: Path) -> set[str]:
    """Name the folders of tests of one file. A changed test module is a room of its own, and has none here."""
    top = PurePosixPath(path).parts[0]
    if _is_test(path) or top not in (*PRODUCT, "tests"):
        return set()
    other = {room for part, room in OTHER_ROOMS.items() if part in path}
    mirror = PurePosixPath(path if top == "tests" else f"tests/{path}").parent
    while not (root / mirror).is_dir():
        mirror = mirror.parent
    return {each for each in {*other, str(mirror)} if each != "tests" and not _is_left_out(f"{each}/")}


_begun = monotonic()
_late: list[str] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Pass over the test if the time is up: an answer tells pytest that the test is done."""
    if monotonic() - _begun < TIME_S_MAX:
        return None
    _late.append(item.nodeid)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the number of tests that did not start."""
    if _late:
        terminalreporter.write_line(
            f"{len(_late)} tests did not start within {TIME_S_MAX:.0f} s; `make check` runs them"
        )


def _modules(room: str, root: Path) -> set[str]:
    return {f"{room}/{path.name}" for path in (root / room).glob("test_*.py")}


def _is_test(path: str) -> bool:
    return path.startswith("tests/") and PurePosixPath(path).match("test_*.py")


def _is_left_out(path: str) -> bool:
    return path.startswith((*SLOW, f"{ALWAYS}/"))


def _git(root: Path, *arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True).stdout.split("\n")[:-1]


if __name__ == "__main__":
    sys.exit(main())
