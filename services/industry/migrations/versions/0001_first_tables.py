"""The tables of every instance, of origins and of providers, isolated by party, role, action and state."""

from __future__ import annotations

from pathlib import Path

from shared.runtime.database.migrate import run_files

revision = "0001"
down_revision = None

FILES = (
    "messaging/schema.sql",
    "runtime/database/schema.sql",
    "runtime/delivery/tracks.sql",
    "party/schema.sql",
    "runtime/timers/schema.sql",
    "runtime/courier/schema.sql",
    "party/questions/schema.sql",
    "party/preservation/schema.sql",
    "party/origin/schema.sql",
    "party/recipient/schema.sql",
)


def upgrade() -> None:
    run_files(*FILES, Path(__file__).with_suffix(".sql"))
