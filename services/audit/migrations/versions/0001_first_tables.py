"""The first tables: the runtime's and audit's own, which its service role may only append to."""

from __future__ import annotations

from alembic import op

from services.audit import store
from shared.runtime.database import tables
from shared.runtime.database.isolation import grants, grants_append_only, permitted_table

revision = "0001"
down_revision = None

_OWN = ("entry", "link", "receipted", "reading")


def upgrade() -> None:
    for metadata in (tables.metadata, store.metadata):
        metadata.create_all(op.get_bind(), checkfirst=False)
    statements = permitted_table([("flow", "read", "auditor", "any"), ("entry", "read", "auditor", "any")])
    statements += grants([*tables.metadata.tables, "cursor"], ("sent", "inbox", "pair_sequence", *_OWN, "cursor"))
    statements += grants_append_only(_OWN)
    for statement in statements:
        op.execute(statement)
