"""What every instance has, and audit's own, which its service role may only append to."""

from __future__ import annotations

from pathlib import Path

from shared.runtime.database.migrate import OF_ALL, run_files

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_files(*OF_ALL, Path(__file__).with_suffix(".sql"))
