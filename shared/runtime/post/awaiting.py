"""What waits for a document, or for the act before it: whole, encrypted, and bounded. It holds up nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Record
from shared.exchange.needs import Need
from shared.runtime.database.columns import Columns, insert
from shared.runtime.post.arrivals import Awaited
from shared.runtime.post.kept_record import decrypt_record, encrypt_record
from shared.runtime.watch.logs import log

#: The table, and what a record that is kept in it is bound to.
AWAITING: Final = "awaiting"
#: Whether an instance has by now what something lacks.
Meets = Callable[[Need], bool]


class Room(NamedTuple):
    """How much may wait at a time: messages, and bytes of their values."""

    rows_max: int = 10_000
    bytes_max: int = 64 * 1024 * 1024


class _Row(NamedTuple):
    message_id: UUID
    sender: str
    recipient: str
    epoch: UUID
    sequence: int
    need: str
    topic: str
    partition: int
    offset: int
    length_bytes: int


_ROW = Columns.of(_Row, record="bytea")
_KEEP = insert(AWAITING, _ROW, end="ON CONFLICT (message_id) DO NOTHING")
_TAKEN: Final = "SELECT count(*) AS rows, coalesce(sum(length_bytes), 0) AS bytes FROM awaiting"
#: Whether anything waits.
ANY: Final = "SELECT FROM awaiting LIMIT 1"
_NEEDS: Final = "SELECT DISTINCT need FROM awaiting"
_DUE: Final = """
SELECT message_id, topic, partition, "offset", record FROM awaiting WHERE due OR need = ANY($1::text[])
ORDER BY sender, recipient, epoch, sequence LIMIT $2
"""
#: Lets what waits go, these or all, and has it asked for: its sender holds it still.
ASK_FOR: Final = """
WITH let_go AS (DELETE FROM awaiting WHERE $1::uuid[] IS NULL OR message_id = ANY($1::uuid[]) RETURNING message_id)
UPDATE inbox AS i SET outcome = 'deferred', asked = true, wanted_at = NULL
FROM let_go WHERE i.message_id = let_go.message_id AND i.outcome = 'waiting'
"""
#: What found no room here is asked for.
_RELEASE: Final = """
WITH here AS (UPDATE awaiting SET due = true WHERE need = ANY($1::text[]))
UPDATE inbox SET asked = true WHERE need = ANY($1::text[]) AND outcome = 'deferred'
"""


async def keep_waiting(
    driver: asyncpg.Connection, waiting: Sequence[Awaited], *, kek: KeyEncryptionKey, room: Room
) -> frozenset[UUID]:
    """See `Unit.keep_waiting`. Two processes at once may pass the bound by what each of them brings."""
    taken = await driver.fetchrow(_TAKEN)
    rows_left, bytes_left = room.rows_max - taken["rows"], room.bytes_max - taken["bytes"]
    kept: list[Awaited] = []
    for each in waiting:
        length_bytes = len(each.record.value or b"")
        if rows_left < 1 or bytes_left < length_bytes:
            break
        rows_left, bytes_left = rows_left - 1, bytes_left - length_bytes
        kept.append(each)
    if kept:
        records = [encrypt_record(each.record, kek, table=AWAITING) for each in kept]
        await driver.execute(*_KEEP.bind(rows=_ROW.rows([_row(each) for each in kept], record=records)))
    return frozenset(each.arrival.message_id for each in kept)


async def release(driver: asyncpg.Connection, needs: Sequence[str]) -> None:
    if needs:
        await driver.execute(_RELEASE, list(needs))


async def due(driver: asyncpg.Connection, limit: int, *, kek: KeyEncryptionKey, meets: Meets) -> list[Record]:
    """See `InboxStore.due`. They stay here until they are judged again; what cannot be read is asked for instead."""
    needs = [row["need"] for row in await driver.fetch(_NEEDS)]
    met = Need.met_of(needs, meets)
    rows = await driver.fetch(_DUE, met, limit) if needs else []
    readable: list[Record] = []
    broken: list[UUID] = []
    for row in rows:
        try:
            readable.append(_read(row, kek))
        except Exception as error:  # whatever bytes may be found there
            log("record_alarm", code="protected_field_unreadable", error=type(error).__name__)
            broken.append(row["message_id"])
    if broken:
        await driver.execute(ASK_FOR, broken)
    return readable


def _read(row: asyncpg.Record, kek: KeyEncryptionKey) -> Record:
    place = {"topic": row["topic"], "partition": row["partition"], "offset": row["offset"]}
    return decrypt_record(row["record"], kek, **place, table=AWAITING)


def _row(waiting: Awaited) -> _Row:
    arrival = waiting.arrival
    return _Row(
        arrival.message_id,
        arrival.sender,
        arrival.recipient,
        arrival.epoch,
        arrival.sequence,
        waiting.need,
        arrival.topic,
        arrival.partition,
        arrival.offset,
        len(waiting.record.value or b""),
    )
