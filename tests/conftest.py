"""Fixtures that every folder of tests may ask for: the shared servers, the running exchange. The clock of the test."""

from __future__ import annotations

import gc

from hypothesis import HealthCheck, settings

from tests.support.run_date import move_clock

# Some modules of tests read the time when they are imported.
move_clock()

pytest_plugins = ["tests.support.stack", "tests.support.running"]

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("unclocked", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unclocked")


def pytest_collection_finish() -> None:
    """Let the collector skip the imported modules from here on, and look less often: a tenth of a run's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
