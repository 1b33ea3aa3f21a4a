"""The stream protocol over PostgreSQL: a seed keeps every promise, and its counts equal those in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.simulation.streams.run import Report, short_hours, simulate
from tests.simulation.streams.sql import simulate_seeds, sql_endpoints

#: Short ones with restores and erasures; for more run `python -m tests.simulation.streams --sql SEEDS`.
SEEDS = (4, 10)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Report]:
    found: dict[int, Report] = {}
    with sql_endpoints(Path(tmp_path_factory.mktemp("streams"))) as endpoints:
        asyncio.run(simulate_seeds(endpoints, SEEDS, lambda report: found.update({report.seed: report})))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_over_postgresql_ends_as_in_memory(reports: dict[int, Report], seed: int) -> None:
    with short_hours():
        expected = simulate(seed)
    assert reports[seed].violations == []
    assert reports[seed].count == expected.count
