"""When a session's person last proved who they are, and of whom an auditor sees anything."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0012"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
