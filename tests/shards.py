"""`python -m tests.shards`: the whole suite, as runs of pytest several at a time, each with servers of its own.

Each run has the modules that `NAMED` gives it; the last run has all other modules, so a new module needs no entry. The
runs share the processors and the prepared data of servers (`tests/support/stack.py`). Each run has its own folders, and
its servers take free ports. Most of the tests wait for other processes, so there are two runs for each processor. Exit
code 1 if a run fails or collects no test.
"""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Final

from deploy.site.settings import inherited_environment
from tests.acceptance.result_cache import whole_commit
from tests.support.stack import PREPARED

ROOT: Final = Path(__file__).parents[1]
AT_ONCE_MAX: Final = 4
#: The packages that test processes import.
PACKAGES: Final = ("client", "deploy", "services", "shared", "tests")
#: The folders and modules below `tests` of each run, the longest run first. The next run begins when one ends. Modules
#: that share a running exchange are in one run, because each run starts its own. A named module leaves the run of its
#: folder.
NAMED: Final = (
    # The counters come last, when the background work of the exchange has settled.
    ("journeys", "benchmarks/test_counters_running.py"),
    ("services", "conformance"),
    ("failures",),
    ("console",),
    ("deploy", "support"),
    ("acceptance", "contracts"),
    # Each of these starts its own exchange.
    ("journeys/test_holds.py", "acceptance/test_demonstration.py"),
    ("simulation", "architecture", "client"),
    ("shared/platform", "shared/instance"),
)

#: The JUnit report of each run, and the commit that all of them belong to.
REPORTS: Final = ROOT / ".state" / "suite"
OF_COMMIT: Final = "commit"
#: Where pytest makes the folders of its tests (`tmp_path`).
OWN_FOLDER: Final = "PYTEST_DEBUG_TEMPROOT"

_saying = Lock()


@dataclass(frozen=True, slots=True)
class Ended:
    """One run of pytest that has ended: exit code, last line, seconds it took, and a line for each test that failed.

    `processor_s`: processor time of the run and of the processes that it started, in seconds.
    """

    code: int
    last: str
    seconds: float
    processor_s: float
    failed: tuple[str, ...] = ()


def main(argv: Sequence[str]) -> int:
    """Run the suite; `argv` goes to each run of pytest."""
    compile_once()
    begin_reports()
    commit = whole_commit()
    chosen = chosen_by_shard("tests", NAMED)
    with tempfile.TemporaryDirectory(prefix="causeway-prepared-") as folder:
        prepare(folder)
        wanted = [[*each, f"--junitxml={REPORTS / f'{n}.xml'}", *argv] for n, each in enumerate(chosen, 1)]
        ended = run(wanted, at_once=at_once(len(os.sched_getaffinity(0))), given={PREPARED: folder})
    for number, each in enumerate(ended, 1):
        took = f"{each.seconds:.0f} s, {each.processor_s:.0f} s of processors"
        print(f"shard {number}: exit code {each.code} after {took}: {each.last}")
    if not argv and whole_commit() == commit:  # otherwise the reports may lack tests, or mix trees
        (REPORTS / OF_COMMIT).write_text(commit, encoding="utf-8")
    print(f"in all {sum(each.processor_s for each in ended):.0f} s of processors")
    for number, each in enumerate(ended, 1):
        for line in each.failed:
            print(f"shard {number}: {line}")
    return int(any(each.code for each in ended))


def compile_once() -> None:
    """Write the bytecode of our modules, so that a thousand processes need not compile them."""
    for package in PACKAGES:
        compileall.compile_dir(ROOT / package, quiet=1)


def begin_reports() -> None:
    """Delete the reports of an earlier run."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)


def prepare(folder: str) -> None:
    """Prepare the initial data of servers, once for all runs."""
    subprocess.run([sys.executable, "-m", "tests.support.stack", folder], cwd=ROOT, check=True)


def at_once(processors: int) -> int:
    """Return the number of runs that share the processors."""
    return min(AT_ONCE_MAX, processors * 2)


def chosen_by_shard(tests: str, named: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the arguments of each run of pytest. Exactly one run has each test below `tests`."""
    chosen = [[f"{tests}/{path}" for path in paths] for paths in named]
    everything = [path for paths in chosen for path in paths]
    shards = [*chosen, [tests]]
    return [[*paths, *(f"--ignore={each}" for each in everything if _is_below(each, paths))] for paths in shards]


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


def run(
    chosen: Sequence[Sequence[str]], *, at_once: int, cwd: Path = ROOT, given: Mapping[str, str] | None = None
) -> list[Ended]:
    """Run pytest once for each selection, `at_once` at a time, and print each line with the number of its run.

    `given` extends the environment. Each run has its own temporary folder, because pytest deletes old folders that
    another run is deleting too. The folder is deleted when its run ends, while other runs go on.
    """
    environment = inherited_environment() | dict(given or {})
    with tempfile.TemporaryDirectory(prefix="causeway-runs-", ignore_cleanup_errors=True) as made:

        def one(numbered: tuple[int, Sequence[str]]) -> Ended:
            number, each = numbered
            own = Path(made) / str(number)
            own.mkdir()
            try:
                return _run(number, each, cwd, environment | {OWN_FOLDER: str(own)})
            finally:
                shutil.rmtree(own, ignore_errors=True)

        with ThreadPoolExecutor(at_once) as threads:
            return list(threads.map(one, enumerate(chosen, 1)))


def _run(number: int, chosen: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Ended:
    begun, last, failed = monotonic(), "", []
    # Whenever this process ends, the run is interrupted, and stops its servers.
    command = ["setpriv", "--pdeathsig", "INT", sys.executable, "-m", "pytest", *chosen]
    pipe, merged = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(command, cwd=cwd, env=environment, stdout=pipe, stderr=merged, text=True) as pytest:
        assert pytest.stdout is not None
        for line in pytest.stdout:
            last = line.strip("=\n ") or last
            if line.startswith(("FAILED ", "ERROR ")):
                failed.append(line.rstrip())
            with _saying:
                print(f"{number} | {line}", end="", flush=True)
        # `wait4` also returns the processor time of the run and of the processes that it has waited for.
        _, status, used = os.wait4(pytest.pid, 0)
        pytest.returncode = os.waitstatus_to_exitcode(status)
    return Ended(pytest.returncode, last, monotonic() - begun, used.ru_utime + used.ru_stime, tuple(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
