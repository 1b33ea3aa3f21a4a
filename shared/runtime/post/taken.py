"""Which numbers of others were taken: per pair and epoch the highest that is known of, and the holes below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg

from shared.contracts.delivery import HOLES_MAX, ROWS_MAX, GoneClear, SentMark, TakenMark
from shared.exchange.needs import Need
from shared.runtime.database.columns import Columns, Statement
from shared.runtime.post.arrivals import Arrival
from shared.runtime.post.awaiting import ASK_FOR, Meets
from shared.runtime.post.peers import EPOCHS_MAX
from shared.runtime.watch.logs import log

#: How long after it was asked for a message is asked for again: doubled each time, up to the second.
WANTED_AGAIN: Final = timedelta(minutes=1)
WANTED_AGAIN_MAX: Final = timedelta(hours=1)
#: Epochs of a pair, by one instance, of which numbers have come: of a further one what comes is taken, and not counted.
EPOCHS_TAKEN_MAX: Final = 2 * EPOCHS_MAX
#: Holes of a pair's epoch that are kept apart: what lies behind them counts once it comes again.
HOLES_KEPT: Final = 1024
#: So many things that the deferred messages of an instance lack are looked for: a release does not add more.
NEEDS_MAX: Final = 100
#: Gaps of a pair's epoch that its sender may give up; what it says beyond that leaves them holes.
GIVEN_UP_MAX: Final = 1024


class Numbers(NamedTuple):
    """Numbers of one pair and epoch, sent by `instance`: up to `high` there are some, `taken` of them are here.

    `taken` in PostgreSQL's spelling of a multirange: `{[1,4),[6,7)}`.
    """

    sender: str
    recipient: str
    epoch: UUID
    instance: str
    high: int
    taken: str


_NUMBERS = Columns.of(Numbers)
#: What is new above `high` are holes first; what was taken is none any more. Of an instance's own numbers only.
#: One that begins another life of a pair's counter may have been restored: it is told what is held of its edges.
_NOTE = Statement(
    """
WITH noted AS (
    INSERT INTO pair_taken AS p (sender, recipient, epoch, instance, high, holes)
    SELECT numbers.sender, numbers.recipient, numbers.epoch, numbers.instance, numbers.high,
           int8multirange(int8range(1, numbers.high + 1)) - numbers.taken::int8multirange
    FROM {numbers}
    WHERE {epochs} > (
        SELECT count(*) FROM pair_taken AS o WHERE o.epoch <> numbers.epoch
          AND (o.sender, o.recipient, o.instance) = (numbers.sender, numbers.recipient, numbers.instance))
    ORDER BY numbers.sender, numbers.recipient, numbers.epoch
    ON CONFLICT (sender, recipient, epoch) DO UPDATE SET
        high = greatest(p.high, excluded.high),
        holes = p.holes + int8multirange(int8range(p.high + 1, greatest(p.high, excluded.high) + 1))
                - (int8multirange(int8range(1, excluded.high + 1)) - excluded.holes)
    WHERE p.instance = excluded.instance
    RETURNING p.sender, p.recipient, p.instance, p.epoch, xmax = 0 AS fresh,
              (SELECT count(*) FROM unnest(p.holes)) > {holes} AS torn
), standing AS (
    INSERT INTO peer (instance, stand_due)
    SELECT DISTINCT n.instance, true FROM noted AS n JOIN pair_taken AS p USING (sender, recipient, instance)
    WHERE n.fresh AND p.epoch <> n.epoch
    ON CONFLICT (instance) DO UPDATE SET stand_due = true
)
SELECT sender, recipient, epoch, torn FROM noted
""",
    numbers=_NUMBERS,
    epochs="bigint",
    holes="bigint",
)
#: Nothing is known any more of what lies behind the holes that are kept.
_CUT: Final = """
UPDATE pair_taken AS p SET high = cut.at - 1, holes = p.holes * int8multirange(int8range(1, cut.at))
FROM (
    SELECT sender, recipient, epoch, (SELECT lower(hole) FROM unnest(q.holes) AS hole OFFSET $4 LIMIT 1) AS at
    FROM unnest($1::text[], $2::text[], $3::uuid[]) AS t (sender, recipient, epoch)
    JOIN pair_taken AS q USING (sender, recipient, epoch)
) AS cut WHERE (p.sender, p.recipient, p.epoch) = (cut.sender, cut.recipient, cut.epoch)
"""
#: Its newest mark counts, also where it holds more than before: it was restored.
_RELEASE: Final = """
UPDATE pair_taken AS p SET released = t.released
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) AS t (sender, recipient, epoch, released)
WHERE (p.sender, p.recipient, p.epoch) = (t.sender, t.recipient, t.epoch) AND p.instance = $5
  AND p.released <> t.released
"""
#: Those that are known, or of which there may be one more.
_ROOM: Final = """
WITH told AS (
    SELECT t.*, p.epoch IS NOT NULL AS known, row_number() OVER (PARTITION BY sender, recipient, p.epoch IS NULL) AS n
    FROM unnest($1::text[], $2::text[], $3::uuid[]) AS t (sender, recipient, epoch)
    LEFT JOIN pair_taken AS p USING (sender, recipient, epoch)
)
SELECT sender, recipient, epoch FROM told AS t WHERE known OR n <= $4 - (
    SELECT count(*) FROM pair_taken AS p WHERE (p.sender, p.recipient, p.instance) = (t.sender, t.recipient, $5))
"""
#: Those whose holes may be given up: known ones of an instance, with room for more gaps.
_MAY_GIVE_UP: Final = """
SELECT sender, recipient, epoch FROM unnest($1::text[], $2::text[], $3::uuid[]) AS t (sender, recipient, epoch)
JOIN pair_taken AS p USING (sender, recipient, epoch) WHERE p.instance = $5 AND $4 > (
    SELECT count(*) FROM gone AS g WHERE (g.sender, g.recipient, g.epoch) = (t.sender, t.recipient, t.epoch))
"""
_MARKS: Final = """
SELECT p.sender, p.recipient, p.epoch, coalesce(lower(p.holes) - 1, p.high) AS through, h.firsts, h.lasts,
       CASE WHEN cardinality(h.firsts) < $2 THEN p.high END AS known
FROM pair_taken AS p, LATERAL (
    SELECT array_agg(lower(hole)) AS firsts, array_agg(upper(hole) - 1) AS lasts
    FROM (SELECT unnest(p.holes) AS hole LIMIT $2) AS first_ones
) AS h
WHERE p.instance = $1 ORDER BY p.sender, p.recipient, p.epoch
"""
#: Of the spans that its sender gives up, what is a hole or of a message without a last word.
_GIVE_UP = Statement(
    """
WITH ended AS (
    DELETE FROM inbox AS i USING {numbers}
    WHERE i.sender = numbers.sender AND i.recipient = numbers.recipient AND i.epoch = numbers.epoch
      AND i.sender_instance = numbers.instance AND numbers.taken::int8multirange @> i.sequence
      AND i.outcome IN ('deferred', 'waiting', 'parked')
    RETURNING i.message_id, i.sender, i.recipient, i.epoch, i.sequence
), awaited AS (DELETE FROM awaiting WHERE message_id IN (SELECT message_id FROM ended)
), listed AS (
    SELECT p.sender, p.recipient, p.epoch, unnest(p.holes * numbers.taken::int8multirange) AS span, NULL::uuid AS id
    FROM pair_taken AS p JOIN {numbers} USING (sender, recipient, epoch, instance)
    UNION ALL SELECT sender, recipient, epoch, int8range(sequence, sequence + 1), message_id FROM ended
)
INSERT INTO gone (sender, recipient, epoch, first, last, message_id)
SELECT sender, recipient, epoch, lower(span), upper(span) - 1, id FROM listed ON CONFLICT DO NOTHING
""",
    numbers=_NUMBERS,
)
_NUMBERS_OF: Final = """
SELECT sender, recipient, epoch, sequence FROM inbox
WHERE message_id = ANY($1::uuid[]) AND sender_instance = $2 AND outcome IN ('deferred', 'waiting', 'parked')
"""
_COMPACTED: Final = """
SELECT max(c.newest::text)::uuid FROM compacted AS c JOIN pair_taken AS p USING (sender, recipient, epoch)
WHERE c.book = 'inbox' AND p.instance = $1
"""
#: What deferred messages lack, of each sender's instance so much; no need at all stands for those that are asked for.
#: It leaps from one need to the next: however many messages have the same, or made-up ones, it reads no more than that.
_NEEDS: Final = """
WITH RECURSIVE lacks AS (
    (SELECT sender_instance, need, 1 AS n FROM inbox
     WHERE outcome = 'deferred' AND need IS NOT NULL AND need NOT LIKE 'act %'
     ORDER BY sender_instance, need COLLATE "C" LIMIT 1)
    UNION ALL
    SELECT following.* FROM lacks AS l, LATERAL (
        SELECT sender_instance, need, CASE sender_instance WHEN l.sender_instance THEN l.n + 1 ELSE 1 END
        FROM inbox WHERE outcome = 'deferred' AND need IS NOT NULL AND need NOT LIKE 'act %'
          AND (sender_instance, need COLLATE "C") > (l.sender_instance, CASE WHEN l.n < $1 THEN l.need ELSE '~' END)
        ORDER BY sender_instance, need COLLATE "C" LIMIT 1
    ) AS following
)
SELECT DISTINCT need FROM lacks
UNION ALL SELECT NULL WHERE EXISTS (SELECT FROM inbox WHERE outcome IN ('deferred', 'parked') AND asked)
"""
_WANTED: Final = """
WITH due AS (
    SELECT message_id FROM inbox
    WHERE (outcome = 'deferred' AND need = ANY($1::text[]) OR outcome IN ('deferred', 'parked') AND asked)
      AND (wanted_at IS NULL
           OR wanted_at + least($3::interval * power(2, least(wanted_times, 20) - 1), $4::interval) <= $2::timestamptz
           OR wanted_at >= $2::timestamptz + $4::interval)
    ORDER BY sender_instance, sender, recipient, epoch, sequence LIMIT $5 FOR UPDATE
)
UPDATE inbox AS i SET wanted_at = $2, wanted_times = wanted_times + 1 FROM due WHERE i.message_id = due.message_id
RETURNING i.sender_instance, i.sender, i.recipient, i.epoch, i.sequence, i.message_id
"""
_ASK: Final = (
    "UPDATE inbox SET asked = true, wanted_at = NULL WHERE message_id = ANY($1::uuid[]) AND outcome = 'parked'"
)


class PostgresTaken:
    """The book within one transaction. `meets` says what this instance has by now."""

    def __init__(self, driver: asyncpg.Connection, meets: Meets) -> None:
        self._driver = driver
        self._meets = meets

    async def take(self, arrivals: Sequence[Arrival]) -> None:
        """See `Unit.take`."""
        await self._note(taken_of(arrivals))

    async def taken_marks(self, of: str) -> list[TakenMark]:
        return [
            TakenMark(
                sender=row["sender"],
                recipient=row["recipient"],
                epoch=row["epoch"],
                through=row["through"],
                holes=tuple(zip(row["firsts"] or (), row["lasts"] or (), strict=True)),
                known=row["known"],
            )
            for row in await self._driver.fetch(_MARKS, of, HOLES_MAX)
        ]

    async def know(self, sent: Sequence[SentMark], *, by: str) -> None:
        known = {(each.sender, each.recipient, each.epoch): each.last for each in sent}
        room = await self._those(_ROOM, known, EPOCHS_MAX, by)
        await self._note([Numbers(*pair, by, last, "{}") for pair, last in known.items() if pair in room])
        if known:
            pairs = [list(each) for each in zip(*known, strict=True)]
            await self._driver.execute(
                _RELEASE, *pairs, [each.held - 1 if each.held else each.last for each in sent], by
            )

    async def pass_gone(self, gone: GoneClear, *, by: str) -> None:
        spans: dict[tuple[str, str, UUID], list[tuple[int, int]]] = {}
        for each in gone.numbers:
            spans.setdefault((each.sender, each.recipient, each.epoch), []).extend((a, b) for a, b in each.spans)
        may = await self._those(_MAY_GIVE_UP, spans, GIVEN_UP_MAX, by)
        # No more than our marks can have named: who gives up more is asked for the others again.
        spans = {pair: each[:HOLES_MAX] for pair, each in spans.items() if pair in may}
        for row in await self._driver.fetch(_NUMBERS_OF, list(gone.ids), by) if gone.ids else ():
            pair = (row["sender"], row["recipient"], row["epoch"])
            spans.setdefault(pair, []).append((row["sequence"], row["sequence"]))
        numbers = _numbers(spans, dict.fromkeys(spans, by))
        await self._driver.execute(*_GIVE_UP.bind(numbers=_NUMBERS.rows(numbers)))
        await self._note(numbers)

    async def compacted(self, of: str) -> UUID | None:
        found: UUID | None = await self._driver.fetchval(_COMPACTED, of)
        return found

    async def wanted(self, now: datetime) -> dict[str, list[UUID]]:
        needs = [row["need"] for row in await self._driver.fetch(_NEEDS, NEEDS_MAX)]
        met = Need.met_of([need for need in needs if need is not None], self._meets)
        if not met and None not in needs:
            return {}
        rows = await self._driver.fetch(_WANTED, met, now, WANTED_AGAIN, WANTED_AGAIN_MAX, ROWS_MAX)
        wanted: dict[str, list[UUID]] = {}
        for instance, *_, message_id in sorted(map(tuple, rows)):
            wanted.setdefault(instance, []).append(message_id)
        return wanted

    async def ask_for_what_waits(self) -> None:
        await self._driver.execute(ASK_FOR, None)

    async def ask(self, message_ids: Sequence[UUID]) -> None:
        await self._driver.execute(_ASK, list(message_ids))

    async def _those(
        self, query: str, pairs: Collection[tuple[str, str, UUID]], *bounds: object
    ) -> frozenset[tuple[str, str, UUID]]:
        columns = [list(each) for each in zip(*pairs, strict=True)]
        rows = await self._driver.fetch(query, *columns, *bounds) if columns else ()
        return frozenset((row["sender"], row["recipient"], row["epoch"]) for row in rows)

    async def _note(self, numbers: Sequence[Numbers]) -> None:
        if not numbers:
            return
        bound = _NOTE.bind(numbers=_NUMBERS.rows(numbers), epochs=EPOCHS_TAKEN_MAX, holes=HOLES_KEPT)
        noted = await self._driver.fetch(*bound)
        torn = [(row["sender"], row["recipient"], row["epoch"]) for row in noted if row["torn"]]
        if torn:
            await self._driver.execute(_CUT, *map(list, zip(*torn, strict=True)), HOLES_KEPT)
        if len(noted) < len(numbers):
            # In epochs that are another instance's, or in more of them than count.
            found = {(row["sender"], row["recipient"], row["epoch"]) for row in noted}
            for peer, count in Counter(each.instance for each in numbers if each[:3] not in found).items():
                log("numbers_uncounted", peer=peer, count=count)


def taken_of(arrivals: Sequence[Arrival]) -> list[Numbers]:
    """The numbers of arrivals, one row a pair and epoch."""
    spans: dict[tuple[str, str, UUID], list[tuple[int, int]]] = {}
    instances: dict[tuple[str, str, UUID], str] = {}
    for each in arrivals:
        if each.sequence:
            pair = (each.sender, each.recipient, each.epoch)
            spans.setdefault(pair, []).append((each.sequence, each.sequence))
            instances.setdefault(pair, each.sender_instance)
    return _numbers(spans, instances)


def _numbers(
    spans: Mapping[tuple[str, str, UUID], Sequence[tuple[int, int]]], instances: Mapping[tuple[str, str, UUID], str]
) -> list[Numbers]:
    return [
        Numbers(*pair, instances[pair], max(last for _, last in each), _multirange(each))
        for pair, each in spans.items()
    ]


def _multirange(spans: Sequence[tuple[int, int]]) -> str:
    return "{" + ",".join(f"[{first},{last + 1})" for first, last in sorted(set(spans))) + "}"
