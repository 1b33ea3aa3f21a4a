"""The tables of every instance, and audit's own tables, to which the service's role can only append."""

from __future__ import annotations

from pathlib import Path

from shared.platform.database.migrate import OF_ALL, run_files

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_files(*OF_ALL, Path(__file__).with_suffix(".sql"))
