"""The first tables: the runtime's, the origin's and offers, isolated by party, role, action and state."""

from __future__ import annotations

from alembic import op

from services.hotline import store
from shared.party.origin.store import tables as origin
from shared.runtime.database import tables
from shared.runtime.database.isolation import grants, isolate, permitted_table, readable_by_accountant

revision = "0001"
down_revision = None

# Written out here on purpose: the database's copy of the authorisation table must not be derived from the other.
_ALL = "routed unroutable orphaned unknown_code withdrawn"
_OPEN = "routed unroutable orphaned unknown_code"
_PERMITTED = [
    ("referral", "submit", "analyst machine", _OPEN),
    ("referral", "read", "analyst machine viewer", _ALL),
    ("referral", "withdraw", "analyst machine", _OPEN),
    ("referral", "apply", "service", _ALL),
    ("offer", "read", "analyst machine viewer", "offered withdrawn withdrawal_acknowledged"),
    ("offer", "acknowledge_withdrawal", "analyst machine", "withdrawn"),
    ("offer", "apply", "service", "offered withdrawn withdrawal_acknowledged"),
]
_PARTY_TABLES = ("referral", "edge", "offer")


def upgrade() -> None:
    for metadata in (tables.metadata, origin.metadata, store.metadata):
        metadata.create_all(op.get_bind(), checkfirst=False)
    internal = [*tables.metadata.tables, "intake_count"]
    statements = permitted_table(_PERMITTED)
    statements += isolate("referral", "referral")
    statements += isolate("edge", "referral", state_column=None)
    statements += isolate("offer", "offer")
    statements += grants([*internal, *_PARTY_TABLES], ("sent", "inbox", "pair_sequence", "intake_count"))
    statements += readable_by_accountant("referral", "referral_id, party, disposition, state, work_reason")
    statements += readable_by_accountant(
        "edge", "message_id, referral_id, notice_id, party, recipient, purpose, state, answer"
    )
    statements += readable_by_accountant("offer", "referral_id, party, state")
    for statement in statements:
        op.execute(statement)
