"""The rows of the table `deadline`: all its statements, and the timers that lists show."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import asyncpg
from pydantic_core import from_json, to_json

from shared.core.protocol.clocks import EdgeClock
from shared.core.protocol.timers import AT_ONCE, Deadline, TimerEntry, to_time
from shared.core.vocabulary.law import ClockConsequence
from shared.platform.database.columns import BoundRows, Columns, Statement, compress, decompress, insert, join
from shared.platform.database.transactions import gather_part, take_parts

#: The columns of a deadline in a row of an edge: those that an edge does not have itself.
OF_EDGE: Final = {
    "subject": "uuid",
    "known_as": "uuid",
    "origin": "text",
    "clock_rules": "text",
    "acknowledge_h": "integer",
    "act_h": "integer",
    "started_at": "timestamptz",
    "steps": "jsonb",
    "timers": "bytea",
    "due_at": "timestamptz",
    "overdue_at": "timestamptz",
    "late_at": "timestamptz",
    "failure_code": "text",
}
_NO_DEADLINE: Final = tuple("[]" if name == "steps" else None for name in OF_EDGE)
#: The columns of a new row.
_DEADLINE: Final = Columns.of(EdgeClock, without=("told_by", "rules"), **OF_EDGE)
#: Rows whose steps were counted, for an update of `row` that joins them. A row that was not counted stays as it is.
_OF_COUNT: Final = ("steps", "timers", "due_at", "overdue_at", "late_at", "failure_code")
COUNTED: Final = Columns[Deadline]({"edge_id": "uuid", "party": "text"} | {name: OF_EDGE[name] for name in _OF_COUNT})
SET_COUNTED: Final = ", ".join(
    f"{name} = CASE WHEN counted.edge_id IS NULL THEN {{row}}.{name} ELSE counted.{name}::{OF_EDGE[name]} END"
    for name in _OF_COUNT
)
_EDGE_FIELDS: Final = frozenset(field.name for field in fields(EdgeClock)) - {"subject", "told_by", "rules"}
#: A row that another table has, and that has no deadline, gets this one.
_BEGIN_THERE: Final = Statement(
    """
UPDATE deadline AS d SET subject = rows.subject, known_as = rows.known_as, origin = rows.origin,
    recipient = rows.recipient, clock_rules = rows.clock_rules, acknowledge_h = rows.acknowledge_h, act_h = rows.act_h,
    started_at = rows.started_at, steps = rows.steps::jsonb, timers = rows.timers, due_at = rows.due_at,
    overdue_at = rows.overdue_at, late_at = rows.late_at, failure_code = rows.failure_code
FROM {rows} WHERE d.edge_id = ANY({edge_ids}) AND (d.edge_id, d.party) = (rows.edge_id, rows.party)
  AND d.started_at IS NULL
""",
    rows=_DEADLINE,
    edge_ids="uuid[]",
)
_BEGIN: Final = insert(
    "deadline",
    _DEADLINE,
    end="""WHERE NOT EXISTS (
    SELECT FROM (SELECT party FROM deadline WHERE edge_id = rows.edge_id OFFSET 0) AS d WHERE d.party = rows.party
) ON CONFLICT DO NOTHING""",
)
# Rows are named by plain columns as well: for a join alone the planner may read all rows of the party.
_LOCK_NAMED: Final = """
SELECT d.* FROM deadline AS d JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS k (told_by, party, counterpart)
  ON d.subject = k.told_by AND d.party = k.party AND k.counterpart IN (d.origin, d.recipient)
WHERE d.subject = ANY($1::uuid[]) AND d.started_at IS NOT NULL ORDER BY d.subject, d.party, d.edge_id FOR UPDATE OF d
"""
# Locked in the order of the statement before. Ordered by a column, the rows may be read along its index.
_LOCK_EDGES: Final = """
SELECT d.* FROM deadline AS d WHERE d.edge_id = ANY($1::uuid[]) AND d.started_at IS NOT NULL
ORDER BY coalesce(d.subject, d.edge_id), d.party, d.edge_id FOR UPDATE
"""
_READ_EDGE: Final = "SELECT * FROM deadline WHERE edge_id = $1 AND started_at IS NOT NULL"
# Row-level security lets an index find the rows by CASE; with COALESCE the statement would read all rows.
_TAKE_DUE: Final = """
SELECT d.* FROM deadline AS d
WHERE d.due_at <= CASE WHEN $1::timestamptz IS NULL THEN '-infinity'::timestamptz ELSE $1 END
ORDER BY d.due_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_WRITE: Final = Statement(
    f"""
UPDATE deadline AS d SET {SET_COUNTED.format(row="d")} FROM {{counted}}
WHERE d.edge_id = ANY({{edge_ids}}) AND d.edge_id = counted.edge_id AND d.party = counted.party
""",  # noqa: S608 - our own constant
    counted=COUNTED,
    edge_ids="uuid[]",
)
_SET_ASIDE: Final = "UPDATE deadline SET due_at = $3, failure_code = $4 WHERE edge_id = $1 AND party = $2"
_COUNT_ALL_AGAIN: Final = "UPDATE deadline SET due_at = '-infinity' WHERE started_at IS NOT NULL"
_COUNT_ASIDE: Final = """
SELECT count(*) AS count, count(*) FILTER (WHERE due_at > $1) AS ahead FROM deadline WHERE failure_code IS NOT NULL
"""
#: A failed row whose retry is further ahead than the limit was written by a clock that was ahead.
_RETRY_AHEAD: Final = """
WITH ahead AS (SELECT edge_id,
    party FROM deadline WHERE failure_code IS NOT NULL AND due_at > $1 FOR UPDATE SKIP LOCKED)
UPDATE deadline AS d SET due_at = '-infinity' FROM ahead WHERE d.edge_id = ahead.edge_id AND d.party = ahead.party
"""
_DUE_WHERE: Final = """(
    SELECT edge_id, party, coalesce(known_as, subject) AS subject, origin, recipient, purpose, timers,
           overdue_at
    FROM deadline WHERE party = $1 AND overdue_at IS NOT NULL AND late_at IS {} AND (overdue_at, edge_id) > ($2, $3)
    ORDER BY overdue_at, edge_id LIMIT $4
)"""
_DUE: Final = f"""
{_DUE_WHERE.format("NOT NULL")} UNION ALL {_DUE_WHERE.format("NULL")}
ORDER BY overdue_at, edge_id LIMIT $4
"""
_DUE_OF_SUBJECT: Final = """
SELECT edge_id, party, subject, origin, recipient, purpose, timers FROM deadline
WHERE party = $1 AND subject = $2 AND known_as IS NULL AND overdue_at IS NOT NULL
UNION ALL
SELECT edge_id, party, known_as, origin, recipient, purpose, timers FROM deadline
WHERE party = $1 AND known_as = $2 AND overdue_at IS NOT NULL
"""
_OVERDUE: Final = """
SELECT edge_id, party, coalesce(known_as, subject) AS subject, origin, recipient, purpose, start_event, timers,
       overdue_at FROM deadline
WHERE party = $1 AND overdue_at IS NOT NULL AND late_at <= $4 AND late_at IS NOT NULL
  AND (overdue_at, edge_id) > ($2, $3) AND overdue_at <= $4 ORDER BY overdue_at, edge_id LIMIT $5
"""


class DueAfter(NamedTuple):
    """A place in the list of due times."""

    due_at: datetime
    row_id: UUID


class OverdueEdge(NamedTuple):
    """An edge with overdue timers. `latest` is the last of them that fell due, on the highest rung."""

    place: DueAfter
    since: datetime
    latest: OpenTimer
    is_own: bool
    is_preservation: bool


@dataclass(frozen=True, slots=True)
class OpenTimer:
    """An open timer as its party sees it. `place` is its position in the list that it was read for."""

    edge_id: UUID
    party: str
    subject: UUID
    counterpart: str
    purpose: str
    clock: str
    run: int
    owed_by: str
    due: str
    consequence: str
    rung: int
    due_at: datetime
    place: DueAfter


#: The place before all rows.
_BEFORE_ALL: Final = DueAfter(AT_ONCE, UUID(int=0))


def columns_of_edge(rows: Sequence[Deadline | None]) -> dict[str, Sequence[Any]]:
    """Return the columns `OF_EDGE` of new rows. None: the row has no deadline."""
    columns = [_NO_DEADLINE if each is None else _columns(each) for each in rows]
    return dict(zip(OF_EDGE, zip(*columns, strict=True) if columns else [()] * len(OF_EDGE), strict=True))


def bind_counted(rows: Sequence[Deadline]) -> BoundRows[Deadline]:
    """Bind counted rows."""
    columns = zip(*[(each.edge.edge_id, each.edge.party, *_counted(each)) for each in rows], strict=True)
    return BoundRows(COUNTED, list(map(list, columns)) if rows else [[]] * len(COUNTED.sql_types))


def gather_rows(driver: asyncpg.Connection, rows: Sequence[Deadline]) -> None:
    """Have rows added with the next statement of the last step. A row that exists stays as it is."""
    bound = _DEADLINE.rows([each.edge for each in rows], **columns_of_edge(rows))
    gather_part(driver, _BEGIN_THERE.part(rows=bound, edge_ids=[each.edge.edge_id for each in rows]))
    gather_part(driver, _BEGIN.part(rows=bound))


async def lock_named(driver: asyncpg.Connection, names: Collection[tuple[UUID, str, str]]) -> list[Deadline]:
    """Lock the rows of these (message id, party, counterpart), in a fixed order. Rows of `gather_rows` are added."""
    ordered = sorted(set(names))
    columns = [[name[n] for name in ordered] for n in range(3)]
    return [to_row(row) for row in await driver.fetch(*join(take_parts(driver), _LOCK_NAMED, *columns))]


async def lock_edges(driver: asyncpg.Connection, edge_ids: Collection[UUID]) -> list[Deadline]:
    """Lock the rows of these edges, in a fixed order."""
    return [to_row(row) for row in await driver.fetch(_LOCK_EDGES, list(edge_ids))]


async def read_edge(driver: asyncpg.Connection, edge_id: UUID) -> EdgeClock | None:
    """Return the edge of a row; None without one."""
    rows = await driver.fetch(_READ_EDGE, edge_id)
    return to_row(rows[0]).edge if rows else None


async def take_due(driver: asyncpg.Connection, now: datetime | None, limit: int) -> list[Deadline]:
    """Lock at most `limit` rows that are due at `now`, and skip locked rows. None: rows that are due at once."""
    return [to_row(row) for row in await driver.fetch(_TAKE_DUE, now, limit)]


async def write(driver: asyncpg.Connection, rows: Sequence[Deadline]) -> None:
    """Write the steps of these rows and the values that follow from them, in one statement."""
    if rows:
        await driver.execute(*_WRITE.bind(counted=bind_counted(rows), edge_ids=[each.edge.edge_id for each in rows]))


async def set_aside(driver: asyncpg.Connection, edge_id: UUID, party: str, *, again_at: datetime, code: str) -> None:
    """Note that one row failed with this code, and retry it at `again_at`."""
    await driver.execute(_SET_ASIDE, edge_id, party, again_at, code)


async def count_all_again(driver: asyncpg.Connection) -> None:
    """Have the scheduler look at every row at once."""
    await driver.execute(_COUNT_ALL_AGAIN)


async def count_aside(driver: asyncpg.Connection, longest: datetime | None) -> int:
    """Count the failed rows. A row whose retry is later than `longest` is retried at once."""
    count, ahead = await driver.fetchrow(_COUNT_ASIDE, longest)
    if ahead:
        await driver.execute(_RETRY_AHEAD, longest)
    return int(count)


async def read_due(
    driver: asyncpg.Connection, party: str, *, after: DueAfter | None, limit: int, subject: UUID | None = None
) -> Sequence[OpenTimer]:
    """List at most `limit` open timers of the party after a place, soonest first.

    Without a subject these are the first timer of each edge; with one, all timers of that subject.
    """
    if subject is None:
        rows = await driver.fetch(_DUE, party, *(after or _BEFORE_ALL), limit)
        return [replace(list_timers(row)[0], place=DueAfter(row["overdue_at"], row["edge_id"])) for row in rows]
    found = [timer for row in await driver.fetch(_DUE_OF_SUBJECT, party, subject) for timer in list_timers(row)]
    return sorted((each for each in found if after is None or each.place > after), key=lambda each: each.place)[:limit]


async def read_overdue(
    driver: asyncpg.Connection, party: str, *, after: DueAfter, now: datetime, limit: int
) -> list[OverdueEdge]:
    """List at most `limit` edges of the party with an overdue timer, after a place."""
    return [_overdue_edge(row, now) for row in await driver.fetch(_OVERDUE, party, *after, now, limit)]


def list_timers(row: Mapping[str, Any]) -> list[OpenTimer]:
    """List the timers of a stored row, soonest first, each with a place of its own."""
    return [] if row["timers"] is None else [_open_timer(row, entry) for entry in _read(row)]


def to_row(row: asyncpg.Record) -> Deadline:
    """Return a stored row."""
    edge = {name: row[name] for name in _EDGE_FIELDS} | {"origin": row["origin"] or row["party"]}
    rules = tuple(filter(None, row["clock_rules"].split(",")))
    return Deadline(
        EdgeClock(**edge, subject=row["known_as"] or row["subject"], told_by=row["subject"], rules=rules),
        tuple(map(tuple, row["steps"])),
        None if row["timers"] is None else _read(row),
        row["due_at"],
        row["overdue_at"],
        row["failure_code"],
    )


def _columns(row: Deadline) -> tuple[Any, ...]:
    edge = row.edge
    known_as = None if edge.subject == edge.told_by else edge.subject
    origin = None if edge.origin == edge.party else edge.origin
    terms = ",".join(edge.rules), edge.acknowledge_h, edge.act_h
    return edge.told_by, known_as, origin, *terms, edge.started_at, *_counted(row)


def _counted(row: Deadline) -> tuple[Any, ...]:
    timers = None if row.timers is None else _spell(row.timers, row.edge.recipient)
    late_at = next((to_time(each[0]) for each in row.timers or () if each[5] != ClockConsequence.ERASE), None)
    return to_json(row.steps).decode(), timers, row.due_at, row.overdue_at, late_at, row.failure_code


@lru_cache(1024)  # edges between two parties within ten seconds have the same timers
def _spell(timers: tuple[TimerEntry, ...], recipient: str | None) -> bytes:
    """Return timers as stored text. What the recipient owes is stored without its name."""
    return compress(to_json([(*each[:3], None if each[3] == recipient else each[3], *each[4:]) for each in timers]))


def _read(row: Mapping[str, Any]) -> tuple[TimerEntry, ...]:
    """Return the timers of a row that has some."""
    entries = from_json(decompress(row["timers"]))
    return tuple((*each[:3], row["recipient"] if each[3] is None else each[3], *each[4:]) for each in entries)


def _open_timer(row: Mapping[str, Any], entry: TimerEntry) -> OpenTimer:
    at, clock, run, owed_by, due, consequence, rung = entry
    due_at, edge_id, party = to_time(at), row["edge_id"], row["party"]
    return OpenTimer(
        edge_id=edge_id,
        party=party,
        subject=row["subject"],
        counterpart=row["origin"] or row["recipient"],
        purpose=row["purpose"],
        clock=clock,
        run=run,
        owed_by=owed_by,
        due=due,
        consequence=consequence,
        rung=rung,
        due_at=due_at,
        place=DueAfter(due_at, uuid5(edge_id, f"{party} {clock} {run}")),
    )


def _overdue_edge(row: asyncpg.Record, now: datetime) -> OverdueEdge:
    late = [each for each in list_timers(row) if each.due_at <= now and each.consequence != ClockConsequence.ERASE]
    return OverdueEdge(
        place=DueAfter(row["overdue_at"], row["edge_id"]),
        since=late[0].due_at,
        latest=max(late, key=lambda each: (each.due_at, each.rung, each.clock)),
        is_own=row["origin"] is None,
        is_preservation=row["start_event"] != "",
    )
