"""Fixtures that every folder of tests may ask for, the shared servers and the running exchange; and no clock."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.stack", "tests.support.running"]

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("unclocked", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unclocked")
