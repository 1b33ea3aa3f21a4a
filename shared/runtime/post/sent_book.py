"""What an instance has sent, in PostgreSQL, as marks, wants and gone statements speak of it.

A mark says which numbers of a pair's epoch somebody has taken. Its new part alone is looked at: a row leaves at the
last of three events, its outcome, the mark of its recipient's instance and that of audit, whichever comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from shared.contracts.delivery import HOLES_MAX, GoneNumbers, SentMark, TakenMark
from shared.exchange.topics import AUDIT
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.database.transactions import gather
from shared.runtime.post.numbering import SentAgain
from shared.runtime.post.outbox import leave
from shared.runtime.post.ports import HOLE_AGE, UNRECEIPTED_AGE


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark as the database compares it: `passed` are ranges of numbers, `holes` what lies between them."""

    sender: str
    recipient: str
    epoch: UUID
    passed: str
    holes: str


_Numbers = list[list[object]]

_MARK = Columns.of(_Mark)
#: Every epoch towards an instance: audit reads them all.
_EPOCHS: Final = """
(SELECT sender, recipient, lane, epoch, last FROM pair_sequence
 UNION ALL SELECT sender, recipient, lane, epoch, last FROM closed_epoch) AS e
"""
_SENT_MARKS = f"""
SELECT e.sender, e.recipient, e.epoch, e.last, coalesce((
    SELECT min(o.sequence) FROM outbox AS o
    WHERE (o.sender, o.recipient, o.epoch) = (e.sender, e.recipient, e.epoch)), 0) AS held
FROM {_EPOCHS} WHERE $1 IN (e.lane, '{AUDIT}') ORDER BY e.sender, e.recipient, e.epoch
"""
# Numbers that were never given are nobody's to take: an older state of this database is told otherwise.
_TAKE = Statement(
    f"""
WITH stated AS (
    SELECT marks.sender, marks.recipient, marks.epoch,
           marks.passed::int8multirange * int8multirange(int8range(0, e.last, '[]')) AS passed,
           marks.holes::int8multirange * int8multirange(int8range(0, e.last, '[]')) AS holes
    FROM {{marks}} JOIN {_EPOCHS} USING (sender, recipient, epoch) WHERE {{by}} IN (e.lane, '{AUDIT}')
), before AS MATERIALIZED (
    SELECT m.* FROM mark AS m JOIN stated USING (sender, recipient, epoch) WHERE m.by = {{by}}
    ORDER BY m.sender, m.recipient, m.epoch FOR UPDATE OF m
), noted AS (
    INSERT INTO mark AS m (by, sender, recipient, epoch, passed)
    SELECT {{by}}, sender, recipient, epoch, passed FROM stated ORDER BY 2, 3, 4
    ON CONFLICT (by, sender, recipient, epoch) DO UPDATE SET passed = excluded.passed
)
SELECT s.sender, s.recipient, s.epoch, s.holes::text AS holes,
       (s.passed - coalesce(b.passed, int8multirange()))::text AS fresh
FROM stated AS s LEFT JOIN before AS b USING (sender, recipient, epoch)
""",
    marks=_MARK,
    by="text",
)
_GIVEN: Final = "unnest($1::text[], $2::text[], $3::uuid[], $4::text[]) AS p (sender, recipient, epoch, numbers)"
_IN_RANGES: Final = f"""
FROM {_GIVEN} CROSS JOIN LATERAL unnest(p.numbers::int8multirange) AS r (span)
JOIN outbox AS o ON (o.sender, o.recipient, o.epoch) = (p.sender, p.recipient, p.epoch)
     AND o.sequence >= lower(r.span) AND o.sequence < upper(r.span)
"""
_PASSED = f"SELECT o.message_id, o.done, o.outcome, o.lane {_IN_RANGES} ORDER BY o.message_id FOR UPDATE OF o"
_MARKED = "UPDATE outbox SET marked_at = $2 WHERE message_id = ANY($1::uuid[])"
_ROW: Final = "o.message_id, o.lane, o.sender, o.recipient, o.epoch, o.sequence"
_UNRECEIPTED = f"""
SELECT {_ROW} FROM outbox AS o WHERE o.marked_at <= $1 AND o.lane = $2 ORDER BY o.message_id FOR UPDATE
"""
#: Those whose last append was that long ago, as far as their lane tells.
_HOLES = f"""
SELECT {_ROW} {_IN_RANGES} JOIN lane AS l ON l.lane = o.lane
WHERE o.aside IS NULL
  AND (l.appended_at <= $5 AND o.position <= l.appended OR l.before_at <= $5 AND o.position <= l.before)
ORDER BY o.message_id FOR UPDATE OF o
"""
_NOT_HELD = f"""
SELECT p.sender, p.recipient, p.epoch, unnest(p.numbers::int8multirange - coalesce((
    SELECT range_agg(int8range(o.sequence, o.sequence, '[]'))
    FROM unnest(p.numbers::int8multirange) AS r (span) JOIN outbox AS o
      ON (o.sender, o.recipient, o.epoch) = (p.sender, p.recipient, p.epoch)
         AND o.sequence >= lower(r.span) AND o.sequence < upper(r.span)
), int8multirange())) AS span FROM {_GIVEN}
"""
#: `due`: what waits in its lane already goes out from there; however often it is wanted, it goes once.
_BY_ID = f"""
SELECT {_ROW}, o.aside IS NOT NULL OR o.position <= (SELECT appended FROM lane AS l WHERE l.lane = o.lane) AS due
FROM outbox AS o WHERE o.message_id = ANY($1::uuid[]) AND o.lane = $2 ORDER BY o.message_id FOR UPDATE
"""


class PostgresSentBook:
    """`SentBook` within one transaction."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def sent_marks(self, to: str) -> list[SentMark]:
        rows = await self._driver.fetch(_SENT_MARKS, to)
        return [SentMark.model_construct(**dict(row)) for row in rows]

    async def take_marks(self, by: str, taken: Sequence[TakenMark], at: datetime) -> list[GoneNumbers]:
        marks = _MARK.rows([_mark(each) for each in taken])
        pairs = await self._driver.fetch(*_TAKE.bind(marks=marks, by=by))
        await self._pass(by, _numbers(pairs, "fresh"), at)
        overdue = await self._driver.fetch(_UNRECEIPTED, at - UNRECEIPTED_AGE, by)
        if overdue:
            await self._driver.execute(_MARKED, [row["message_id"] for row in overdue], at)
        holes = _numbers(pairs, "holes")
        missing = await self._driver.fetch(_HOLES, *holes, at - HOLE_AGE) if holes[0] else []
        self._send_again([*overdue, *missing])
        return _gone(await self._driver.fetch(_NOT_HELD, *holes)) if holes[0] else []

    async def send_again(self, to: str, ids: Sequence[UUID]) -> list[UUID]:
        held = await self._driver.fetch(_BY_ID, list(ids), to)
        self._send_again([row for row in held if row["due"]])
        found = {row["message_id"] for row in held}
        return [each for each in ids if each not in found]

    async def _pass(self, by: str, fresh: _Numbers, at: datetime) -> None:
        """Look at what the marks pass for the first time: it leaves, or a receipt of it is due from now on."""
        if not fresh[0]:
            return
        rows = await self._driver.fetch(_PASSED, *fresh)
        await leave(self._driver, [row["message_id"] for row in rows if row["done"]])
        due = [row["message_id"] for row in rows if not row["done"] and row["outcome"] is None and row["lane"] == by]
        if due:
            await self._driver.execute(_MARKED, due, at)

    def _send_again(self, rows: Sequence[asyncpg.Record]) -> None:
        """As the last step, each once, in the order of numbers."""
        in_order = sorted(rows, key=lambda row: (row["sender"], row["recipient"], row["epoch"], row["sequence"]))
        again = {row["message_id"]: SentAgain(row["lane"], row["message_id"]) for row in in_order}
        gather(self._driver, list(again.values()))


def _mark(taken: TakenMark) -> _Mark:
    passed, first = [], 1
    for hole_first, hole_last in taken.holes:
        passed.append((first, hole_first - 1))
        first = hole_last + 1
    passed.append((first, taken.highest))
    return _Mark(taken.sender, taken.recipient, taken.epoch, _text(passed), _text(taken.holes))


def _text(spans: Iterable[Sequence[int]]) -> str:
    """Spans, both ends included, as a multirange; one that ends before it begins is none."""
    return "{" + ",".join(f"[{first},{last}]" for first, last in spans if first <= last) + "}"


def _numbers(pairs: Sequence[asyncpg.Record], column: str) -> _Numbers:
    """Of the pairs that have any numbers in this column: senders, recipients, epochs and the numbers."""
    some = [row for row in pairs if row[column] != "{}"]
    return [[row[name] for row in some] for name in ("sender", "recipient", "epoch", column)]


def _gone(rows: Sequence[asyncpg.Record]) -> list[GoneNumbers]:
    """Spans by pair and epoch, as many to a statement as it may hold."""
    spans: dict[tuple[str, str, UUID], list[tuple[int, int]]] = {}
    for row in rows:
        found = spans.setdefault((row["sender"], row["recipient"], row["epoch"]), [])
        found.append((row["span"].lower, row["span"].upper - 1))
    return [
        GoneNumbers(sender=sender, recipient=recipient, epoch=epoch, spans=tuple(each[at : at + HOLES_MAX]))
        for (sender, recipient, epoch), each in spans.items()
        for at in range(0, len(each), HOLES_MAX)
    ]
