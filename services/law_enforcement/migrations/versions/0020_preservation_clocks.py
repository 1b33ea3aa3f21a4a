"""What a preservation's clocks are counted by, and what its tokens end with."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0017"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
