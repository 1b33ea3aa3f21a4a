"""The tables every instance has: outbox, sent, inbox, quarantine, documents, data keys.

Trust: whoever can write these tables can suppress or repeat this instance's own messages, not forge
another instance's; audit's reading of Kafka and the other side's tables show either (`causeway audit reconcile`).
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

metadata = sa.MetaData()

#: For tables whose rows hold ciphertext: up to a page they stay whole. Trying to compress it would cost CPU time only.
WHOLE_ROWS: Final = {"toast_tuple_target": 8160}

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("message_id", UUID(as_uuid=True), nullable=False, unique=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("recipient_instance", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("exercise", sa.Boolean, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("decided_at", sa.DateTime(timezone=True)),
    sa.Column("traceparent", sa.Text),
    sa.Column("sequence", sa.BigInteger),
    sa.Column("key_id", sa.Text),
    sa.Column("batch_root", sa.LargeBinary),
    sa.Column("batch_signature", sa.LargeBinary),
    sa.Column("batch_index", sa.Integer),
    sa.Column("batch_size", sa.Integer),
    sa.Column("batch_path", sa.LargeBinary),
    sa.Column("digest", sa.Text),
    sa.Column("sent_at", sa.DateTime(timezone=True)),
    sa.CheckConstraint("octet_length(body) <= 65536", name="outbox_body_bound"),
    # Room in each page, so that noting a row as sent touches no index (no index names `sent_at`).
    postgresql_with={"fillfactor": 70},
)
# A row changes twice (stamped, sent) while its body stays: kept out of line, the body is not written again.
_BODY_APART = "ALTER TABLE outbox ALTER COLUMN body SET STORAGE EXTERNAL"
sa.event.listen(outbox, "after_create", sa.DDL(_BODY_APART))  # type: ignore[no-untyped-call]
sa.Index("outbox_unstamped", outbox.c.id, postgresql_where=outbox.c.sequence.is_(None))
sa.Index("outbox_subject", outbox.c.subject, outbox.c.recipient, outbox.c.id)

sent = sa.Table(
    "sent",
    metadata,
    sa.Column("message_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("recipient_instance", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("code", sa.Text),
    sa.Column("receipt_id", UUID(as_uuid=True), nullable=False),
    sa.Column("receipted_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.CheckConstraint("outcome IN ('applied', 'refused', 'parked')", name="sent_outcome"),
)

pair_sequence = sa.Table(
    "pair_sequence",
    metadata,
    sa.Column("sender", sa.Text, primary_key=True),
    sa.Column("recipient", sa.Text, primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
)

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("message_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False, server_default="applied"),
    sa.Column("code", sa.Text),
    sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.UniqueConstraint("sender", "recipient", "sequence", name="inbox_pair_sequence"),
    sa.CheckConstraint("outcome IN ('applied', 'refused', 'parked')", name="inbox_outcome"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("offset", sa.BigInteger, primary_key=True),
    # Offsets begin again when a topic is made again; the broker's time tells the records apart.
    sa.Column("broker_time", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("length_bytes", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("sender", sa.Text),
    sa.Column("message_id", UUID(as_uuid=True)),
    sa.Column("body", sa.LargeBinary),
    sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("replayed_at", sa.DateTime(timezone=True)),
)

document = sa.Table(
    "document",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("active_from", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("kind IN ('directory', 'policy')", name="document_kind"),
)

data_key = sa.Table(
    "data_key",
    metadata,
    sa.Column("subject", UUID(as_uuid=True), primary_key=True),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("key_hash", sa.LargeBinary, primary_key=True),
    sa.Column("party", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("revoked_at", sa.DateTime(timezone=True)),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("party", sa.Text, primary_key=True),
    sa.Column("key_hash", sa.LargeBinary, primary_key=True),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("answer", sa.LargeBinary),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)
