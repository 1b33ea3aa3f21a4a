"""`python -m tests.benchmarks.demo_times OTHER`: the demo of this checkout beside that of another, turn by turn.

OTHER is a checkout in which `make setup` was run. Each round runs both, the other way round each time; medians count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final

from deploy.devstack.settings import inherited_environment

HERE: Final = Path(__file__).parents[2]
ROUNDS: Final = 3
RATIO_MAX: Final = 1.15
DEMO_S_MAX: Final = 900.0

#: Seconds of one demo, by what was timed.
Times = Mapping[str, float]


def main() -> int:
    """Exit code 1 if this checkout's demo takes more than `--at-most` times as long as the other's."""
    options = argparse.ArgumentParser(prog="python -m tests.benchmarks.demo_times", description=__doc__)
    options.add_argument("other", type=Path, metavar="OTHER", help="the checkout to compare with")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is run (default: 3)")
    options.add_argument("--at-most", type=float, default=RATIO_MAX, help="the ratio allowed (default: 1.15)")
    given = options.parse_args()
    for checkout in (HERE, given.other):
        if not (checkout / ".venv" / ".ready").exists():
            options.error(f"{checkout} is not set up: run make setup there")
    ours, theirs = alternated(HERE, given.other.resolve(), rounds=given.rounds, timed=demo_times)
    for name in ours[0]:
        print(f"{name}: {told(name, ours, theirs)}")
    return int(ratio("whole", ours, theirs) > given.at_most)


def alternated(
    here: Path, other: Path, *, rounds: int, timed: Callable[[Path], Times]
) -> tuple[list[Times], list[Times]]:
    """The times of each checkout, one run of each a round: a slow moment of the machine meets both."""
    ours: list[Times] = []
    theirs: list[Times] = []
    for number in range(rounds):
        turns = [(ours, here), (theirs, other)]
        for found, checkout in turns[::-1] if number % 2 else turns:
            found.append(timed(checkout))
            print(f"round {number + 1}, {checkout.name}: {dict(found[-1])}", flush=True)
    return ours, theirs


def demo_times(checkout: Path) -> Times:
    """Run the demo of a checkout as `make demo` does, not on a terminal, in an empty folder."""
    environment = {name: value for name, value in inherited_environment().items() if not name.startswith("CAUSEWAY_")}
    with tempfile.TemporaryDirectory(prefix="causeway-demo-") as folder:
        report, state = Path(folder) / "report.json", Path(folder) / "demo"
        command = [str(checkout / ".venv/bin/causeway"), "demo", "--json", str(report), "--state", str(state)]
        begun = monotonic()
        subprocess.run(
            command,
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=DEMO_S_MAX,
            check=True,
        )
        whole_s = monotonic() - begun
        said = json.loads(report.read_text())["seconds"]
    return {"whole": round(whole_s, 1)} | {name: float(said[name]) for name in ("first_answer", "end")}


def ratio(name: str, ours: Sequence[Times], theirs: Sequence[Times]) -> float:
    """The median of ours by the median of theirs."""
    return median(each[name] for each in ours) / median(each[name] for each in theirs)


def told(name: str, ours: Sequence[Times], theirs: Sequence[Times]) -> str:
    here, there = (median(each[name] for each in times) for times in (ours, theirs))
    return f"{here:.1f} s here, {there:.1f} s there, ratio {ratio(name, ours, theirs):.3f} (medians of {len(ours)})"


if __name__ == "__main__":
    sys.exit(main())
