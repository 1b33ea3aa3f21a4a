"""The first tables: the runtime's and cases, isolated by party, role, action and state."""

from __future__ import annotations

from alembic import op

from services.law_enforcement import store
from shared.runtime.database import tables
from shared.runtime.database.isolation import grants, isolate, permitted_table, readable_by_accountant

revision = "0001"
down_revision = None

# Written out here on purpose: the database's copy of the authorisation table must not be derived from the other.
_ALL = "offered accepted declined ongoing closed withdrawn withdrawal_acknowledged"
_PERMITTED = [
    ("case", "read", "analyst machine viewer", _ALL),
    ("case", "accept", "analyst machine", "offered"),
    ("case", "decline", "analyst machine", "offered"),
    ("case", "report_outcome", "analyst machine", "accepted ongoing"),
    ("case", "acknowledge_withdrawal", "analyst machine", "withdrawn"),
    ("case", "apply", "service", _ALL),
]
_PARTY_TABLES = ("case_file", "case_edge")


def upgrade() -> None:
    for metadata in (tables.metadata, store.metadata):
        metadata.create_all(op.get_bind(), checkfirst=False)
    statements = permitted_table(_PERMITTED)
    statements += isolate("case_file", "case")
    statements += isolate("case_edge", "case", state_column=None)
    statements += grants([*tables.metadata.tables, *_PARTY_TABLES], ("sent", "inbox", "pair_sequence"))
    statements += readable_by_accountant("case_file", "referral_id, party, state")
    statements += readable_by_accountant("case_edge", "referral_id, party, purpose")
    for statement in statements:
        op.execute(statement)
