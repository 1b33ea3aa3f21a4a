"""The tables of messaging in PostgreSQL, within one transaction (`shared/messaging/schema.sql`)."""

from __future__ import annotations

from shared.messaging.store.exceptions import ExceptionTables
from shared.messaging.store.incoming import IncomingTables
from shared.messaging.store.outgoing import OutgoingTables
from shared.messaging.store.resync import ResyncTables
from shared.messaging.store.segments import SegmentTables


class PostgresMessagingTx(OutgoingTables, SegmentTables, IncomingTables, ExceptionTables, ResyncTables):
    """The tables within one open transaction: made for it, and used by one task. Nothing raises but `Unavailable`.

    `load_…` with `lock=True` locks the rows until the commit, in the order of pair and lane.
    """
