"""What has ended for good outlives a restore: keys, roles and addresses go to the journal of erasures too."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0030"
down_revision = "0001"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
