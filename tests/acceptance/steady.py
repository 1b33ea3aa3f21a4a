"""`python -m tests.acceptance.steady [--rounds 10]`: run every test marked `timing` repeatedly while a core is busy.

Rounds that passed at this commit are not run again, so an interrupted run can continue.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Final

from tests.acceptance.__main__ import read_report
from tests.acceptance.result_cache import STATE, Kept, code_commit

ROOT: Final = Path(__file__).parents[2]
#: The burner ends when its parent process ends for any reason.
BURNER: Final = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
_NAME: Final = "steady rounds"


def main() -> int:
    """Return exit code 0 if every test passed in every round, else 1."""
    options = argparse.ArgumentParser(prog="python -m tests.acceptance.steady", description=__doc__)
    options.add_argument("--rounds", type=int, default=10, help="how often each test is run (default: 10)")
    options.add_argument("--at", nargs="*", default=["tests"], help="where tests are looked for (default: everywhere)")
    given = options.parse_args()
    STATE.mkdir(parents=True, exist_ok=True)
    everywhere, kept = given.at == ["tests"], Kept(code_commit())
    done: list[int] = (everywhere and kept.get(_NAME)) or []
    for number in range(len(done), given.rounds):
        begun = monotonic()
        count, failed = one_round(given.at, STATE / "steady.xml")
        print(f"round {number + 1}: {count} tests, {len(failed)} failed, {monotonic() - begun:.0f} s", flush=True)
        if failed or not count:
            print(*failed, sep="\n")
            return 1
        done.append(count)
        if everywhere:
            kept.keep(_NAME, done)
    print(
        f"steady: {done[-1]} tests, {given.rounds} times each beside a busy core, {sum(done):,} passed and none failed"
    )
    return 0


def one_round(at: list[str], report: Path) -> tuple[int, list[str]]:
    """Run every marked test once next to a burner. Return the number of tests, and those that did not pass."""
    report.unlink(missing_ok=True)
    # The test run is killed when this process ends for any reason. The burner ends without help.
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "pytest", "-q", "-m", "timing"]
    command += [f"--junitxml={report}", *at]
    with a_busy_core():
        subprocess.run(command, cwd=ROOT, check=False)
    tested = read_report(report.read_text(encoding="utf-8")) if report.exists() else {}
    return sum(each.cases for each in tested.values()), [name for name, each in tested.items() if each.failed]


@contextmanager
def a_busy_core() -> Iterator[None]:
    """Burn one core in a process within this context."""
    with subprocess.Popen([sys.executable, "-c", BURNER]) as burner:
        try:
            yield
            assert burner.poll() is None, "the burner has ended"
        finally:
            burner.kill()


if __name__ == "__main__":
    sys.exit(main())
