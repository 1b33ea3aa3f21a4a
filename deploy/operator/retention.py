"""`causeway retention`: each table's retention period and size, and the deletion of data past its period.

It runs as the databases' owner. Each step is a separate transaction, so it can be interrupted and repeated. Trust: a
person who runs this can erase records early by changing the periods; events report each erasure to the parties.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
from cyclopts import App

from deploy.operator.retention_policy import POLICY, PurgeMethod, RetentionRule
from deploy.operator.state import chosen_databases
from deploy.site.access import connected
from deploy.site.endpoints import OwnedDatabase
from deploy.site.options import OPTIONS, Listing, Options, Output, verb
from shared.core.acts.act import Subject
from shared.core.acts.states import WITHDRAWAL_NOTED, final_answers, finished
from shared.core.clock import EPOCH, SystemClock
from shared.core.errors import Unavailable
from shared.core.ids import first_uuid7
from shared.core.vocabulary.judgement import KEPT_DAYS
from shared.platform.database.feed import numbering
from shared.platform.database.partitions import drop_month, make_months, months_before

retention_app = App(name="retention")
#: Maximum number of rows that one transaction deletes.
ROWS_MAX: Final = 20_000
#: Maximum number of records that one transaction erases: services wait for the locked rows.
RECORDS_MAX: Final = 500
#: Deadlocks with services after which the step fails for a table. After each earlier one its page is repeated.
DEADLOCKS_MAX: Final = 10
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(part.oid)), 0)::bigint AS bytes,
       coalesce(sum(greatest(part.reltuples, 0)), 0)::bigint AS rows
FROM pg_class AS held JOIN pg_class AS part
  ON part.oid = held.oid
     OR held.relkind = 'p' AND part.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = held.oid)
WHERE held.oid = to_regclass($1::text)
"""
#: Up to this size ANALYZE reads every page, so that its estimate is exact.
_READ_WHOLE_BYTES: Final = 8 * 1024 * 1024
BIND_PARTIES = """
SELECT set_config('causeway.parties', coalesce((SELECT string_agg(party, ',') FROM feed), ''), true),
       set_config('causeway.role', 'service', true), set_config('causeway.action', $1, true)
"""
#: Look up the rows of a page one by one. The planner would otherwise read the whole table for every page.
BY_ROW: Final = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
#: The table with a row for each referral, case or notice of an instance; at audit, for each record.
_SUBJECTS: Final = {"hotline": "referral", "industry": "received", "law_enforcement": "received", "audit": "entry"}
#: The kind of rows that each kind of service receives.
_RECEIVES: Final = {"hotline": Subject.OFFER, "industry": Subject.NOTICE, "law_enforcement": Subject.CASE}
#: Report the erased records to each party. Acts lock subjects before feeds, and so does this step: it comes last.
_NUMBER_ERASED: Final = f"""
WITH erased AS MATERIALIZED (
    SELECT party, $3::text AS type, subject, NULL::jsonb AS detail, row_number() OVER (ORDER BY party, subject) AS place
    FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::uuid[]) AS ended (party, subject)) AS each
), {numbering("erased")}
SELECT count(*) FROM numbered
"""
# A deadline ends with the record of its edge: `of` finds these edges as `k`.
_CLOCKS: Final = "deadlines AS (DELETE FROM ONLY deadline AS k USING {of})"
_NO_DEADLINE: Final = """steps = '[]', started_at = NULL, timers = NULL, due_at = NULL, overdue_at = NULL,
    late_at = NULL, failure_code = NULL"""
_UNNAMED: Final = """NOT EXISTS (SELECT FROM received AS r WHERE r.proof_id = p.proof_id)
  AND NOT EXISTS (SELECT FROM received_edge AS e WHERE e.proof_id = p.proof_id)"""
#: Proofs that no record names, found without a lock and deleted under one: a record of the same segment may come later.
_FIND_PROOFS: Final = f"SELECT array_agg(proof_id) FROM content_proof AS p WHERE {_UNNAMED}"
_DELETE_PROOFS: Final = f"DELETE FROM content_proof AS p WHERE proof_id = ANY($1::uuid[]) AND {_UNNAMED}"
#: Peers get no message about a subject that was erased here.
_TRACKS: Final = """
tracks AS (
    UPDATE track AS t SET track_acts = '{{}}', is_erased = true FROM ended
    WHERE t.subject = ended.subject AND ended.party IN (t.owner, t.recipient) AND NOT t.is_erased{where}
)"""
_OF_RECORD: Final = "ended WHERE (k.subject, k.party, k.purpose) = (ended.subject, ended.party, ended.purpose)"
# A referral is finished when all recipients have given their final answer, or acknowledged its withdrawal. A referral
# on the list of unrouted referrals is not finished.
_OPEN_EDGE = """
EXISTS (SELECT FROM edge AS e WHERE e.referral_id = r.referral_id AND e.state IN ('emitted', 'referred')
        AND (e.answered_at IS NULL OR e.answered_at >= $1
             OR NOT e.answer = ANY (CASE WHEN r.state = 'withdrawn' THEN $5::text[] ELSE $4::text[] END)))
"""
#: Read only rows that still have a key and are older than the period, page by page in the order of time: by this
#: instance's referral ids, and by the time at which it received others' subjects.
_PAGE_ENDED: Final = """
SELECT (SELECT array_agg(party) FROM ended) AS parties, (SELECT array_agg(subject) FROM ended) AS subjects,
       (SELECT place FROM page ORDER BY place DESC LIMIT 1) AS last
"""
_REFERRALS = f"""
WITH page AS MATERIALIZED (
    SELECT referral_id AS place FROM referral
    WHERE wrapped_key IS NOT NULL AND referral_id > $3 AND referral_id < $6 ORDER BY referral_id LIMIT $2
), ended AS MATERIALIZED (
    SELECT r.referral_id AS subject, r.party FROM page JOIN referral AS r ON r.referral_id = page.place
    WHERE r.accepted_at < $1 AND coalesce(r.withdrawn_at < $1, true)
      AND (r.unrouted_reason IS NULL OR r.state = 'withdrawn') AND NOT {_OPEN_EDGE}
    ORDER BY subject FOR UPDATE OF r
), records AS (
    UPDATE referral AS r SET wrapped_key = NULL, content = ''
    FROM ended WHERE r.referral_id = ended.subject AND r.party = ended.party
), places AS (DELETE FROM location_token AS l USING ended WHERE l.referral_id = ended.subject), edges AS (
    UPDATE edge AS e SET {_NO_DEADLINE}, is_erased = e.is_erased OR e.owner IS NOT NULL AND e.subject = ended.subject,
        track_acts = CASE WHEN e.owner IS NOT NULL AND e.subject = ended.subject THEN '{{}}' ELSE e.track_acts END
    FROM ended WHERE e.referral_id = ended.subject
), {_TRACKS.format(where=" AND t.tableoid <> 'edge'::regclass")}
{_PAGE_ENDED}
"""
_PRESERVATIONS = f"""
WITH page AS MATERIALIZED (
    SELECT ctid AS row, received_at AS place FROM preservation
    WHERE wrapped_key IS NOT NULL AND received_at > $3 AND received_at < $1
    ORDER BY received_at FETCH FIRST $2 ROWS WITH TIES
), ended AS MATERIALIZED (
    SELECT p.ctid AS row, p.preservation_id AS subject, p.party FROM page JOIN preservation AS p ON p.ctid = page.row
    WHERE p.wrapped_key IS NOT NULL AND p.changed_at < $1 AND p.state = ANY ($4::text[])
    ORDER BY subject, party FOR UPDATE OF p
), records AS (
    UPDATE preservation AS p SET wrapped_key = NULL, content = '' FROM ended WHERE p.ctid = ended.row
), {_CLOCKS.format(of="ended WHERE (k.edge_id, k.party) = (ended.subject, ended.party)")}, {_TRACKS.format(where="")}
{_PAGE_ENDED}
"""
# Tokens of locations end with their record.
_PLACES: Final = {
    ("industry", "received"): ("notice_location", "notice_id"),
    ("industry", "preservation"): ("preservation_location", "preservation_id"),
    ("law_enforcement", "received"): ("case_location", "referral_id"),
}


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table's size. `rows` is an estimate for a large one; `each` is bytes per subject of the instance."""

    kept: RetentionRule
    rows: int
    bytes: int
    each: int | None


@dataclass(frozen=True, slots=True)
class PurgeResult:
    """The deleted part of a table: rows, records or partitions, by its way."""

    table: str
    way: PurgeMethod
    count: int


@verb(retention_app, "show")
async def show_tables(*names: str, options: Options = OPTIONS) -> Output:
    """Show each table's retention period, the owner of that decision, and its present size.

    `each` is bytes for each referral of a hotline, case, notice, or edge that audit knows. A table without days is kept
    forever, or its rows end with other acts: the reason explains it.

    Parameters
    ----------
    names
        Instances, by their names in the directory; default is all of the site's.
    """
    stated = ("table", "class", "way", "owner", "reason", "days", "rows", "bytes", "each")
    databases = chosen_databases(options, names)
    found = {
        name: [dict(zip(stated, (*each.kept[:6], *astuple(each)[1:]), strict=True)) for each in await show(database)]
        for name, database in databases.items()
    }
    return _printed(found, ("table", "class", "way", "days", "owner", "rows", "bytes", "each", "reason"))


@verb(retention_app, "apply")
async def apply_periods(*names: str, options: Options = OPTIONS) -> Output:
    """Delete data past its period: drop months, delete rows, erase records by their keys. Run it every day.

    Parameters
    ----------
    names
        Instances, by their names in the directory; default is all of the site's.
    """
    now, columns = SystemClock().now(), ("table", "way", "ended")
    found = {
        name: [dict(zip(columns, astuple(each), strict=True)) for each in await apply(database, now)]
        for name, database in chosen_databases(options, names).items()
    }
    return _printed(found, columns)


def _printed(found: Mapping[str, Sequence[Mapping[str, object]]], columns: Sequence[str]) -> Output:
    rows = [(name, *(each[column] for column in columns)) for name, listed in found.items() for each in listed]
    return Output(found, [Listing(("instance", *columns), rows)])


async def show(database: OwnedDatabase) -> list[TableSize]:
    """Return the size and period of an instance's tables. Raises `Unavailable` if its owner cannot log in."""
    async with _opened(database) as owner:
        rows = [(kept, await _size(owner, kept.table)) for kept in POLICY[database.kind]]
    subjects = next(row["rows"] for kept, row in rows if kept.table == _SUBJECTS[database.kind])
    return [
        TableSize(kept, row["rows"], row["bytes"], row["bytes"] // subjects if subjects else None) for kept, row in rows
    ]


async def _size(owner: asyncpg.Connection, table: str) -> asyncpg.Record:
    """Return bytes and rows of a table. Analyze a small one first: PostgreSQL does not after few new rows."""
    size = await owner.fetchrow(_SIZE, table)
    if size["bytes"] > _READ_WHOLE_BYTES:
        return size
    await owner.execute(f"ANALYZE {table}")
    return await owner.fetchrow(_SIZE, table)


async def apply(database: OwnedDatabase, now: datetime) -> list[PurgeResult]:
    """Delete data past its period at `now`, and make the partitions of the coming months.

    A second run changes nothing. Raises `Unavailable` if the owner cannot log in, or a table is in use for too long.
    """
    async with _opened(database) as owner:
        await make_months(owner, now)
        return [
            PurgeResult(kept.table, kept.way, await _end(owner, database.kind, kept, now=now, days=kept.days))
            for kept in POLICY[database.kind]
            if kept.days is not None
        ]


async def _end(owner: asyncpg.Connection, kind: str, kept: RetentionRule, *, now: datetime, days: int) -> int:
    before = now - timedelta(days=days)
    match kept.way:
        case PurgeMethod.MONTHS:
            return await _drop_months(owner, kind, kept.table, before=before)
        case PurgeMethod.ROWS:
            return await _all_of(owner, _past(kept), before)
        case _:
            return await _erase_records(owner, kind, kept.table, now=now, days=days)


def _past(kept: RetentionRule) -> str:
    """Return a statement that deletes a part of the rows past the period."""
    past = f"SELECT ctid FROM {kept.table} WHERE {kept.where} < $1 LIMIT $2"
    return f"DELETE FROM {kept.table} WHERE ctid = ANY (ARRAY({past}))"


async def _drop_months(owner: asyncpg.Connection, kind: str, table: str, *, before: datetime) -> int:
    """Drop months. Rows that must stay move to the last partition until they may be deleted."""
    months = await months_before(owner, table, before.date())
    for month in months:
        async with owner.transaction():
            await owner.execute(BIND_PARTIES, "apply")
            staying = f'SELECT * FROM "{month}" AS e WHERE {_open(kind)}'
            await owner.execute(f"CREATE TEMP TABLE staying ON COMMIT DROP AS {staying}")
            await drop_month(owner, month)
            await owner.execute(f"INSERT INTO {table} SELECT * FROM staying")
    async with owner.transaction():
        await owner.execute(BIND_PARTIES, "apply")
        await owner.execute(f"DELETE FROM {table}_default AS e WHERE e.at < $1 AND NOT {_open(kind)}", before)
    return len(months)


def _open(kind: str) -> str:
    """Return the condition that the subject of an act `e` is not finished."""
    ended = ", ".join(f"'{state}'" for state in sorted(finished(_RECEIVES[kind])))
    item = f"SELECT FROM received AS i WHERE i.subject = e.subject AND i.party = e.party AND i.state NOT IN ({ended})"
    if kind == "law_enforcement":
        return f"EXISTS ({item})"
    # A referral with its key has a record within its own period.
    kept = "SELECT FROM referral AS r WHERE r.referral_id = e.subject AND r.wrapped_key IS NOT NULL"
    return f"(EXISTS ({item}) OR EXISTS ({kept}))"


async def _erase_records(owner: asyncpg.Connection, kind: str, table: str, *, now: datetime, days: int) -> int:
    """Delete keys and ciphertexts of subjects finished before the period; an act reports each."""
    if table == "referral":
        before, event_type = now - timedelta(days=days), f"{Subject.REFERRAL}.erased"
        further = sorted(final_answers()), sorted(WITHDRAWAL_NOTED), first_uuid7(before)
        return await _by_pages(owner, _REFERRALS, before, event_type=event_type, first=UUID(int=0), further=further)
    if table == "preservation":
        before, event_type = now - timedelta(days=days), f"{Subject.PRESERVATION}.erased"
        statement, ended = _with_places(_PRESERVATIONS, kind, table), sorted(finished(Subject.PRESERVATION))
        return await _by_pages(owner, statement, before, event_type=event_type, first=EPOCH, further=(ended,))
    subject = _RECEIVES[kind]
    statement, event_type, total = _with_places(_records(table), kind, table), f"{subject}.erased", 0
    for retention, kept_days in (("", days), *KEPT_DAYS.items()):
        before, of_class = now - timedelta(days=kept_days), (retention, sorted(finished(subject)))
        total += await _by_pages(owner, statement, before, event_type=event_type, first=EPOCH, further=of_class)
    async with owner.transaction():
        await owner.execute(BIND_PARTIES, "apply")
        unnamed = await owner.fetchval(_FIND_PROOFS)
        await owner.execute("LOCK TABLE content_proof IN SHARE ROW EXCLUSIVE MODE")
        await owner.execute(_DELETE_PROOFS, unnamed)
    return total


def _records(table: str) -> str:
    """Return a statement that erases a page of records of one class in `received` or `received_edge`.

    It erases those finished before $1. A row of `received` is also one of `track` and of `deadline`: each is changed
    once.
    """
    last = " AND ".join(
        f"""NOT EXISTS (
        SELECT FROM {other} AS o WHERE (o.subject, o.party) = (ended.subject, ended.party) AND o.wrapped_key IS NOT NULL
          AND NOT (o.tableoid, o.ctid) IN (SELECT e.held, e.row FROM ended AS e)
    )"""
        for other in ("received", "received_edge")
    )
    tracks, own = f" AND {last}", ""
    if table == "received":
        tracks += " AND t.tableoid <> 'received'::regclass"
        own = f""", is_erased = is_erased OR ({last}), track_acts = CASE WHEN {last} THEN '{{}}' ELSE track_acts END,
        {_NO_DEADLINE}"""
    return f"""
WITH page AS MATERIALIZED (
    SELECT ctid AS row, subject, party, received_at AS place FROM {table}
    WHERE wrapped_key IS NOT NULL AND retention = $4 AND received_at > $3 AND received_at < $1
    ORDER BY received_at FETCH FIRST $2 ROWS WITH TIES
), ended AS MATERIALIZED (
    SELECT c.tableoid AS held, c.ctid AS row, i.subject, i.party, c.purpose
    FROM page JOIN {table} AS c ON c.ctid = page.row
         JOIN received AS i ON (i.subject, i.party) = (page.subject, page.party)
    WHERE c.wrapped_key IS NOT NULL AND i.changed_at < $1 AND i.state = ANY ($5::text[])
      -- What is kept after a withdrawal ends on the day that was said, by its own service.
      AND (i.state <> 'withdrawal_acknowledged' OR i.answers ->> 'fate' IS DISTINCT FROM 'kept')
    ORDER BY subject, party FOR UPDATE OF c
), records AS (
    UPDATE {table} AS c SET wrapped_key = NULL, record = '', proof_id = NULL{own} FROM ended WHERE c.ctid = ended.row
), {_CLOCKS.format(of=_OF_RECORD)}, {_TRACKS.format(where=tracks)}
{_PAGE_ENDED}
"""


def _with_places(statement: str, kind: str, table: str) -> str:
    """Return a statement that also deletes the location tokens of the ended records."""
    if (kind, table) not in _PLACES:
        return statement
    tokens, key = _PLACES[kind, table]
    places = f"DELETE FROM {tokens} AS l USING ended WHERE (l.{key}, l.party) = (ended.subject, ended.party)"
    return statement.replace("records AS (", f"places AS ({places}), records AS (", 1)


async def _by_pages(
    owner: asyncpg.Connection,
    statement: str,
    before: datetime,
    *,
    event_type: str,
    first: UUID | datetime,
    further: Sequence[object],
) -> int:
    """Run a statement over all records from before the period that still have a key; return the erased count."""
    total, after, deadlocks = 0, first, 0
    while True:
        try:
            page = await _end_page(owner, statement, before, after, *further, event_type=event_type)
        except asyncpg.DeadlockDetectedError:
            if (deadlocks := deadlocks + 1) == DEADLOCKS_MAX:
                raise
            continue
        total += len(page["subjects"] or ())
        if page["last"] is None:
            return total
        after = page["last"]


async def _end_page(
    owner: asyncpg.Connection, statement: str, before: datetime, *further: object, event_type: str
) -> asyncpg.Record:
    """Erase the records of one page, then number the acts that report them."""
    async with owner.transaction():
        await owner.execute(BY_ROW)
        await owner.execute(BIND_PARTIES, "apply")
        page = await owner.fetchrow(statement, before, RECORDS_MAX, *further)
        if page["subjects"]:
            await owner.execute(_NUMBER_ERASED, page["parties"], page["subjects"], event_type)
        return page


async def _all_of(owner: asyncpg.Connection, statement: str, before: datetime) -> int:
    """Run a statement that deletes a part until nothing is left; return the deleted count."""
    total = 0
    while count := int((await owner.execute(statement, before, ROWS_MAX)).rpartition(" ")[2]):
        total += count
    return total


@asynccontextmanager
async def _opened(database: OwnedDatabase) -> AsyncIterator[asyncpg.Connection]:
    try:
        async with connected(database.owner_url) as owner:
            yield owner
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
        raise Unavailable("database_unavailable", type(error).__name__) from None
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        raise Unavailable("table_in_use", "another session locks the table: try again later") from None
