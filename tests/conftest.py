"""Fixtures that every folder of tests may ask for: the shared servers, and the shared running exchange."""

from __future__ import annotations

pytest_plugins = ["tests.support.stack", "tests.support.running"]
