"""The origin's tables. Every row has one owning `party`; row-level security compares it with the transaction's scope.

Trust: whoever can write these tables can misstate what this origin filed, not what others received: the
recipients' inboxes and audit's reading of Kafka are kept elsewhere, by other roles.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.runtime.database.tables import WHOLE_ROWS

metadata = sa.MetaData()

referral = sa.Table(
    "referral",
    metadata,
    sa.Column("referral_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("party", sa.Text, nullable=False),
    sa.Column("external_ref", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("exercise", sa.Boolean, nullable=False),
    sa.Column("disposition", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("work_reason", sa.Text),
    sa.Column("facts", JSONB, nullable=False),
    sa.Column("decision", JSONB, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("traceparent", sa.Text),
    sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
    sa.Column("withdrawn_reason", sa.Text),
    sa.UniqueConstraint("party", "external_ref", name="referral_external_ref"),
    sa.CheckConstraint(
        "state IN ('routed', 'unroutable', 'orphaned', 'unknown_code', 'withdrawn')", name="referral_state"
    ),
    sa.CheckConstraint("external_ref ~ '^[A-Za-z0-9][A-Za-z0-9._/-]{0,47}$'", name="referral_external_ref_alphabet"),
    sa.CheckConstraint("octet_length(content) <= 33000", name="referral_content_bound"),
    postgresql_with=WHOLE_ROWS,
)
sa.Index("referral_by_party", referral.c.party, referral.c.referral_id)
sa.Index("referral_work", referral.c.party, referral.c.state, postgresql_where=referral.c.work_reason.isnot(None))

edge = sa.Table(
    "edge",
    metadata,
    sa.Column("message_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("referral_id", UUID(as_uuid=True), nullable=False),
    sa.Column("notice_id", UUID(as_uuid=True), unique=True),
    sa.Column("party", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("rules", sa.ARRAY(sa.Text), nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default="emitted"),
    sa.Column("answer", sa.Text, nullable=False, server_default="none"),
    sa.Column("answer_detail", JSONB),
    sa.Column("answered_at", sa.DateTime(timezone=True)),
    #: The message that took the edge back, one for all edges to a recipient of referrals.
    sa.Column("withdrawal_id", UUID(as_uuid=True)),
    sa.CheckConstraint("state IN ('emitted', 'superseded', 'dropped')", name="edge_state"),
)
sa.Index("edge_of_referral", edge.c.referral_id, edge.c.recipient)

#: Submissions by party and fate: the first side of accounting equation (I). Counted in the intake's transaction.
intake_count = sa.Table(
    "intake_count",
    metadata,
    sa.Column("party", sa.Text, primary_key=True),
    sa.Column("fate", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.CheckConstraint("fate IN ('submitted', 'refused', 'accepted')", name="intake_fate"),
)
