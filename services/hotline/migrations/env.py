"""Alembic's entry point for this service."""

from __future__ import annotations

import asyncio

from shared.runtime.migrate import run_in_alembic

asyncio.run(run_in_alembic())
