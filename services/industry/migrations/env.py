"""Alembic's entry point for this service."""

from __future__ import annotations

import asyncio

from shared.runtime.database.migrate import run_in_alembic

asyncio.run(run_in_alembic())
