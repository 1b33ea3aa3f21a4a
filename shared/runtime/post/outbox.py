"""The outbox in PostgreSQL: what was committed with an effect lives here until nobody can ask for it any more.

    commit ─▶ waits in its lane ─append─▶ under way ─outcome, both marks─▶ settled

A row changes when an outcome comes, and when it is sent again; nothing here reads more of a lane than it acts on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.registry import BY_TYPE, Family
from shared.exchange.message import Draft
from shared.exchange.record_table import SIGN_AGAIN
from shared.exchange.topics import AUDIT
from shared.kernel.errors import Refused, Unavailable
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.database.transactions import Database, gather
from shared.runtime.post.arrivals import FINAL
from shared.runtime.post.numbering import SentAgain, SignedAgain
from shared.runtime.post.ports import (
    SIGNED_AGAIN_MAX,
    LaneWork,
    Outgoing,
    Progress,
    Settled,
    Settlement,
    Waiting,
)
from shared.runtime.post.segments import unpack
from shared.runtime.post.stamping import draft_of
from shared.runtime.watch.telemetry import current_traceparent, message_traceparent
from shared.vocabulary.answers import ReceiptOutcome

#: Message id, digest, and the instance that it went to or that answers.
_Identity = tuple[UUID, str, str]

_SETTLEMENT = Columns.of(Settlement)
_FINAL: Final = f"({', '.join(repr(each.value) for each in sorted(FINAL))})"
#: Rows are locked in the order of their ids, by whoever changes any.
_SETTLE = Statement(
    f"""
WITH held AS MATERIALIZED (
    SELECT o.message_id, o.digest, o.lane, receipts.outcome AS stated, receipts.code, receipts.receipt_id,
           coalesce(NOT o.done AND receipts.outcome IS DISTINCT FROM o.outcome
                    OR o.outcome = 'applied' AND receipts.outcome = 'refused', false) AS taken,
           o.outcome IS NOT DISTINCT FROM 'refused' AND receipts.outcome = 'applied' AS late
    FROM outbox AS o JOIN {{receipts}}
      ON o.message_id = receipts.message_id AND o.digest = receipts.digest AND o.lane = receipts.by
    ORDER BY o.message_id FOR UPDATE OF o
), noted AS (
    UPDATE outbox AS o SET outcome = held.stated, code = held.code, receipt_id = held.receipt_id,
           done = held.stated IN {_FINAL}, marked_at = NULL
    FROM held WHERE o.message_id = held.message_id AND held.taken
)
SELECT message_id, digest, lane, taken, late FROM held
""",
    receipts=_SETTLEMENT,
)
_LATE = Statement(
    """
WITH known AS (
    SELECT s.message_id, s.digest, s.lane, s.outcome, s.settled_at, receipts.outcome AS stated,
           receipts.code, receipts.receipt_id
    FROM settled AS s JOIN {receipts}
      ON s.message_id = receipts.message_id AND s.digest = receipts.digest AND s.lane = receipts.by
), reopened AS (
    UPDATE settled AS s SET outcome = known.stated, code = known.code, receipt_id = known.receipt_id
    FROM known WHERE s.message_id = known.message_id AND s.settled_at = known.settled_at
      AND known.outcome = 'applied' AND known.stated = 'refused'
    RETURNING s.message_id
)
SELECT known.message_id, known.digest, known.lane, reopened.message_id IS NOT NULL AS taken,
       known.outcome = 'refused' AND known.stated = 'applied' AS late
FROM known LEFT JOIN reopened USING (message_id)
""",
    receipts=_SETTLEMENT,
)
_REUSED = Statement(
    """
SELECT o.message_id, o.digest, o.lane, o.epoch, o.segment, o.index, o.signed, s.packed
FROM outbox AS o
JOIN {receipts} ON o.message_id = receipts.message_id AND o.digest = receipts.digest AND o.lane = receipts.by
JOIN segment AS s ON s.id = o.segment
WHERE NOT o.done AND o.signed < {at_most} ORDER BY o.message_id FOR UPDATE OF o
""",
    receipts=_SETTLEMENT,
    at_most="bigint",
)
#: An answer to a signature that was taken back: the message is held under another number.
_SIGNED_BEFORE = """
SELECT r.message_id, r.digest, r.lane FROM unnest($1::uuid[], $2::text[], $3::text[]) AS r (message_id, digest, lane)
WHERE EXISTS (SELECT 1 FROM outbox AS o WHERE o.message_id = r.message_id AND o.lane = r.lane AND o.signed > 0)
   OR EXISTS (SELECT 1 FROM settled AS s WHERE s.message_id = r.message_id AND s.lane = r.lane)
"""
_DROP = "DELETE FROM outbox WHERE message_id = ANY($1::uuid[]) RETURNING segment"
#: By their ids alone: a join would be begun at the marks, and read all that is held of every pair.
_LEAVE = f"""
WITH named AS MATERIALIZED (
    SELECT message_id, lane, sender, recipient, epoch, sequence FROM outbox WHERE message_id = ANY($1::uuid[]) AND done
), gone AS (
    DELETE FROM outbox AS o WHERE o.message_id = ANY (ARRAY(
        SELECT n.message_id FROM named AS n
        WHERE (SELECT n.sequence <@ m.passed FROM mark AS m
               WHERE (m.by, m.sender, m.recipient, m.epoch) = (n.lane, n.sender, n.recipient, n.epoch))
          AND (SELECT n.sequence <@ m.passed FROM mark AS m
               WHERE (m.by, m.sender, m.recipient, m.epoch) = ('{AUDIT}', n.sender, n.recipient, n.epoch))))
    RETURNING o.*
), kept AS (
    INSERT INTO settled (
        message_id, type, sender, recipient, lane, epoch, sequence, digest, outcome, code, receipt_id, subject)
    SELECT message_id, type, sender, recipient, lane, epoch, sequence, digest, outcome, code, receipt_id,
           CASE outcome WHEN 'refused' THEN subject END FROM gone
)
SELECT segment FROM gone
"""
_LESS = """
UPDATE segment AS s SET open = s.open - g.count
FROM (SELECT id, count(*) AS count FROM unnest($1::bigint[]) AS each (id) GROUP BY id) AS g WHERE s.id = g.id
RETURNING s.id, s.open
"""
_EMPTY = "DELETE FROM segment WHERE id = ANY($1::bigint[])"

_LANES = "SELECT lane FROM lane JOIN lane_end USING (lane) WHERE last > appended ORDER BY lane"
#: Whatever has a position up to `last` was committed before that could be read.
_WORK = """
SELECT e.last, l."offset", o.message_id, o.position, o.segment, o.index, o.type
FROM lane_end AS e JOIN lane AS l USING (lane) LEFT JOIN LATERAL (
    SELECT message_id, position, segment, index, type FROM outbox
    WHERE lane = $1 AND position > l.appended AND aside IS NULL ORDER BY position LIMIT $2
) AS o ON true WHERE e.lane = $1 ORDER BY o.position
"""
_SEGMENTS = "SELECT id, packed FROM segment WHERE id = ANY($1::bigint[])"
#: How far back `before` must lie until it is taken anew: what it tells apart is half of that.
_BEFORE_S: Final = 120
_BEFORE_IS_NEW: Final = f"abs(extract(epoch FROM $5 - before_at)) < {_BEFORE_S}"
#: An append of what has no place in the lane, such as marks, makes nothing there younger.
_NOTE = f"""
UPDATE lane SET appended = greatest(appended, $3), "offset" = coalesce($4, "offset"),
       appended_at = CASE WHEN $3 > appended THEN $5 ELSE appended_at END,
       before = CASE WHEN $3 <= appended OR {_BEFORE_IS_NEW} THEN before ELSE appended END,
       before_at = CASE WHEN $3 <= appended OR {_BEFORE_IS_NEW} THEN before_at ELSE $5 END
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS soon
WHERE lane = $1 AND EXISTS (SELECT 1 FROM lease WHERE name = 'relay' AND fence = $2)
RETURNING lane
"""
_REWIND = """
UPDATE lane SET appended = 0, before = 0, before_at = NULL, "offset" = NULL
WHERE lane = $1 AND EXISTS (SELECT 1 FROM lease WHERE name = 'relay' AND fence = $2) RETURNING lane
"""
_ALL_ASIDE = "SELECT message_id, lane, position FROM outbox WHERE aside IS NOT NULL ORDER BY message_id FOR UPDATE"
_ASIDE = """
UPDATE outbox AS o SET aside = a.reason
FROM unnest($1::uuid[], $2::text[]) AS a (message_id, reason) WHERE o.message_id = a.message_id
"""


async def enqueue(driver: asyncpg.Connection, drafts: Sequence[Draft]) -> None:
    """Gather drafts in the caller's transaction, in order: numbered, signed and stored right before it commits.

    From the commit on they will be sent: a crash leaves them here and the relay goes on.
    """
    gather(driver, _traced(drafts))


async def settle(driver: asyncpg.Connection, settlements: Sequence[Settlement]) -> Settled:
    """Note what receipts say: see `Unit.settle`."""
    if not settlements:
        return Settled([], [], [])
    entries = _one_of_each(settlements)
    again = await _sign_again(driver, [entry for entry in entries if entry.code == SIGN_AGAIN])
    receipts = _SETTLEMENT.rows([entry for entry in entries if _identity(entry) not in again])
    rows = await driver.fetch(*_SETTLE.bind(receipts=receipts))
    if len(again) + len(rows) < len(entries):
        # Rare: a receipt that came late, one for a number that was taken back, or one for what was never sent.
        rows += await driver.fetch(*_LATE.bind(receipts=receipts))
        reused = [_identity(entry) for entry in entries if entry.code == SIGN_AGAIN]
        again |= {tuple(row) for row in await driver.fetch(_SIGNED_BEFORE, *_columns(reused))}
    known = again | {_of(row) for row in rows}
    taken = {_of(row) for row in rows if row["taken"]}
    late = {_of(row) for row in rows if row["late"]} | (_applied_after_all(settlements) & taken)
    await leave(driver, sorted(message_id for message_id, _, _ in taken))
    return Settled(
        [entry for entry in entries if _identity(entry) in taken],
        [entry for entry in settlements if _identity(entry) not in known],
        [entry for entry in settlements if _identity(entry) in late and entry.outcome is ReceiptOutcome.APPLIED],
    )


async def leave(driver: asyncpg.Connection, message_ids: Sequence[UUID]) -> None:
    """Let those of the messages go that are done and that both marks have passed."""
    if message_ids:
        await _close(driver, [row["segment"] for row in await driver.fetch(_LEAVE, message_ids)])


class PostgresLanes:
    """`LaneStore` of the relay that holds the lease with this fence."""

    def __init__(self, database: Database, *, fence: int) -> None:
        self._database = database
        self._fence = fence

    async def lanes(self) -> list[str]:
        return [row["lane"] for row in await self._database.fetch(_LANES)]

    async def work(self, lane: str, limit: int) -> LaneWork:
        found = await self._database.fetch(_WORK, lane, limit)
        if not found:
            return LaneWork([], 0, None)
        rows = [row for row in found if row["message_id"] is not None]
        stored = await self._database.fetch(_SEGMENTS, sorted({row["segment"] for row in rows})) if rows else []
        segments = {row["id"]: unpack(row["packed"]) for row in stored}
        return LaneWork([_waiting(row, segments) for row in rows], found[0]["last"], found[0]["offset"])

    async def note(self, lane: str, progress: Progress) -> None:
        if progress.aside:
            async with self._database.transaction() as session:
                await session.driver.execute(_ASIDE, list(progress.aside), list(progress.aside.values()))
        noted = (lane, self._fence, progress.through, progress.offset, progress.at)
        self._require(await self._database.fetch(_NOTE, *noted))

    async def try_aside(self) -> None:
        async with self._database.transaction() as session:
            rows = await session.driver.fetch(_ALL_ASIDE)
            again = sorted(rows, key=lambda row: row["position"])
            gather(session.driver, [SentAgain(row["lane"], row["message_id"]) for row in again])

    async def rewind(self, lane: str) -> None:
        self._require(await self._database.fetch(_REWIND, lane, self._fence))

    def _require(self, noted: Sequence[object]) -> None:
        if not noted:
            raise Unavailable("lease_lost")


async def _sign_again(driver: asyncpg.Connection, refused: Sequence[Settlement]) -> set[_Identity]:
    """Take the numbers back of those messages that `refused` names and that may still be signed again."""
    if not refused:
        return set()
    bound = _REUSED.bind(receipts=_SETTLEMENT.rows(refused), at_most=SIGNED_AGAIN_MAX)
    taken_back: dict[_Identity, SignedAgain] = {}
    for row in await driver.fetch(*bound):
        if (draft := _draft(row)) is not None:
            taken_back[_of(row)] = SignedAgain(draft, row["epoch"], row["signed"] + 1)
    if taken_back:
        dropped = await driver.fetch(_DROP, [message_id for message_id, _, _ in taken_back])
        await _close(driver, [row["segment"] for row in dropped])
        gather(driver, list(taken_back.values()))
    return set(taken_back)


async def _close(driver: asyncpg.Connection, segments: Sequence[int]) -> None:
    """So many messages of each segment are gone; the segments with no other go with them."""
    if segments:
        counted = await driver.fetch(_LESS, segments)
        if empty := [row["id"] for row in counted if row["open"] <= 0]:
            await driver.execute(_EMPTY, empty)


def _draft(row: asyncpg.Record) -> Draft | None:
    """None where what is stored cannot be read: the refusal is then an answer like any other."""
    record = _at(unpack(row["packed"]), row["index"])
    if record is None:
        return None
    try:
        return draft_of(record, row["lane"])
    except (Refused, KeyError):
        return None


def _waiting(row: asyncpg.Record, segments: Mapping[int, Sequence[Outgoing | None]]) -> Waiting:
    message = BY_TYPE.get(row["type"])
    record = _at(segments.get(row["segment"], []), row["index"])
    return Waiting(row["message_id"], row["position"], message is not None and message.edge, record)


def _at(records: Sequence[Outgoing | None], index: int) -> Outgoing | None:
    return records[index] if 0 <= index < len(records) else None


def _traced(drafts: Sequence[Draft]) -> list[Draft]:
    """Facts keep the trace of what caused them, for audit; every other message gets one of its own."""
    running = current_traceparent()  # the request or batch that these drafts answer
    traced = []
    for draft in drafts:
        cause = draft.traceparent or running
        own = cause if draft.message.family is Family.FACT else message_traceparent(cause)
        traced.append(draft if own == draft.traceparent else replace(draft, traceparent=own))
    return traced


def _identity(entry: Settlement) -> _Identity:
    return entry.message_id, entry.digest, entry.by


def _of(row: asyncpg.Record) -> _Identity:
    return row["message_id"], row["digest"], row["lane"]


def _columns(identities: Sequence[_Identity]) -> list[list[object]]:
    return [[each[place] for each in identities] for place in range(3)]


def _applied_after_all(settlements: Sequence[Settlement]) -> set[_Identity]:
    """Those that came together as refused and, behind that, as applied."""
    refused, after_all = set[_Identity](), set[_Identity]()
    for entry in settlements:
        if entry.outcome is ReceiptOutcome.REFUSED:
            refused.add(_identity(entry))
        elif entry.outcome is ReceiptOutcome.APPLIED and _identity(entry) in refused:
            after_all.add(_identity(entry))
    return after_all


def _one_of_each(settlements: Sequence[Settlement]) -> list[Settlement]:
    """One entry for each message: the last, but a final one is not replaced by another that comes late."""
    entries: dict[_Identity, Settlement] = {}
    for entry in settlements:
        before = entries.get(_identity(entry))
        if before is None or before.outcome not in FINAL or entry.outcome is ReceiptOutcome.REFUSED:
            entries[_identity(entry)] = entry
    return list(entries.values())
