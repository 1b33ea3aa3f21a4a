"""What the operator's reconciliations have found, and whose each flow is, to be looked for by party."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0023"
down_revision = "0015"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
