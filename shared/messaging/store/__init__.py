"""The tables of messaging in PostgreSQL, within one transaction (`shared/messaging/schema.sql`)."""

from __future__ import annotations

from shared.messaging.store.exceptions import ExceptionTables
from shared.messaging.store.incoming import IncomingTables
from shared.messaging.store.outgoing import OutgoingTables, SegmentTables
from shared.messaging.store.resync import ResyncTables


class PostgresMessagingTx(OutgoingTables, SegmentTables, IncomingTables, ExceptionTables, ResyncTables):
    """The tables within one open transaction, for one task. Methods raise only `Unavailable`.

    `load_…` with `lock=True` locks the rows until the commit, in the order of pair and lane.
    """
