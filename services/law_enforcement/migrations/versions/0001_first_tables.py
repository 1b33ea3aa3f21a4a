"""The tables of every instance and those of agencies, isolated by party, role, action and state."""

from __future__ import annotations

from pathlib import Path

from shared.platform.database.migrate import OF_PARTIES, run_files

revision = "0001"
down_revision = None


def upgrade() -> None:
    from services.law_enforcement.app import FEATURES  # a tool that only looks for revisions needs no service

    own = "features/preservation/schema.sql", "features/received/schema.sql"
    run_files(*OF_PARTIES, *own, Path(__file__).with_suffix(".sql"), *filter(None, (each.schema for each in FEATURES)))
