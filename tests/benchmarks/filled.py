"""Stores filled by SQL to any size, and the cost of every query in them, to check that it stays flat.

Rows are as wide as real ones, spread over parties as unevenly as real ones. One party has two thirds of everything, one
has 50 rows, the oldest, and forty share the rest. They span two years, and each row that is no longer open was finished
on its day. Nothing is encrypted; no query reads the content. Whole months: PostgreSQL rightly reads a nearly empty
partition whole.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final
from uuid import UUID

import asyncpg

from shared.delivery.tracks import TrackSide
from shared.features.cases.store import cases as law_enforcement
from shared.features.cases.store.cases import PostgresCases
from shared.features.filing.store import attention, edges, intake, referrals
from shared.features.notices import store as industry
from shared.features.notices.store import PostgresNotices
from shared.features.offers.store import PostgresOffers
from shared.features.received.store import items, listing
from shared.features.received.store.items import PostgresItems
from shared.platform.database import feed, idempotency
from shared.platform.database import feed as database_feed
from shared.platform.database.columns import compress
from shared.platform.database.partitions import MONTHS_AHEAD, make_months
from shared.platform.database.transactions import Database, RowScope
from tests.benchmarks import filled_attention, filled_audit, filled_finding, filled_loops, filled_places, filled_streams
from tests.benchmarks.filled_attention import PRIORITY
from tests.benchmarks.filled_finding import SENDER

#: The time of the last row. The first row is two years older, so that both ends of the rows are ends of months.
END: Final = datetime(2026, 7, 1, tzinfo=UTC)
_END_MS: Final = int(END.timestamp() * 1000)
BIG, SMALL, TINY = "big.example", "p7.example", "tiny.example"
_APPLYING: Final = RowScope([BIG, SMALL, TINY], "service", "apply")
PAGE: Final = 50
#: Size of a ciphertext: about that of a record of one item.
CONTENT_BYTES: Final = 700
#: Tables with a service's pending work.
_PRESENT: Final = ("stream_pair", "stream", "segment", "receive_state", "exception", "topic_life", "partition_state")
#: The tables that grow with the number of submissions.
_LARGE: Final = frozenset(
    {"referral", "edge", "received", "received_edge", "act", "idempotency_key", "entry", "outcome"}
    | {"answer_act", "case_act", "deadline", *filled_places.TABLES, *filled_streams.LARGE}
)
#: A page reads its own rows. If a set is hardly larger it may read all, and sort them.
_PAGE_ROWS: Final = 6 * PAGE
#: This number of edges, at most two per referral, and their referrals.
_SENT_ROWS: Final = 4 * referrals.LOOKED_AT_MAX
_PARTY = (
    "CASE WHEN i <= 50 THEN 'tiny.example' WHEN i % 10 < 7 THEN 'big.example' ELSE 'p' || (i % 40) || '.example' END"
)
#: Ids with their time, like those of services: the row that is `rows` - i before the last one.
_ID = (
    "(lpad(to_hex({end_ms} - ({rows} - i)::bigint * 63072000000 / {rows}), 12, '0') || '70008000'"
    " || lpad(to_hex(i), 12, '0'))::uuid"
)
_AGO = f"timestamptz '{END.isoformat()}' - ({{rows}} - i) * (interval '63072000 s' / {{rows}})"
_BYTES = "decode(repeat('ab', {content}), 'hex')"
_PROOF = "decode(repeat('cd', {content}), 'hex')"
_EVENT = f"""
INSERT INTO act (party, number, type, subject, at, detail)
SELECT {_PARTY}, i, '{{kind}}.begun', {_ID}, {_AGO}, '{{{{"state": "x"}}}}' FROM generate_series(1, {{rows}}) AS i
"""
#: Retention sets its parties from this table.
_FEEDS = f"""
INSERT INTO feed (party, last_number) SELECT {_PARTY}, max(i) FROM generate_series(1, {{rows}}) AS i GROUP BY 1
"""
_KEYS = f"""
INSERT INTO idempotency_key (party, key_hash, body_hash, response_status, response_body, created_at)
SELECT {_PARTY}, sha256(i::text::bytea), sha256('b'), 202, {_BYTES}, {_AGO} FROM generate_series(1, {{rows}}) AS i
"""
_REFERRALS = (
    f"""
INSERT INTO referral (referral_id, party, external_ref, revision, exercise, disposition, state, unrouted_reason,
                      arrival, body_sha256, priority, decided, content, wrapped_key, accepted_at)
SELECT {_ID}, {_PARTY}, 'R-' || i, 1, false, 'routed', CASE WHEN i % 500 = 0 THEN 'withdrawn' ELSE 'routed' END,
       CASE WHEN i % 1000 = 1 THEN 'undeliverable' END, i, sha256('a'),
       {PRIORITY}, '\\x', {_BYTES}, decode(repeat('ef', 60), 'hex'), {_AGO}
FROM generate_series(1, {{rows}}) AS i
""",
    f"""
INSERT INTO edge (edge_id, message_id, instance, referral_id, notice_id, party, recipient, purpose, reason, rules,
                  answer, answered_at, document_digests, decided_at, priority_rank, is_retracted, peer, side, track)
SELECT gen_random_uuid(), uuidv7(), CASE WHEN k = 1 THEN 'law_enforcement' ELSE 'industry' END, {_ID},
       CASE WHEN k = 2 THEN uuidv7() END, {_PARTY},
       CASE WHEN k = 1 THEN 'agency' ELSE 'provider' END || (i % 60) || '.example', 'p' || k, 'because', '{{{{r1}}}}',
       CASE WHEN i % 500 IN (0, 7) THEN 'none' WHEN i % 500 = 8 THEN 'declined' WHEN k = 1 THEN 'closed'
            ELSE 'actioned' END, {_AGO},
       repeat('f', 16), {_AGO}, CASE WHEN {PRIORITY} = 'p0_child_at_risk' THEN 0 ELSE 1 END, i % 500 = 0,
       CASE WHEN k = 1 THEN 'law_enforcement' ELSE 'industry' END, {TrackSide.OWN:d}, uuidv4()
FROM generate_series(1, {{rows}}) AS i, generate_series(1, 2) AS k
""",
)
_INDEXES = """
SELECT c.relname AS name, replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') AS made
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = c.oid)
"""
_STATE = "CASE WHEN i % 500 IN (0, 7) OR i <= 50 THEN '{begun}' ELSE '{done}' END"
_ITEM = f"""
INSERT INTO received (subject, party, kind, sender, exercise, state, received_at, changed_at, purpose, revision,
    edge_revision, item_numbers, retention, edge, record, wrapped_key, priority, edge_id, peer, side, track)
SELECT {_ID}, {_PARTY}, '{{kind}}', {SENDER}, false, {_STATE}, {_AGO}, {_AGO}, 'p1', 1, 1, '{{{{1}}}}', '',
       decode('{compress(b'{"a": 1}').hex()}', 'hex'), {_PROOF}, decode(repeat('ef', 60), 'hex'),
       {PRIORITY}, uuidv4(), '', 0, uuidv4() FROM generate_series(1, {{rows}}) AS i
"""
_DEADLINES, _PLACES = filled_loops.deadlines(id_=_ID, party=_PARTY, ago=_AGO), filled_loops.places(party=_PARTY)
_LYING: Final = filled_places.of_notices(party=_PARTY)
_SENT: Final = filled_streams.sent(ago=_AGO)
_RECEIVED: Final = filled_streams.received(id_=_ID, party=_PARTY, ago=_AGO)

#: For each kind of service: its fill statements, and the values that differ.
_FILLS: Final[Mapping[str, tuple[Sequence[str], Mapping[str, str]]]] = {
    "hotline": (
        (*_REFERRALS, filled_attention.ANSWERED, _PLACES, _ITEM, _EVENT, _FEEDS, _KEYS, *_SENT, *_RECEIVED, _DEADLINES),
        {"kind": "offer", "begun": "offered", "done": "withdrawal_acknowledged"},
    ),
    "industry": (
        (*_REFERRALS, filled_attention.ANSWERED, _PLACES, _ITEM, _FEEDS, *_RECEIVED, _DEADLINES, *_LYING),
        {"kind": "notice", "begun": "issued", "done": "actioned"},
    ),
    "law_enforcement": (
        (
            _ITEM,
            filled_attention.CASE_ACTS,
            _EVENT,
            _FEEDS,
            *_RECEIVED,
            _DEADLINES,
            *filled_places.of_cases(party=_PARTY),
        ),
        {"kind": "case", "begun": "offered", "done": "closed"},
    ),
    "audit": (filled_audit.statements(id_=_ID, party=_PARTY, ago=_AGO), {}),
}
FILLED: Final = tuple(_FILLS)


@dataclass(frozen=True, slots=True)
class Question:
    """One query: a service's statement, its scope, and the maximum number of rows it may read on any store.

    A party waits for it as for a page, unless it belongs to a `batch` of messages or reports on a month. `settings` are
    those of its transaction. Only rows of `large` tables count.
    """

    name: str
    statement: str
    arguments: Sequence[object]
    scope: RowScope
    rows_max: int
    batch: bool = False
    settings: str = ""
    large: frozenset[str] = _LARGE


@dataclass(frozen=True, slots=True)
class Seen:
    """The work of a query: tables read whole, rows read in all (skipped ones included), rows sorted.

    `pages` of 8 KiB, indexes included.
    """

    scanned: tuple[str, ...]
    rows: int
    sorted: int
    pages: int


@asynccontextmanager
async def unforced(owner: asyncpg.Connection) -> AsyncIterator[None]:
    """Lift row-level security for the owner within this context, so that it can fill the tables."""
    forced = await owner.fetch("SELECT oid::regclass::text AS name FROM pg_class WHERE relforcerowsecurity")
    for row in forced:
        await owner.execute(f"ALTER TABLE {row['name']} NO FORCE ROW LEVEL SECURITY")
    yield
    for row in forced:
        await owner.execute(f"ALTER TABLE {row['name']} FORCE ROW LEVEL SECURITY")


async def fill(owner: asyncpg.Connection, service: str, rows: int, *, content_bytes: int) -> None:
    """Fill a service's empty tables with this number of referrals, offers, cases or notices, past its policies."""
    statements, words = _FILLS[service]
    await fill_by(owner, statements, rows, **words, content=content_bytes)


async def fill_history(owner: asyncpg.Connection, service: str, rows: int) -> None:
    """Fill the store of a running service with finished subjects only, on which it has nothing to do."""
    statements, words = _FILLS[service]
    over = [each for each in statements if not any(f"INSERT INTO {name} " in each for name in _PRESENT)]
    await fill_by(owner, over, rows, **words, content=CONTENT_BYTES)


async def fill_by(owner: asyncpg.Connection, statements: Sequence[str], rows: int, **words: object) -> None:
    """Run statements that fill empty tables.

    `{id}`, `{ago}` and `{rows}` in them are replaced by expressions for a row.
    """
    await owner.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
    for back in range(24, -1, -MONTHS_AHEAD):
        await make_months(owner, END - back * timedelta(days=31))
    own = {name: text.format(rows=rows, end_ms=_END_MS) for name, text in (("id", _ID), ("ago", _AGO))}
    # Indexes are built at the end, sorted: row by row they would take hours.
    indexes = await owner.fetch(_INDEXES)
    for row in indexes:
        await owner.execute(f"DROP INDEX {row['name']}")
    for statement in statements:
        await owner.execute(statement.format(**own, **words, rows=rows, end_ms=_END_MS))
    for row in indexes:
        await owner.execute(row["made"])
    # Each table is sampled whole at this setting, so plans do not depend on chance.
    await owner.execute("SET default_statistics_target = 1000")
    await owner.execute("VACUUM ANALYZE")


def subject(number: int, rows: int) -> UUID:
    """Return the id of the row that arrived with this number, of `rows`."""
    return UUID(f"{_END_MS - (rows - number) * 63_072_000_000 // rows:012x}70008000{number:012x}")


def questions(service: str, rows: int) -> Iterator[Question]:
    """Yield every query of a service that a party waits for."""
    one, half = _numbered(rows), rows // 2
    if service == "audit":
        scope = RowScope((), "auditor", "read")
        return (yield from (Question(*each[:3], scope, each[3]) for each in filled_audit.looks(one, half)))
    if service in ("hotline", "industry"):
        yield from _of_origin(rows, half)
    stores: dict[str, type[PostgresItems]]
    stores = {"hotline": PostgresOffers, "industry": PostgresNotices, "law_enforcement": PostgresCases}
    store, begun = stores[service], _FILLS[service][1]["begun"]
    for party in (BIG, SMALL, TINY):
        for name, statement, asked in filled_finding.of_items(store.lists, party, begun, end=END, limit=PAGE + 1):
            # No index has the open rows at risk by sender and state: a page may read all of them, one in a thousand.
            rows_max = _PAGE_ROWS if "of anybody" in name else max(_PAGE_ROWS, rows // 1000)
            yield Question(name, statement, asked, _reading(party), rows_max)
        yield from _waiting("open and at risk", listing._WAITING, party)
    yield from _by_itself(service, rows)
    found = f"SELECT *, {items._NAMES}{store.more} FROM received WHERE subject = $1"
    yield Question("one item", found, (one,), _reading(BIG), 4)
    yield Question("items to act on", items._FIND, ([one],), _reading(BIG), 8)
    ids = [subject(n, rows) for n in range(half, half + PAGE)]
    for party, each in filled_places.asked(service, (BIG, TINY), ids, half):
        yield Question(*each[:3], _reading(party), each[3])
    if service == "industry":
        month = BIG, END - timedelta(days=395), END - timedelta(days=365), False
        asked = *month, industry._ACTS, industry._ANSWER, industry._ACTED
        yield Question("a month's report", industry._REPORTED, asked, _reading(BIG), rows * 30 // 730, batch=True)
    if service == "law_enforcement":
        yield Question("edges of a page of cases", law_enforcement._EDGES, (ids,), _reading(BIG), 3 * PAGE)
        yield Question("the acts of a case", law_enforcement._ACTS, (one, BIG), _reading(BIG), 8)
    for party in (BIG, SMALL, TINY):
        for above in (0, half, rows):
            name = f"events of {party} above {above}"
            yield Question(name, database_feed._ABOVE, (party, above, PAGE), _reading(party), _PAGE_ROWS)
    acted = [BIG], ["referral.withdraw"], [one], ["{}"]
    yield Question("an act that gets its number", feed._NUMBER, acted, _APPLYING, 8, batch=True)
    if service == "hotline":
        for name, statement, asked, rows_max in filled_streams.of_sender(rows):
            yield Question(name, statement, asked, RowScope((), "", ""), rows_max, batch=True)
        yield Question("an idempotency key", idempotency._STORED, ([BIG], [b"x" * 32]), _reading(BIG), 4)


def _by_itself(service: str, rows: int) -> Iterator[Question]:
    """Yield the queries of a service's loops, which run all day even without work."""
    for name, statement, asked, rows_max in filled_streams.of_recipient(_numbered(rows), rows):
        yield Question(name, statement, asked, _APPLYING, rows_max, batch=True)
    newest = rows - 100 if service != "law_enforcement" else None
    for name, statement, asked, rows_max in filled_loops.asked(END, _APPLYING.parties, newest):
        yield Question(name, statement, asked, _APPLYING, rows_max, batch=True)


def _waiting(name: str, statement: str, party: str, *most: int) -> Iterator[Question]:
    for where, arguments in filled_attention.asked(party, *most, end=END, limit=PAGE + 1):
        yield Question(f"{name} of {party}, {where}", statement, arguments, _reading(party), _PAGE_ROWS)


def _of_origin(rows: int, half: int) -> Iterator[Question]:
    one = _numbered(rows)
    for party in (BIG, SMALL, TINY):
        scope = _reading(party)
        known = f"R-{half}", one
        for name, look, asked in filled_finding.of_referrals(party, known, half=half, end=END, limit=PAGE + 1):
            yield Question(name, look, asked, scope, _PAGE_ROWS)
        for name, look, asked in filled_finding.of_sent(party, half=half, end=END):
            yield Question(name, look, asked, scope, _SENT_ROWS)
        for reason in (None, "undeliverable"):
            name = f"work list of {party}, reason {reason or 'any'}"
            yield Question(name, referrals._WORK, (party, reason, None, PAGE + 1), scope, _PAGE_ROWS)
        for most, (kind, asked) in product((0, 1), _ATTENTION.items()):
            yield from _waiting(f"{kind} that need a person, to {most},", asked, party, most)
    yield Question("one referral", referrals._ONE, (one,), _reading(BIG), 4)
    yield Question("its answers", referrals._ANSWERS, (one,), _reading(BIG), 50)
    yield Question("its edges", referrals._EDGES, (one,), _reading(BIG), 50)
    yield Question("who was told", referrals._TOLD, (one,), _reading(BIG), 8)
    ids = [subject(n, rows) for n in range(half, half + 500)]
    yield Question("edges that 500 answers are about", edges._ANSWERABLE, (ids,), _APPLYING, 4000, batch=True)
    yield Question("a reference that is taken", intake._EXISTING, ([BIG], ["R-1"]), _reading(BIG), 4)


async def look(database: Database, question: Question) -> Seen:
    """Run a query; return PostgreSQL's work in tables that grow with the number of submissions."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {question.statement}"
    async with database.transaction(question.scope) as session:
        if question.settings:
            await session.driver.execute(question.settings)
        [[plan]] = await session.driver.fetch(explain, *question.arguments)
    nodes = list(_nodes(plan[0]["Plan"]))
    reading = [node for node in nodes if _MONTH.sub("", node.get("Relation Name", "")) in question.large]
    whole = [node for node in reading if node["Node Type"] == "Seq Scan" and _rows(node) > _PAGE_OF_ROWS]
    scanned = tuple(sorted({node["Relation Name"] for node in whole}))
    sorting = [child for node in nodes if "Sort" in node["Node Type"] for child in node["Plans"]]
    sorted_rows = round(sum(node["Actual Rows"] * node["Actual Loops"] for node in sorting))
    pages = nodes[0]["Shared Hit Blocks"] + nodes[0]["Shared Read Blocks"]
    return Seen(scanned, sum(map(_rows, reading)), sorted_rows, pages)


async def timed(database: Database, question: Question, *, times: int) -> list[float]:
    """Return the milliseconds of each of `times` queries, one after another, plan and answer included."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        async with database.transaction(question.scope) as session:
            await session.driver.fetch(question.statement, *question.arguments)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


_ATTENTION: Final = {"edges": attention._EDGES, "referrals": attention._REFERRALS}
#: A table of a page or two, such as a month that has not begun, is read whole and costs nothing.
_PAGE_OF_ROWS: Final = 20
#: The end of a partition's name.
_MONTH: Final = re.compile(r"_[0-9]{4}_[0-9]{2}$")


def _numbered(rows: int) -> UUID:
    return subject(rows // 2 + 1, rows)


def _reading(party: str) -> RowScope:
    return RowScope([party], "machine", "read")


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: Mapping[str, Any]) -> int:
    """Return the rows that a node has read or passed on, and those that it skipped."""
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return round((node["Actual Rows"] + removed) * node["Actual Loops"])
