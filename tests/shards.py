"""`python -m tests.shards`: the whole suite, as runs of pytest several at a time, each with servers of its own.

Each run takes what is named for it, the last one everything else: what is new is run without being named. Nothing is
shared but the processors, and what every server begins as (`tests.support.stack.py`): each run makes its own folders,
and its servers take free ports. Half of the tests wait for what others do, so there is one run more than processors; on
one processor they run one after the other. Exit code 1 if any run fails, or collects nothing.
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
#: What the processes of the tests are made of.
PACKAGES: Final = ("client", "deploy", "services", "shared", "tests")
#: Folders and modules below the tests' own, those first that take longest: each run that is over lets the next begin,
#: and the last ones are short. What shares a running exchange stands together: each run starts its own. A module that
#: is named is taken out of the run of its folder.
NAMED: Final = (
    ("console",),
    # What is counted last stands on an exchange whose background work has settled.
    ("journeys", "benchmarks/test_counters_running.py"),
    ("failures",),
    ("services", "conformance"),
    # These start an exchange of their own, whatever stands beside them.
    ("journeys/test_holds.py", "acceptance/test_demonstration.py"),
    ("simulation", "architecture", "client"),
    ("deploy", "support"),
    ("acceptance", "contracts"),
    ("shared/runtime",),
)

#: What each run has found, as JUnit writes it; all of them are of the commit that stands beside them.
REPORTS: Final = ROOT / ".state" / "suite"
OF_COMMIT: Final = "commit"
#: Where pytest makes the folders of its tests (`tmp_path`).
OWN_FOLDER: Final = "PYTEST_DEBUG_TEMPROOT"

_saying = Lock()


@dataclass(frozen=True, slots=True)
class Ended:
    """One run of pytest that has ended: exit code, last line, seconds it took, and a line for each test that failed.

    `processor_s`: how long processors worked for it and for what it started, seconds.
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
    if not argv and whole_commit() == commit:  # else they may not be of every test, or of several trees
        (REPORTS / OF_COMMIT).write_text(commit, encoding="utf-8")
    print(f"in all {sum(each.processor_s for each in ended):.0f} s of processors")
    for number, each in enumerate(ended, 1):
        for line in each.failed:
            print(f"shard {number}: {line}")
    return int(any(each.code for each in ended))


def compile_once() -> None:
    """Write the bytecode of our modules: where that is forbidden, each of a thousand processes would make it anew."""
    for package in PACKAGES:
        compileall.compile_dir(ROOT / package, quiet=1)


def begin_reports() -> None:
    """Take away what an earlier run has found."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)


def prepare(folder: str) -> None:
    """Make, once for all runs, what their servers begin as."""
    subprocess.run([sys.executable, "-m", "tests.support.stack", folder], cwd=ROOT, check=True)


def at_once(processors: int) -> int:
    """How many runs so many processors are shared by."""
    return min(AT_ONCE_MAX, processors * 3 // 2)


def chosen_by_shard(tests: str, named: Sequence[Sequence[str]]) -> list[list[str]]:
    """What to tell each run of pytest so that every test below `tests` is run by exactly one of them."""
    chosen = [[f"{tests}/{path}" for path in paths] for paths in named]
    everything = [path for paths in chosen for path in paths]
    shards = [*chosen, [tests]]
    return [[*paths, *(f"--ignore={each}" for each in everything if _is_below(each, paths))] for paths in shards]


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


def run(
    chosen: Sequence[Sequence[str]], *, at_once: int, cwd: Path = ROOT, given: Mapping[str, str] | None = None
) -> list[Ended]:
    """Run pytest once for each, so many at once; each line is told as it comes, with its run's number.

    `given` is laid over the environment. Each has a folder of its own for what tests make: in one that it shares,
    pytest takes away what others are just taking away. It goes with its run, while others compute: gigabytes take long.
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
    # It is interrupted when we end, in whatever way, and then stops its servers.
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
        # Waited for here, since this tells what it used besides; with it, all that it has waited for itself.
        _, status, used = os.wait4(pytest.pid, 0)
        pytest.returncode = os.waitstatus_to_exitcode(status)
    return Ended(pytest.returncode, last, monotonic() - begun, used.ru_utime + used.ru_stime, tuple(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
