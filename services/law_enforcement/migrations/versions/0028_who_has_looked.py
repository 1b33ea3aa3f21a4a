"""Who has opened a record, for the people of its party, by what they call one another."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0028"
down_revision = "0001"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
