"""The stream protocol under random faults: every promise is kept, and each removed rule shows.

Many seeds: `python -m tests.simulation.streams SEEDS`. All controls: the same with `--controls`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.streams.controls import CONTROLS, runs_needed
from tests.simulation.streams.run import short_hours, simulate

Record = Callable[[str, object], None]
BLOCKS = [range(first, first + 12) for first in range(0, 48, 12)]
#: Controls that show within this many runs are tested with every change.
SOON_RUNS = 9


@pytest.mark.parametrize("seeds", BLOCKS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_every_promise_is_kept_under_random_faults(seeds: range, record_property: Record) -> None:
    with short_hours():
        broken = {seed: report.violations for seed in seeds if (report := simulate(seed)).violations}
    assert not broken, f"see: python -m tests.simulation.streams 1 {min(broken)}"
    record_property("seeds", len(seeds))


@pytest.mark.parametrize("name", [name for name, control in CONTROLS.items() if control.is_soon])
def test_a_removed_rule_shows(name: str) -> None:
    assert runs_needed(CONTROLS[name], runs_max=SOON_RUNS) is not None


def test_a_seed_runs_again_bit_for_bit() -> None:
    with short_hours():
        assert simulate(4) == simulate(4)
