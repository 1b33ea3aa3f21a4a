"""The tables of messaging in PostgreSQL, within one transaction (`shared/messaging/schema.sql`)."""

from __future__ import annotations

from shared.messaging.store.exceptions import ExceptionTables
from shared.messaging.store.incoming import IncomingTables
from shared.messaging.store.outgoing import OutgoingTables
from shared.messaging.store.resync import ResyncTables
from shared.messaging.store.segments import SegmentTables


class PostgresMessagingTx(OutgoingTables, SegmentTables, IncomingTables, ExceptionTables, ResyncTables):
    """`MessagingTx` over one open transaction: made for it, and used by one task."""
