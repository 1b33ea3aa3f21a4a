"""Fixtures that every folder of tests may ask for: the shared servers, the running exchange. The clock of the test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.support.run_date import move_clock

# Some modules of tests read the time when they are imported.
move_clock()

pytest_plugins = ["tests.support.stack", "tests.support.running"]

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("unclocked", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unclocked")
