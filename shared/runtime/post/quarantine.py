"""Quarantine: what was parked and why, and replaying it once the cause is mended.

A replayed record goes through the same consumer as any other, in one transaction with the note that it was replayed.
It is applied after whatever its subject has had since: the service's state machine says whether that is still right.
What its sender has taken back in the meantime is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.contracts.registry import NOTICE_WITHDRAWN, REFERRAL_WITHDRAWN
from shared.envelope.datakeys import KeyEncryptionKey
from shared.exchange.message import Draft, Received, Record
from shared.kernel.canonical import digest as sha256
from shared.kernel.clock import Clock
from shared.kernel.errors import not_found
from shared.runtime.database.transactions import Database
from shared.runtime.post.consumer import Consumer, Handler
from shared.runtime.post.kept_record import decrypt_record
from shared.runtime.post.ports import (
    Admission,
    Arrival,
    Coordinate,
    InboxStore,
    Parked,
    RecordSource,
    SentBook,
    Settled,
    Settlement,
    Unit,
)
from shared.vocabulary.answers import ReceiptOutcome

_PAGE = """
SELECT topic, partition, "offset", length_bytes, digest, reason, sender, message_id, parked_at FROM quarantine
WHERE replayed_at IS NULL AND ($1::text IS NULL OR reason = $1) ORDER BY parked_at, topic, partition, "offset" LIMIT $2
"""
#: Of a topic that was made again several records may wait at one offset: the newest is taken first.
_AT = """
SELECT broker_time, digest, body FROM quarantine
WHERE topic = $1 AND partition = $2 AND "offset" = $3 AND replayed_at IS NULL ORDER BY broker_time DESC
"""
_PLACE = 'topic = $1 AND partition = $2 AND "offset" = $3 AND broker_time = $4'
_FORGET = f"""
DELETE FROM inbox WHERE outcome = 'parked' AND message_id IN (SELECT message_id FROM quarantine WHERE {_PLACE})
"""
_REPLAYED = f"UPDATE quarantine SET replayed_at = $5, body = NULL WHERE {_PLACE}"
_REASON = f"UPDATE quarantine SET reason = $5 WHERE {_PLACE}"
_WITHDRAWN = """
SELECT count(*) FROM inbox
WHERE sender = $1 AND recipient = $2 AND (epoch, sequence) > ($3, $4) AND subject = $5 AND type = ANY($6::text[])
"""
_WITHDRAWALS: Final = [REFERRAL_WITHDRAWN.type, NOTICE_WITHDRAWN.type]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One record that waits in quarantine. `digest` is the SHA-256 of its value."""

    topic: str
    partition: int
    offset: int
    length_bytes: int
    digest: str
    reason: str
    sender: str | None
    message_id: UUID | None
    parked_at: datetime


class Replayed(StrEnum):
    """What a replay did. `gone`: neither Kafka nor the quarantine holds that record any more."""

    DONE = "done"
    PARKED_AGAIN = "parked_again"
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
        record = await self._record(where, offset)
        if record is None:
            return Replayed.GONE
        store = _ReplayStore(self._inbox, record, self._clock)
        await self._consumer.over(store, around=_LateHandler, patience_s=0).consume([record])
        return Replayed.PARKED_AGAIN if store.parked_again else Replayed.DONE

    async def _record(self, where: Coordinate, offset: int) -> Record | None:
        """The newest record that waits there and can be had. Retention, or a topic made again, may have taken it."""
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_AT, *where, offset)
        if not rows:
            raise not_found()
        held = None if rows[0]["body"] is not None else await self._reader.read_at(where, offset)
        for row in rows:
            if row["body"] is not None:
                topic, partition = where
                return decrypt_record(row["body"], self._kek, topic=topic, partition=partition, offset=offset)
            if held and (held.broker_time, sha256(held.value or b"")) == (row["broker_time"], row["digest"]):
                return held
        return None


class _LateHandler:
    """The service's handler, but for what its sender took back while it lay in quarantine: that is refused.

    The withdrawal found nothing to withdraw then, and does not come again.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def apply(self, unit: Unit, messages: Sequence[Received]) -> dict[UUID, str]:
        late = {message.message_id: "subject_withdrawn" for message in messages if await _taken_back(unit, message)}
        wanted = [message for message in messages if message.message_id not in late]
        return late | (await self._handler.apply(unit, wanted) if wanted else {})

    async def settled(self, unit: Unit, settlements: Sequence[Settlement]) -> None:
        await self._handler.settled(unit, settlements)


async def _taken_back(unit: Unit, message: Received) -> bool:
    if not message.message.edge:
        return False
    # Epochs are UUIDs of their time: a later one sorts behind.
    pair = (message.sender, message.recipient, message.epoch, message.sequence)
    found: int = await unit.connection.driver.fetchval(_WITHDRAWN, *pair, message.subject, _WITHDRAWALS)
    return found > 0


class _ReplayStore:
    """An inbox whose unit takes the parking of one record back, and notes the replay, as it applies the record."""

    def __init__(self, inbox: InboxStore, record: Record, clock: Clock) -> None:
        self._inbox = inbox
        self._place = (record.topic, record.partition, record.offset, record.broker_time)
        self._clock = clock
        self.parked_again = False

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        async with self._inbox.unit() as inner:
            driver = inner.connection.driver
            await driver.execute(_FORGET, *self._place)
            unit = _ReplayUnit(inner, self._place)
            yield unit
            self.parked_again = unit.reason is not None
            if unit.reason is not None:
                await driver.execute(_REASON, *self._place, unit.reason)
            else:
                await driver.execute(_REPLAYED, *self._place, self._clock.now())


class _ReplayUnit:
    """A unit that notices when the record is parked again, and for which reason."""

    def __init__(self, unit: Unit, place: tuple[str, int, int, datetime]) -> None:
        self.connection = unit.connection
        self.reason: str | None = None
        self._unit = unit
        self._place = place

    @property
    def sent_book(self) -> SentBook:
        return self._unit.sent_book

    async def admit(self, arrivals: Sequence[Arrival]) -> Admission:
        return await self._unit.admit(arrivals)

    async def record_outcomes(self, outcomes: Sequence[tuple[UUID, ReceiptOutcome, str]]) -> None:
        await self._unit.record_outcomes(outcomes)

    async def enqueue(self, drafts: Sequence[Draft]) -> None:
        await self._unit.enqueue(drafts)

    async def settle(self, settlements: Sequence[Settlement]) -> Settled:
        return await self._unit.settle(settlements)

    async def park(self, parked: Sequence[Parked]) -> list[Parked]:
        again = [
            each.reason for each in parked if (each.topic, each.partition, each.offset, each.broker_time) == self._place
        ]
        self.reason = again[0] if again else None
        return await self._unit.park(parked)
