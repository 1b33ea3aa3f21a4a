"""Alembic's entry point for every service. The revisions are in the service's own `migrations/versions`."""

from __future__ import annotations

import asyncio

from shared.platform.database.migrate import run_in_alembic

asyncio.run(run_in_alembic())
