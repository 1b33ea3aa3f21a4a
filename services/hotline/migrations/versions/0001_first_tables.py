"""The tables of every instance, of an origin and of a hotline, isolated by party, role, action and state."""

from __future__ import annotations

from pathlib import Path

from shared.platform.database.migrate import OF_PARTIES, run_files

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_files(*OF_PARTIES, "party/origin/schema.sql", "party/recipient/schema.sql", Path(__file__).with_suffix(".sql"))
