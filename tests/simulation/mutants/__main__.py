"""Draw mutants of `shared.messaging`, run its tests against each, and name those that survive.

`python -m tests.simulation.mutants --seed N --count 60`. A mutant meets the unit tests, then the directed states, then
seeds. A mutant of the tables meets the tests of PostgreSQL, one of Kafka's files those of Kafka. It is made in a copy
of the package in a temporary folder; the tree itself never changes. First, the package without a fault must pass every
test.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.simulation.mutants.equivalent import EQUIVALENT
from tests.simulation.mutants.sites import ROOM, ROOT, Mutant, draw

UNIT = ("-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider")
#: Modules whose own tests are elsewhere; those of the others have their names.
OWN = {"tracks": "tests/shared/delivery/test_track_keys.py"}
KAFKA = "tests/shared/messaging/kafka"
#: The heads that the log shows are tested without a broker.
ARRIVAL = "tests/shared/messaging/test_arrival.py"
SQL = tuple(f"tests/shared/messaging/{name}.py" for name in ("test_postgres_store", "test_kept_plans"))
STORES = ("tests/conformance/test_messaging_store.py", "tests/conformance/test_messaging_rows.py", *SQL)
#: A fault that makes a test endless is found, too. The limit is by work, so that a busy machine finds no false one.
STAGE_CPU_S, STAGE_S = 240, 1800


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    options.add_argument("--seed", type=int, default=0, help="the seed of the draw")
    options.add_argument("--count", type=int, default=60, help="how many mutants")
    options.add_argument("--runs", type=int, default=200, help="runs of the simulation against each mutant")
    options.add_argument("--share", type=int, default=100, help="how many in a hundred must be killed")
    options.add_argument("--module", help="draw from this module alone, for instance acks")
    given = options.parse_args()
    drawn = draw(given.seed, given.count, given.module)
    killed, equal, survived = 0, 0, 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        copy_tree(folder)
        # An unchanged copy must survive. If a stage fails for it, the stage itself is broken.
        for mutant in {list_stages(each.path, 0)[-1]: each for each in drawn}.values():
            unchanged = replace(mutant, text=mutant.path.read_text(encoding="utf-8"))
            if stage := find_stage(folder, unchanged, given.runs):
                print(f"{stage} fails without a fault", flush=True)
                return 2
        for mutant in drawn:
            stage = find_stage(folder, mutant, given.runs)
            why = EQUIVALENT.get((mutant.source, mutant.change), "")
            killed, equal = killed + (stage is not None), equal + (stage is None and bool(why))
            survived += stage is None and not why
            print(f"{stage or ('equivalent' if why else 'SURVIVED'):10} {mutant} {'' if stage else why}", flush=True)
    print(f"killed {killed} of {len(drawn)} ({100 * killed // max(1, len(drawn))} %), {equal} equivalent")
    return int(survived > 0 or 100 * killed < given.share * len(drawn))


def copy_tree(folder: Path) -> None:
    for name in ("shared", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def list_stages(path: Path, runs: int) -> list[tuple[str, tuple[str, ...]]]:
    """Return the tests that a mutant of this module meets, in order."""
    module = path.relative_to(ROOM).as_posix()
    if module.startswith("kafka/"):
        return [("own", (*UNIT, ARRIVAL)), ("kafka", (*UNIT, KAFKA))]
    if module.startswith(("store/", "schema")):
        return [("stores", (*UNIT, *STORES)), ("unit", (*UNIT, "tests/shared/messaging", f"--ignore={KAFKA}"))]
    own = ROOT / OWN.get(path.stem, f"tests/shared/messaging/test_{path.stem}.py")
    return [
        *([("own", (*UNIT, str(own.relative_to(ROOT))))] if own.exists() else []),
        ("unit", (*UNIT, "tests/shared/messaging", *(f"--ignore={name}" for name in (KAFKA, *SQL)))),
        ("directed", (*UNIT, "tests/simulation/streams/test_directed.py")),
        ("seeds", ("-m", "tests.simulation.streams", str(runs), "--until-broken")),
    ]


def find_stage(folder: Path, mutant: Mutant, runs: int) -> str | None:
    """Return the stage that finds the mutant, or None."""
    target = folder / mutant.path.relative_to(ROOT)
    before = target.read_text(encoding="utf-8")
    target.write_text(mutant.text, encoding="utf-8")
    try:
        for name, arguments in list_stages(mutant.path, runs):
            if not passes(folder, arguments):
                return name
        return None
    finally:
        target.write_text(before, encoding="utf-8")


def passes(folder: Path, arguments: tuple[str, ...]) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-B", *arguments],
            cwd=folder,
            capture_output=True,
            timeout=STAGE_S,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (STAGE_CPU_S, STAGE_CPU_S)),
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
