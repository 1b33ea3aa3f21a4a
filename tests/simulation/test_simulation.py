"""The delivery contract under random faults; a failing seed runs again bit for bit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.simulation.bugs import MISCOUNTS
from tests.simulation.loop import VirtualLoop, run_virtual
from tests.simulation.progress import Progress
from tests.simulation.rules import CONTROLS, SOON
from tests.simulation.run import Report, seeds_needed, simulate

Record = Callable[[str, object], None]

ROOT = Path(__file__).parents[2]
#: Looked at with every change; ten thousand are `make acceptance-long LINE=the_simulation`.
SEEDS = 20
#: Seeds within which each control that has a test must be found; all are `python -m tests.simulation --controls`.
SEEDS_PER_CONTROL = 60
#: The search for a control that few seeds show begins shortly before one of them; every other one with the first seed.
BEGUN_AT = {
    "2 a reused number is answered": 176,
    "9 a withdrawal ends what waits": 60,
    "11 another database has other epochs": 4,
    "11 a mark tells what is forgotten": 28,
    "14 no revision is raised by itself": 190,
    "14 acts go on at the end of their track": 52,
}
BLOCKS = [range(start, start + 10) for start in range(0, SEEDS, 10)]


@cache
def honest(seed: int) -> Report:
    """The seed's run without a bug, once for all that look at it."""
    return simulate(seed)


@pytest.mark.parametrize("seeds", BLOCKS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_every_promise_is_kept_whatever_fails(seeds: range, record_property: Record) -> None:
    broken = {seed: report.violations for seed in seeds if (report := honest(seed)).violations}
    assert not broken, f"see: python -m tests.simulation --seeds 1 --first {min(broken)}"
    record_property("seeds", len(seeds))


@pytest.mark.parametrize("name", SOON)
def test_what_breaks_a_rule_is_found(name: str, record_property: Record) -> None:
    assert seeds_needed(name, seeds_max=SEEDS_PER_CONTROL, first=BEGUN_AT.get(name, 0)) is not None
    record_property("controls found", 1)


@pytest.mark.parametrize("name", MISCOUNTS)
def test_what_is_counted_wrongly_the_accounts_alone_find(name: str) -> None:
    needed = seeds_needed(name, seeds_max=SEEDS_PER_CONTROL)
    assert needed is not None
    found = simulate(needed - 1, CONTROLS[name]).violations
    assert {each.partition(":")[0] for each in found} <= {"I", "III"}


def test_a_run_of_many_seeds_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = Progress(tmp_path / "noted.json")
    assert first.begin(7) == 0
    first.add({"messages": 3}, failed=False)
    first.note()
    assert Progress(tmp_path / "noted.json").begin(7) == 1
    assert Progress(tmp_path / "noted.json").begin(8) == 0


def test_the_runs_are_worth_something() -> None:
    reports = [honest(seed) for seed in range(SEEDS)]
    totals = {name: sum(report.counts[name] for report in reports) for name in reports[0].counts}
    assert totals["offers"] > 150
    assert min(totals["answers"], totals["refused"]) > 5
    assert totals["awaited"] > 5
    assert totals["parked"] > 0
    assert sum(report.events for report in reports) > 10_000


@pytest.mark.parametrize("seed", [3, 19, 34])
def test_the_same_seed_gives_the_same_history(seed: int) -> None:
    assert simulate(seed) == honest(seed)


def test_another_seed_gives_another_history() -> None:
    assert honest(1).history != honest(2).history


def test_the_history_does_not_depend_on_the_process() -> None:
    """Another process has another hash seed, and other addresses of everything."""
    here = [honest(seed).history for seed in (5, 6)]
    program = "from tests.simulation.run import simulate; print(*(simulate(seed).history for seed in (5, 6)))"
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=180,
        )
        assert there.stdout.split() == here


@pytest.mark.timing
def test_virtual_time_takes_no_time_and_keeps_the_order() -> None:
    loop = VirtualLoop()
    woken: list[str] = []

    async def sleep(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(name)

    async def main() -> None:
        await asyncio.gather(sleep("a day", 86_400), sleep("a second", 1), sleep("another second", 1))

    run_virtual(loop, main())
    assert woken == ["a second", "another second", "a day"]
    assert loop.virtual_s == 86_400


def test_a_wait_that_nobody_will_end_is_noticed() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nobody"):
        run_virtual(VirtualLoop(), main())
