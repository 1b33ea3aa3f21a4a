"""What an instance has sent, in PostgreSQL, as marks, wants and gone statements speak of it.

A mark says which numbers of a pair's epoch somebody has taken. Its new part alone is looked at: a row leaves at the
last of three events, its outcome, the mark of its recipient's instance and that of audit, whichever comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast
from uuid import UUID

import asyncpg

from shared.contracts.delivery import HOLES_MAX, GoneNumbers, Numbering, SentMark, TakenMark
from shared.exchange.topics import AUDIT
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.database.transactions import gather
from shared.runtime.post.numbering import SentAgain
from shared.runtime.post.outbox import leave
from shared.runtime.post.ports import AGAIN_MAX, HOLE_AGE, HOLES_LOOKED_AT, UNRECEIPTED_AGE, WANTED_AGE


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
(SELECT sender, recipient, lane, epoch, greatest(last, told) AS last FROM pair_sequence
 UNION ALL SELECT sender, recipient, lane, epoch, greatest(last, told) FROM closed_epoch) AS e
"""
# A row leaves once it is done and both marks have passed it. So what is held below both is behind with its outcome,
# which is rare, and the rest is looked for from there on: as long as anybody holds a snapshot, all that has left lies
# before it still.
_OF_EPOCH: Final = "(o.sender, o.recipient, o.epoch) = (e.sender, e.recipient, e.epoch)"
_SENT: Final = f"""
SELECT e.sender, e.recipient, e.epoch, e.last, coalesce(least(
    (SELECT o.sequence FROM outbox AS o WHERE {_OF_EPOCH} AND o.sequence >= coalesce(passed.following, 1)
     ORDER BY o.sequence LIMIT 1),
    (SELECT o.sequence FROM outbox AS o
     WHERE {_OF_EPOCH} AND NOT o.done AND (o.outcome IS NOT NULL OR o.marked_at IS NOT NULL)
     ORDER BY o.sequence LIMIT 1)), 0) AS held
FROM {{epochs}} LEFT JOIN LATERAL (
    SELECT lower('{{{{[1,)}}}}'::int8multirange - theirs.passed * audits.passed) AS following
    FROM mark AS theirs JOIN mark AS audits USING (sender, recipient, epoch)
    WHERE (theirs.by, theirs.sender, theirs.recipient, theirs.epoch) = (e.lane, e.sender, e.recipient, e.epoch)
      AND audits.by = '{AUDIT}'
) AS passed ON true
WHERE $1 IN (e.lane, '{AUDIT}') ORDER BY e.sender, e.recipient, e.epoch
"""
_SENT_MARKS = _SENT.format(epochs=_EPOCHS)
#: Of some alone: a statement names few of all that there are.
_SENT_MARKS_OF = _SENT.format(
    epochs=f"""
(SELECT DISTINCT * FROM unnest($2::text[], $3::text[], $4::uuid[]) AS named (sender, recipient, epoch)) AS named
JOIN {_EPOCHS} USING (sender, recipient, epoch)"""
)
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
#: Range by range: a join would read all that is held of a pair.
_PASSED = f"""
SELECT message_id, done, outcome, lane FROM outbox WHERE message_id = ANY (ARRAY(
    SELECT o.message_id FROM {_GIVEN} CROSS JOIN LATERAL unnest(p.numbers::int8multirange) AS r (span)
    CROSS JOIN LATERAL (
        SELECT message_id FROM outbox AS o
        WHERE (o.sender, o.recipient, o.epoch) = (p.sender, p.recipient, p.epoch)
          AND o.sequence >= lower(r.span) AND o.sequence < upper(r.span) OFFSET 0
    ) AS o))
ORDER BY message_id FOR UPDATE
"""
_MARKED = "UPDATE outbox SET marked_at = $2 WHERE message_id = ANY($1::uuid[])"
_ROW: Final = "o.message_id, o.lane, o.sender, o.recipient, o.epoch, o.sequence"
#: What was noted further ahead than anybody waits was noted by a clock that has been set right since.
_UNRECEIPTED = f"""
SELECT {_ROW} FROM outbox AS o WHERE o.message_id = ANY (ARRAY(
    (SELECT message_id FROM outbox WHERE marked_at <= $1 AND lane = $2 ORDER BY marked_at LIMIT $3)
    UNION ALL (SELECT message_id FROM outbox WHERE marked_at >= $4 AND lane = $2 ORDER BY marked_at LIMIT $3)))
ORDER BY o.message_id FOR UPDATE
"""
#: The first rows of each span, and whether their last append was that long ago, as far as their lane tells.
_HELD: Final = """
SELECT p.sender, p.recipient, p.epoch, lower(r.span) AS first, upper(r.span) - 1 AS last, o.sequence, o.message_id,
       o.aside IS NULL AND ((l.appended_at <= $5 OR l.appended_at >= $7) AND o.position <= l.appended
                            OR (l.before_at <= $5 OR l.before_at >= $7) AND o.position <= l.before) AS ripe
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[]) AS p (sender, recipient, epoch, numbers)
CROSS JOIN LATERAL unnest(p.numbers::int8multirange) AS r (span)
LEFT JOIN LATERAL (
    SELECT message_id, lane, sequence, position, aside FROM outbox AS o
    WHERE (o.sender, o.recipient, o.epoch) = (p.sender, p.recipient, p.epoch)
      AND o.sequence >= lower(r.span) AND o.sequence < upper(r.span) ORDER BY o.sequence LIMIT $6
) AS o ON true LEFT JOIN lane AS l ON l.lane = o.lane
"""
_LOCK: Final = f"SELECT {_ROW} FROM outbox AS o WHERE o.message_id = ANY($1::uuid[]) ORDER BY o.message_id FOR UPDATE"
_APPENDED: Final = f"""SELECT coalesce(max("offset") + 1, 0) FROM lane WHERE $1 IN (lane, '{AUDIT}')"""
#: `due`: what waits in its lane already goes out from there; and what is wanted again and again goes once in a while.
_BY_ID = f"""
SELECT {_ROW}, coalesce(o.wanted_at <= $3 OR o.wanted_at >= $4, true)
       AND (o.aside IS NOT NULL OR o.position <= (SELECT appended FROM lane AS l WHERE l.lane = o.lane)) AS due
FROM outbox AS o WHERE o.message_id = ANY($1::uuid[]) AND o.lane = $2 ORDER BY o.message_id FOR UPDATE
"""
_RECEIPTS_LOST: Final = """
UPDATE outbox SET outcome = NULL, code = NULL, marked_at = $2 WHERE message_id = ANY (ARRAY(
    SELECT message_id FROM outbox WHERE lane = $1 AND NOT done AND outcome IS NOT NULL
    ORDER BY message_id LIMIT $3 FOR UPDATE))
"""
_NOTE_WANTED: Final = "UPDATE outbox SET wanted_at = $2 WHERE message_id = ANY($1::uuid[])"


class PostgresSentBook:
    """`SentBook` within one transaction."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver

    async def sent_marks(self, to: str, of: Sequence[Numbering] | None = None) -> list[SentMark]:
        if of is None:
            rows = await self._driver.fetch(_SENT_MARKS, to)
        else:
            named = ([each.sender for each in of], [each.recipient for each in of], [each.epoch for each in of])
            rows = await self._driver.fetch(_SENT_MARKS_OF, to, *named)
        return [SentMark.model_construct(**dict(row)) for row in rows]

    async def appended(self, to: str) -> int:
        appended: int = await self._driver.fetchval(_APPENDED, to)
        return appended

    async def take_marks(
        self, by: str, taken: Sequence[TakenMark], at: datetime, *, holes: int = HOLES_LOOKED_AT
    ) -> list[GoneNumbers]:
        marks = _MARK.rows([_mark(each) for each in taken])
        pairs = await self._driver.fetch(*_TAKE.bind(marks=marks, by=by))
        await self._pass(by, _numbers(pairs, "fresh"), at)
        overdue = await self._driver.fetch(_UNRECEIPTED, at - UNRECEIPTED_AGE, by, AGAIN_MAX, at + UNRECEIPTED_AGE)
        if overdue:
            await self._driver.execute(_MARKED, [row["message_id"] for row in overdue], at)
        missing = await self._held_of(_first_ones(pairs, holes), at)
        ripe = [row["message_id"] for row in missing if row["ripe"]]
        self._send_again([*overdue, *(await self._driver.fetch(_LOCK, ripe) if ripe else ())])
        return _gone(missing)

    async def _held_of(self, holes: _Numbers, at: datetime) -> Sequence[asyncpg.Record]:
        """What is held of holes, a row each; of a hole that nothing is held of one row without any."""
        count = sum(len(each.split("),")) for each in cast(list[str], holes[3]))
        if not count:
            return ()
        held: Sequence[asyncpg.Record] = await self._driver.fetch(
            _HELD, *holes, at - HOLE_AGE, AGAIN_MAX // count, at + HOLE_AGE
        )
        return held

    async def send_again(self, to: str, ids: Sequence[UUID], at: datetime) -> list[UUID]:
        held = await self._driver.fetch(_BY_ID, list(ids), to, at - WANTED_AGE, at + WANTED_AGE)
        due = [row for row in held if row["due"]]
        await self._driver.execute(_NOTE_WANTED, [row["message_id"] for row in due], at)
        self._send_again(due)
        found = {row["message_id"] for row in held}
        return [each for each in ids if each not in found]

    async def receipts_lost(self, by: str, at: datetime) -> bool:
        done: str = await self._driver.execute(_RECEIPTS_LOST, by, at, AGAIN_MAX)
        return done == f"UPDATE {AGAIN_MAX}"

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


def _first_ones(pairs: Sequence[asyncpg.Record], most: int) -> _Numbers:
    """Of each pair its holes, in all no more than `most`."""
    found: _Numbers = [[], [], [], []]
    for row in pairs:
        holes = row["holes"].strip("{}").split("),")[:most] if row["holes"] != "{}" else []
        if holes:
            text = "{" + "),".join(holes).removesuffix(")") + ")}"
            for column, value in zip(found, (row["sender"], row["recipient"], row["epoch"], text), strict=True):
                column.append(value)
        most -= len(holes)
    return found


def _gone(held: Sequence[asyncpg.Record]) -> list[GoneNumbers]:
    """Of the holes what is not held, by pair and epoch, as many spans to a statement as it may hold."""
    rows: dict[tuple[str, str, UUID], dict[tuple[int, int], list[int]]] = {}
    for row in held:
        of = rows.setdefault((row["sender"], row["recipient"], row["epoch"]), {})
        numbers = of.setdefault((row["first"], row["last"]), [])
        if row["sequence"] is not None:
            numbers.append(row["sequence"])
    each_most = AGAIN_MAX // max(1, sum(map(len, rows.values())))
    spans = {
        of: [span for hole, numbers in sorted(holes.items()) for span in _between(hole, numbers, each_most)]
        for of, holes in rows.items()
    }
    return [
        GoneNumbers(sender=sender, recipient=recipient, epoch=epoch, spans=tuple(each[at : at + HOLES_MAX]))
        for (sender, recipient, epoch), each in spans.items()
        for at in range(0, len(each), HOLES_MAX)
    ]


def _between(hole: tuple[int, int], held: list[int], most: int) -> Iterator[tuple[int, int]]:
    """The numbers of a hole that are not held, as spans: behind the last of `most` rows nothing is known."""
    following, last = hole
    for number in sorted(held):
        if following < number:
            yield following, number - 1
        following = number + 1
    if len(held) < most and following <= last:
        yield following, last
