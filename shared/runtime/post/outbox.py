"""The outbox in PostgreSQL: what is enqueued with an effect lives here until the other side has receipted it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.registry import BY_TYPE, STATED_BY_INSTANCES, Family
from shared.envelope.keys import SigningKey
from shared.exchange.message import Draft
from shared.exchange.record_table import SIGN_AGAIN
from shared.kernel.errors import Unavailable
from shared.runtime.database.columns import Columns, Statement, insert
from shared.runtime.database.transactions import Database
from shared.runtime.post import epochs
from shared.runtime.post.ports import RESEND_WAIT_MAX, OutboxRow, Settled, Settlement, Stamp
from shared.runtime.post.stamping import counts_by_pair, stamp_rows
from shared.runtime.watch.telemetry import current_traceparent, message_traceparent
from shared.vocabulary.answers import ReceiptOutcome

_DRAFT = Columns.of(Draft, without=("message",), type="text")
_INSERT = insert("outbox", _DRAFT)
_COLUMNS = """id, message_id, type, subject, sender, recipient, recipient_instance, topic, exercise, body, created_at,
decided_at, traceparent, guard, epoch, sequence, prev_epoch, prev_last, key_id, batch_root,
batch_signature, batch_index, batch_size, batch_path"""
_UNSENT = f"""
SELECT {_COLUMNS} FROM outbox WHERE sequence IS NOT NULL AND sent_at IS NULL AND topic <> ALL ($2::text[])
ORDER BY id LIMIT $1
"""
_UNSTAMPED = f"""
SELECT {_COLUMNS} FROM outbox AS o
WHERE sequence IS NULL AND topic <> ALL ($2::text[]) AND NOT EXISTS (
    SELECT 1 FROM outbox AS before
    WHERE before.subject = o.subject AND before.recipient = o.recipient AND before.id < o.id)
ORDER BY id LIMIT $1
"""
_UNRECEIPTED = f"""
SELECT {_COLUMNS} FROM outbox WHERE sequence IS NOT NULL AND sent_at + least(sent_at - created_at, $3) < $1
  AND topic <> ALL ($4::text[])
ORDER BY id LIMIT $2
"""
#: What the rows of one transaction have in common comes once.
_STAMPED = Columns.of(Stamp, without=("key_id",), digest="text")
_STAMP = Statement(
    """
UPDATE outbox AS o SET epoch = stamps.epoch, sequence = stamps.sequence, prev_epoch = stamps.prev_epoch,
       prev_last = stamps.prev_last, key_id = {key_id}, batch_root = stamps.root, batch_signature = stamps.signature,
       batch_index = stamps.index, batch_size = stamps.size, batch_path = stamps.path, digest = stamps.digest
FROM {stamps} WHERE o.id = stamps.outbox_id AND o.sequence IS NULL
""",
    stamps=_STAMPED,
    key_id="text",
)
_MARK = """
WITH ended AS (DELETE FROM outbox WHERE id = ANY($1::bigint[]))
UPDATE outbox SET sent_at = $3 WHERE id = ANY($2::bigint[])
"""
_SETTLEMENT = Columns.of(Settlement)
_SETTLE = Statement(
    """
WITH gone AS (
    DELETE FROM outbox AS o USING {receipts}
    WHERE o.message_id = receipts.message_id AND o.digest = receipts.digest AND o.recipient_instance = receipts.by
    RETURNING o.message_id, o.type, o.sender, o.recipient, o.recipient_instance, o.epoch, o.sequence, o.digest,
              receipts.outcome, receipts.code, receipts.receipt_id
), kept AS (
    INSERT INTO sent (message_id, type, sender, recipient, recipient_instance, epoch, sequence, digest, outcome,
                      code, receipt_id)
    SELECT * FROM gone
)
SELECT message_id, digest, recipient_instance FROM gone
""",
    receipts=_SETTLEMENT,
)
_REPLAYED = Statement(
    """
UPDATE sent AS s SET outcome = receipts.outcome, code = receipts.code, receipt_id = receipts.receipt_id,
       receipted_at = now()
FROM {receipts}
WHERE s.message_id = receipts.message_id AND s.digest = receipts.digest AND s.recipient_instance = receipts.by
  AND s.outcome = 'parked' AND receipts.outcome <> 'parked'
RETURNING s.message_id, s.digest, s.recipient_instance
""",
    receipts=_SETTLEMENT,
)
_KNOWN = """
SELECT s.message_id, s.digest, s.recipient_instance
FROM (SELECT message_id, digest, recipient_instance FROM sent
      UNION ALL SELECT message_id, digest, recipient_instance FROM signed_again) AS s
     JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS r(message_id, digest, by) USING (message_id)
WHERE s.digest = r.digest AND s.recipient_instance = r.by
"""


#: What settles a message here. Of what is deferred, waits, moved or is gone, its row lives on.
_SETTLING: Final = frozenset({ReceiptOutcome.APPLIED, ReceiptOutcome.REFUSED, ReceiptOutcome.PARKED})


async def enqueue(driver: asyncpg.Connection, drafts: Sequence[Draft]) -> None:
    """Put drafts into the outbox within the caller's transaction, in the order given.

    From the caller's commit on they will be sent: a crash leaves them here and the relay goes on.
    """
    if drafts:
        rows = _DRAFT.rows(drafts, type=[draft.message.type for draft in drafts], traceparent=_traceparents(drafts))
        await driver.execute(*_INSERT.bind(rows=rows))


async def settle(driver: asyncpg.Connection, settlements: Sequence[Settlement]) -> Settled:
    """Move receipted rows from `outbox` to `sent`: see `Unit.settle`."""
    if not settlements:
        return Settled([], [])
    settlements = [entry for entry in settlements if entry.outcome in _SETTLING]
    entries = _one_of_each(settlements)
    signed_again = await epochs.sign_again(driver, [entry for entry in entries if entry.code == SIGN_AGAIN])
    receipts = _SETTLEMENT.rows([entry for entry in entries if _identity(entry) not in signed_again])
    taken = {tuple(row) for row in await driver.fetch(*_SETTLE.bind(receipts=receipts))}
    known = taken | signed_again
    if len(known) < len(entries):
        # Rare: a receipt that was sent again, one for what was parked before, or one for what was never sent.
        taken |= {tuple(row) for row in await driver.fetch(*_REPLAYED.bind(receipts=receipts))}
        ids, digests, signers = zip(*map(_identity, entries), strict=True)
        known |= taken | {tuple(row) for row in await driver.fetch(_KNOWN, ids, digests, signers)}
    return Settled(
        [entry for entry in entries if _identity(entry) in taken],
        [entry for entry in settlements if _identity(entry) not in known],
    )


class PostgresOutbox:
    """The relay's side of the outbox table. One relay at a time per database (`relay_lock`)."""

    def __init__(self, database: Database, *, instance: str, key: SigningKey) -> None:
        self._database = database
        self._instance = instance
        self._key = key

    async def unsent(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        return [_row(record) for record in await self._database.fetch(_UNSENT, limit, list(without))]

    async def unstamped(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        return [_row(record) for record in await self._database.fetch(_UNSTAMPED, limit, list(without))]

    async def stamp(self, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        async with self._database.transaction() as session:
            counts = counts_by_pair(rows)
            counters = await epochs.count_on(session.driver, counts, at=max(row.draft.created_at for row in rows))
            stamped, digests = stamp_rows(rows, counters, instance=self._instance, key=self._key)
            stamps = [row.stamp for row in stamped if row.stamp is not None]
            done = await session.driver.execute(
                *_STAMP.bind(stamps=_STAMPED.rows(stamps, digest=digests), key_id=self._key.key_id)
            )
            if done != f"UPDATE {len(rows)}":
                # Another relay was here first: its lock outlived ours. Roll back; nobody has seen these stamps.
                raise Unavailable("outbox_contended")
            return stamped

    async def unreceipted(self, sent_before: datetime, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        overdue = await self._database.fetch(_UNRECEIPTED, sent_before, limit, RESEND_WAIT_MAX, list(without))
        return [_row(record) for record in overdue]

    async def mark_sent(self, rows: Sequence[OutboxRow], at: datetime) -> None:
        ending = [row.outbox_id for row in rows if row.draft.message.family in STATED_BY_INSTANCES]
        waiting = [row.outbox_id for row in rows if row.draft.message.family not in STATED_BY_INSTANCES]
        await self._database.fetch(_MARK, ending, waiting, at)


def _traceparents(drafts: Sequence[Draft]) -> list[str | None]:
    """Facts keep the trace of what caused them, for audit; every other message gets one of its own."""
    running = current_traceparent()  # the request or batch that these drafts answer
    causes = [draft.traceparent or running for draft in drafts]
    return [
        cause if draft.message.family is Family.FACT else message_traceparent(cause)
        for draft, cause in zip(drafts, causes, strict=True)
    ]


def _identity(entry: Settlement) -> tuple[UUID, str, str]:
    return entry.message_id, entry.digest, entry.by


def _one_of_each(settlements: Sequence[Settlement]) -> list[Settlement]:
    """One entry for each message: parked gives way to what became of the message later, whichever came first."""
    entries: dict[tuple[UUID, str, str], Settlement] = {}
    for entry in settlements:
        before = entries.get(_identity(entry))
        if before is None or before.outcome is ReceiptOutcome.PARKED:
            entries[_identity(entry)] = entry
    return list(entries.values())


def _row(record: asyncpg.Record) -> OutboxRow:
    draft = Draft(
        message_id=record["message_id"],
        message=BY_TYPE[record["type"]],
        subject=record["subject"],
        sender=record["sender"],
        recipient=record["recipient"],
        recipient_instance=record["recipient_instance"],
        topic=record["topic"],
        exercise=record["exercise"],
        body=record["body"],
        created_at=record["created_at"],
        decided_at=record["decided_at"],
        traceparent=record["traceparent"],
        guard=record["guard"],
    )
    if record["sequence"] is None:
        return OutboxRow(record["id"], draft, None)
    stamp = Stamp(
        outbox_id=record["id"],
        epoch=record["epoch"],
        sequence=record["sequence"],
        prev_epoch=record["prev_epoch"],
        prev_last=record["prev_last"],
        key_id=record["key_id"],
        root=record["batch_root"],
        signature=record["batch_signature"],
        index=record["batch_index"],
        size=record["batch_size"],
        path=record["batch_path"],
    )
    return OutboxRow(record["id"], draft, stamp)
