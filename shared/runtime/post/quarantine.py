"""Quarantine: what was parked and why, and judging it again once the cause is mended.

A record that is judged again goes through the same consumer as any other. It is applied after whatever its subject has
had since: the service's state machine says whether that is still right. What its sender has taken back is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Record, record_digest, told_digest
from shared.kernel.clock import Clock
from shared.kernel.errors import not_found
from shared.runtime.database.transactions import Database
from shared.runtime.post.consumer import Consumer
from shared.runtime.post.kept_record import decrypt_record
from shared.runtime.post.parking import QUARANTINE
from shared.runtime.post.ports import Coordinate, InboxStore, RecordSource

_PAGE = """
SELECT topic, partition, "offset", count, length_bytes, digest, reason, sender, message_id, parked_at FROM quarantine
WHERE replayed_at IS NULL AND ($1::text IS NULL OR reason = $1) ORDER BY parked_at, topic, partition, "offset" LIMIT $2
"""
#: Of a topic that was made again several records may wait at one offset: the newest is taken first.
_AT = """
SELECT same, count, broker_time, digest, body, message_id FROM quarantine
WHERE topic = $1 AND partition = $2 AND "offset" = $3 AND replayed_at IS NULL ORDER BY broker_time DESC
"""
_REPLAYED = """
UPDATE quarantine SET replayed_at = $3, body = NULL WHERE same = $1 AND count = $2 RETURNING same
"""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that waits in quarantine, or the first of `count` that are alike. `digest` is what audit was told."""

    topic: str
    partition: int
    offset: int
    count: int
    length_bytes: int
    digest: str
    reason: str
    sender: str | None
    message_id: UUID | None
    parked_at: datetime


class Replayed(StrEnum):
    """What a replay did. `asked`: nobody here holds the record any more, its sender is asked for the message."""

    DONE = "done"
    PARKED_AGAIN = "parked_again"
    ASKED = "asked"
    GONE = "gone"


class Quarantine:
    """The quarantine of one instance. `inbox` is the store that `consumer` applies to."""

    def __init__(
        self,
        database: Database,
        *,
        consumer: Consumer,
        inbox: InboxStore,
        reader: RecordSource,
        kek: KeyEncryptionKey,
        clock: Clock,
    ) -> None:
        """`consumer` should be one without patience: what must wait is left for later."""
        self._database = database
        self._consumer = consumer
        self._inbox = inbox
        self._reader = reader
        self._kek = kek
        self._clock = clock

    async def page(self, *, reason: str | None = None, limit: int = 100) -> list[Quarantined]:
        """What waits, oldest first; only what was parked for `reason`, if one is given."""
        async with self._database.transaction() as session:
            return [Quarantined(**row) for row in await session.driver.fetch(_PAGE, reason, limit)]

    async def replay(self, where: Coordinate, offset: int) -> Replayed:
        """Hand the record at these coordinates to the consumer again.

        `done` means that it was judged anew and is not parked: applied, refused, or known as applied before; its
        sender is told which. Raises `Refused("not_found")` if nothing waits there, `Unavailable` if it must wait on.
        """
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_AT, *where, offset)
        if not rows:
            raise not_found()
        row, record = await self._held(where, offset, rows)
        if record is None:
            return await self._ask([row["message_id"] for row in rows if row["message_id"] is not None])
        await self._consumer.consume([record])
        # A row counts when its record is parked again. A crash before this leaves it in the list, to be replayed again.
        async with self._database.transaction() as session:
            ended = await session.driver.fetchval(_REPLAYED, row["same"], row["count"], self._clock.now())
        return Replayed.PARKED_AGAIN if ended is None else Replayed.DONE

    async def _held(
        self, where: Coordinate, offset: int, rows: Sequence[asyncpg.Record]
    ) -> tuple[asyncpg.Record, Record | None]:
        """The newest record that waits there and can be had. Retention, or a topic made again, may have taken it."""
        held = None if rows[0]["body"] is not None else await self._reader.read_at(where, offset)
        for row in rows:
            if row["body"] is not None:
                topic, partition = where
                record = decrypt_record(
                    row["body"], self._kek, topic=topic, partition=partition, offset=offset, table=QUARANTINE
                )
                return row, record
            if held and held.broker_time == row["broker_time"] and _is_named(held, row["digest"]):
                return row, held
        return rows[0], None

    async def _ask(self, message_ids: Sequence[UUID]) -> Replayed:
        if not message_ids:
            return Replayed.GONE
        async with self._inbox.unit() as unit:
            await unit.taken.ask(message_ids)
        return Replayed.ASKED


def _is_named(record: Record, digest: str) -> bool:
    """Whether the record was told of by this digest, maybe by a release that could not read its headers yet."""
    return digest in (told_digest(record), record_digest(record))
