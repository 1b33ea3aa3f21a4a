"""Draw mutants of `shared.messaging`, run its tests against each, and name those that survive.

`python -m tests.simulation.mutants --seed N --count 60`. A mutant meets the unit tests, then the directed states, then
seeds. It lies in a copy of the room in a temporary folder; the tree itself never changes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.simulation.mutants.sites import ROOM, ROOT, Mutant, find_mutants

UNIT = ("-m", "pytest", "-q", "-x", "--no-header")
STAGES = (
    ("unit", (*UNIT, "tests/shared/messaging")),
    ("directed", (*UNIT, "tests/simulation/streams/test_directed.py")),
)
#: A fault that makes a test endless is found, too.
STAGE_S = 300
#: Folders that a mutant's tests need.
COPIED = ("shared", "tests/shared/messaging", "tests/simulation/streams", "tests/support")


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    options.add_argument("--seed", type=int, default=0, help="the seed of the draw")
    options.add_argument("--count", type=int, default=60, help="how many mutants")
    options.add_argument("--runs", type=int, default=200, help="runs of the simulation against each mutant")
    options.add_argument("--share", type=int, default=100, help="how many in a hundred must be killed")
    options.add_argument("--module", help="draw from this module alone, for instance acks")
    given = options.parse_args()
    mutants = [
        mutant
        for path in sorted(ROOM.glob("*.py"))
        if given.module in (None, path.stem)
        for mutant in find_mutants(path)
    ]
    drawn = Random(given.seed).sample(mutants, min(given.count, len(mutants)))
    survivors = []
    with TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        for mutant in drawn:
            stage = find_stage(Path(folder), mutant, given.runs)
            print(f"{stage or 'SURVIVED':10} {mutant}", flush=True)
            if stage is None:
                survivors.append(mutant)
    killed = len(drawn) - len(survivors)
    print(f"killed {killed} of {len(drawn)} ({100 * killed // max(1, len(drawn))} %), of {len(mutants)} sites")
    return int(100 * killed < given.share * len(drawn))


def copy_tree(folder: Path) -> None:
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in ("tests", "tests/simulation"):
        if (ROOT / package / "__init__.py").exists():
            shutil.copy(ROOT / package / "__init__.py", folder / package)


def find_stage(folder: Path, mutant: Mutant, runs: int) -> str | None:
    """Return the stage that finds the mutant, or None."""
    target = folder / mutant.path.relative_to(ROOT)
    before = target.read_text(encoding="utf-8")
    target.write_text(mutant.text, encoding="utf-8")
    try:
        stages = (*STAGES, ("seeds", ("-m", "tests.simulation.streams", str(runs), "--until-broken")))
        for name, arguments in stages:
            if not passes(folder, arguments):
                return name
        return None
    finally:
        target.write_text(before, encoding="utf-8")


def passes(folder: Path, arguments: tuple[str, ...]) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-B", *arguments], cwd=folder, capture_output=True, timeout=STAGE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
