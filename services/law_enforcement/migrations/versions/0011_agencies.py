"""Which officer of an agency has a case, and cases that go from one agency to another."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0007"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
