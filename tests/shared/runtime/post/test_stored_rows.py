"""Whatever is stored, it stops nobody: rows that cannot be read are set aside, and a long backlog costs nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.kernel.clock import SystemClock
from shared.runtime.database.transactions import Database
from shared.runtime.post import epochs, numbering, outbox, sent_book, stamping
from shared.runtime.post.lease import Lease
from shared.runtime.post.outbox import PostgresLanes
from shared.runtime.post.ports import Outgoing, Progress, Signed
from shared.runtime.post.relay import Relay, RelaySettings
from shared.runtime.watch import metrics
from tests.services.databases import migrated, running_postgres
from tests.support.builders import AT, draft
from tests.support.memory_stores import MemoryLog, MemoryLogWriter

LANE, OTHER = "law_enforcement", "industry"
#: Ten times the aim, which is five seconds.
LEAVE_S = 50.0
#: Of asyncio's own executor.
THREADS_MAX = 32
BACKLOG = 50_000
_TABLES = ("lane", "lane_end", "segment", "outbox", "settled", "mark", "lease", "pair_sequence")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with running_postgres(tmp_path_factory.mktemp("stored"), "hotline") as running:
        yield running


@pytest.fixture
async def database(endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    async with migrated(endpoint, "hotline") as opened:
        for table in _TABLES:
            await opened.fetch(f"DELETE FROM {table}")
        yield opened


async def enqueue(database: Database, count: int, lane: str = LANE) -> list[str]:
    """So many transactions of one message each."""
    ids = []
    for _ in range(count):
        async with database.transaction() as session:
            each = draft(recipient_instance=lane, recipient=f"party-{lane.replace('_', '-')}.example")
            await outbox.enqueue(session.driver, [each])
            ids.append(str(each.message_id))
    return ids


_SEGMENT_OF = "(SELECT segment FROM outbox WHERE message_id = $1)"
_PLACE = "$2::int % octet_length(packed)"
#: What breaks the row or the segment of the message $1, at a random number $2.
BREAKS = {
    "flipped bytes": f"UPDATE segment SET packed = set_byte(packed, {_PLACE}, get_byte(packed, {_PLACE}) # 255)"
    f" WHERE id = {_SEGMENT_OF}",
    "cut off": f"UPDATE segment SET packed = substr(packed, 1, {_PLACE}) WHERE id = {_SEGMENT_OF}",
    "empty": f"UPDATE segment SET packed = '' WHERE id = {_SEGMENT_OF} AND $2::int > 0",
    "no segment": f"DELETE FROM segment WHERE id = {_SEGMENT_OF} AND $2::int > 0",
    "another segment": "UPDATE outbox SET segment = -$2::int WHERE message_id = $1",
    "an index beyond": "UPDATE outbox SET index = $2::int + 1 WHERE message_id = $1",
    "a negative index": "UPDATE outbox SET index = -$2::int WHERE message_id = $1",
    "no such type": "UPDATE outbox SET type = chr(1 + $2::int % 99), index = 7 WHERE message_id = $1",
}


@pytest.mark.timing
@pytest.mark.parametrize("name", BREAKS)
async def test_a_broken_row_is_set_aside_and_those_beside_it_leave(
    database: Database, name: str, record_property: Callable[[str, object], None]
) -> None:
    chance = Random(name)
    before, here, after = await enqueue(database, 25), await enqueue(database, 3), await enqueue(database, 25)
    there = await enqueue(database, 10, OTHER)
    for each in here:
        done = await database.fetch(BREAKS[name] + " RETURNING 1", each, chance.randrange(1, 100_000))
        assert len(done) == 1
    log = MemoryLog(SystemClock())
    writer: MemoryLogWriter[MemoryLog] = MemoryLogWriter(log, instance="hotline")
    lanes = PostgresLanes(database, fence=await Lease(database, "relay").wait())
    relay = Relay(lanes, writer, clock=SystemClock(), sign=_nothing, settings=RelaySettings(batch_rows_max=10))
    working, begun = asyncio.create_task(relay.run()), time.monotonic()
    try:
        async with asyncio.timeout(LEAVE_S):
            while await lanes.lanes():  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)
        record_property("leave_s", round(time.monotonic() - begun, 3))
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    assert held(log, LANE) == before + after
    assert held(log, OTHER) == there
    aside = await database.fetch("SELECT message_id, aside FROM outbox WHERE aside IS NOT NULL ORDER BY position")
    assert [(str(row["message_id"]), row["aside"]) for row in aside] == [(each, "unreadable") for each in here]


def held(log: MemoryLog, lane: str) -> list[str]:
    records = log.records(f"causeway.inbox.{lane}.hotline.v1")
    return [(dict(each.headers)["ce_id"] or b"").decode() for each in records]


def _nothing(_: Any) -> Outgoing:
    raise AssertionError("nothing is said")


_BACKLOG = """
INSERT INTO outbox (message_id, lane, position, segment, index, type, subject, sender, recipient, epoch, sequence,
                    digest, created_at, done)
SELECT gen_random_uuid(), $1, n, n, 0, 'causeway.referral_withdrawn.v1', 's', 'a.example', 'b.example',
       '019df5e6-0000-7000-8000-000000000001', n, '', now(), false
FROM generate_series(1, $2::bigint) AS n
"""


async def plan(database: Database, statement: str, *arguments: Any) -> dict[str, Any]:
    """What PostgreSQL did for a statement, rolled back: its top node, timed and counted."""
    async with database.transaction() as session:
        rows = await session.driver.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments)
        await session.driver.execute("ROLLBACK; BEGIN")
    found: dict[str, Any] = rows[0]["Plan"]
    return found


def buffers(found: dict[str, Any]) -> int:
    """Pages that it looked at."""
    return int(found["Shared Hit Blocks"]) + int(found["Shared Read Blocks"])


async def test_a_recipient_that_has_been_down_for_long_costs_nothing_per_append(database: Database) -> None:
    """Pages looked at, with 50,000 rows under way and few waiting: as with 20, but for the height of an index."""
    statements = {
        "lanes": (outbox._LANES,),
        "note": (outbox._NOTE, LANE, 1, BACKLOG, None, AT),
        "oldest": (metrics._OLDEST, [], []),
    }

    async def measured(under_way: int) -> dict[str, int]:
        await database.fetch("DELETE FROM outbox")
        for table in ("lane", "lane_end"):
            await database.fetch(f"DELETE FROM {table}")
        await database.fetch("INSERT INTO lane_end (lane, last) VALUES ($1, $2::bigint + 5)", LANE, under_way)
        await database.fetch("INSERT INTO lane (lane, appended) VALUES ($1, $2)", LANE, under_way)
        await database.fetch(_BACKLOG, LANE, under_way + 5)
        await database.fetch("ANALYZE outbox")
        found = {name: buffers(await plan(database, *each)) for name, each in statements.items()}
        found["waiting"] = buffers(await plan(database, outbox._WORK, LANE, 500))
        return found

    assert await Lease(database, "relay").wait() == 1
    few, many = await measured(20), await measured(BACKLOG)
    assert {name: many[name] - few[name] for name in few if many[name] > few[name] + 12} == {}
    assert min(many["waiting"], few["waiting"]) > 0
    whole = buffers(await plan(database, "SELECT max(created_at) FROM outbox WHERE lane = $1 AND subject = 's'", LANE))
    assert (
        whole > 100 * many["waiting"] / 20
    )  # the control: a query that reads the backlog is told from one that does not


@pytest.mark.parametrize(("count", "beside"), [(2, False), (numbering.MANY + 1, True)])
async def test_others_have_their_turn_while_many_messages_are_signed(
    database: Database, monkeypatch: pytest.MonkeyPatch, count: int, beside: bool
) -> None:
    threads: list[int] = []

    def sign(*given: Any, **named: Any) -> list[Signed]:
        threads.append(threading.get_ident())
        return stamping.sign(*given, **named)

    monkeypatch.setattr(numbering, "sign", sign)
    recipient = "party-law-enforcement.example"
    async with database.transaction() as session:
        drafts = [draft(recipient_instance=LANE, recipient=recipient) for _ in range(count)]
        await outbox.enqueue(session.driver, drafts)
    assert [each != threading.get_ident() for each in threads] == [beside]


async def test_whoever_has_locked_the_lanes_waits_for_no_thread_that_reads_bodies(database: Database) -> None:
    release = threading.Event()
    reading = [asyncio.create_task(asyncio.to_thread(release.wait)) for _ in range(THREADS_MAX + 1)]
    try:
        async with asyncio.timeout(LEAVE_S), database.transaction() as session:
            drafts = [draft(recipient_instance=LANE) for _ in range(numbering.MANY + 1)]
            await outbox.enqueue(session.driver, drafts)
    finally:
        release.set()
        await asyncio.gather(*reading)


async def test_a_note_of_the_relay_changes_one_row_however_much_was_appended(database: Database) -> None:
    await enqueue(database, 30)
    lanes = PostgresLanes(database, fence=await Lease(database, "relay").wait())
    versions = "SELECT count(DISTINCT xmin::text::bigint) AS n, max(xmin::text::bigint) AS newest FROM outbox"
    before = await database.fetch(versions)
    await lanes.note(LANE, Progress(30, AT, 29))
    assert await database.fetch(versions) == before
    assert (await lanes.work(LANE, 10)).rows == []


_PAIR = """
INSERT INTO pair_sequence (sender, recipient, lane, epoch, last, system_id, timeline, file)
VALUES ('a.example', 'b.example', $1, '019df5e6-0000-7000-8000-000000000001', 1000000, 1, 1, 1)
"""
_PASSED = """
INSERT INTO mark (by, sender, recipient, epoch, passed)
SELECT by, 'a.example', 'b.example', '019df5e6-0000-7000-8000-000000000001', int8multirange(int8range(1, $2::bigint))
FROM unnest(ARRAY['audit', $1]) AS by ON CONFLICT (by, sender, recipient, epoch) DO UPDATE SET passed = excluded.passed
"""
_NEXT = _BACKLOG.replace("generate_series(1, $2::bigint)", "generate_series($2::bigint, $2 + $3 - 1)")


async def test_a_snapshot_that_is_held_slows_no_look_for_what_is_oldest_down(
    database: Database, endpoint: DatabaseEndpoint
) -> None:
    """20,000 messages are receipted, marked and gone meanwhile. Compared are pages looked at, not times."""
    oldest, gone = metrics.Oldest(), 0

    async def pass_by(count: int) -> None:
        """So many come and go, and two more are there."""
        nonlocal gone
        await database.fetch("DELETE FROM outbox")
        await database.fetch(_NEXT, LANE, gone + 1, count + 2)
        gone += count
        await database.fetch("UPDATE lane_end SET last = $1", gone + 2)
        await database.fetch("UPDATE lane SET appended = $1", gone + 2)
        await database.fetch("UPDATE outbox SET outcome = 'applied', done = true WHERE position <= $1", gone)
        await database.fetch("DELETE FROM outbox WHERE position <= $1", gone)
        await database.fetch(_PASSED, LANE, gone + 1)
        async with database.transaction() as session:
            ages = await oldest.ages(session.driver, AT)
            marks = await sent_book.PostgresSentBook(session.driver).sent_marks(LANE)
        assert (ages.unsent_s, [each.held for each in marks]) == (0, [gone + 1])

    async def pages(first: tuple[list[str], list[int]]) -> dict[str, int]:
        looks = {"oldest": (metrics._OLDEST, *first), "held": (sent_book._SENT_MARKS, LANE)}
        return {name: buffers(await plan(database, *each)) for name, each in looks.items()}

    await database.fetch("INSERT INTO lane_end (lane, last) VALUES ($1, 0)", LANE)
    await database.fetch("INSERT INTO lane (lane) VALUES ($1)", LANE)
    await database.fetch(_PAIR, LANE)
    await pass_by(20)
    alone = await pages(oldest.seen())
    holder = await asyncpg.connect(endpoint.owner_url)
    await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pair_sequence")
    for _ in range(20):
        await pass_by(1000)
    await database.fetch("ANALYZE outbox")
    held = await pages(oldest.seen())
    await database.fetch("DELETE FROM mark")
    forgotten = await pages(([], []))  # the control: neither a last look nor marks say where to begin
    await holder.close()
    assert {name: count for name, count in held.items() if count > 3 * alone[name]} == {}
    assert {name: count for name, count in forgotten.items() if count <= 30 * alone[name]} == {}


#: As the relay and whoever sends change them, a transaction each.
_CHANGED = """
DO $$ BEGIN FOR each IN 1..2000 LOOP
    UPDATE lane_end SET last = last + 1;
    UPDATE lane SET appended = appended + 1;
    UPDATE pair_sequence SET last = last + 1;
    COMMIT;
END LOOP; END $$
"""
#: `_CHANGED` costs a look so many pages more while a snapshot is held: one for fifty changes.
PAGES_MORE_MAX = 40


async def test_while_a_snapshot_is_held_a_look_at_rows_that_count_passes_a_page_for_fifty_changes(
    database: Database, endpoint: DatabaseEndpoint
) -> None:
    """These rows alone are changed in place, and keep each version meanwhile: no threefold is promised for them.

    The control is the same without a snapshot.
    """
    epoch = UUID("019df5e6-0000-7000-8000-000000000001")
    looks = {
        "lanes": (outbox._LANES,),
        "waiting": (outbox._WORK, LANE, 500),
        "note": (outbox._NOTE, LANE, 1, 10_000_000, None, AT),
        "positions": (numbering._POSITIONS, [LANE], [1]),
        "numbers": (epochs._COUNT, ["a.example"], ["b.example"], [LANE], [1], [epoch], []),
        "oldest": (metrics._OLDEST, [LANE], [1]),
        "held": (sent_book._SENT_MARKS, LANE),
    }

    async def pages() -> dict[str, int]:
        await owner.execute(_CHANGED)
        return {name: buffers(await plan(database, *each)) for name, each in looks.items()}

    assert await Lease(database, "relay").wait() == 1
    await database.fetch("INSERT INTO lane_end (lane, last) VALUES ($1, 0)", LANE)
    await database.fetch("INSERT INTO lane (lane) VALUES ($1)", LANE)
    await database.fetch(_PAIR, LANE)
    owner, holder = await asyncpg.connect(endpoint.owner_url), await asyncpg.connect(endpoint.owner_url)
    await owner.execute("VACUUM outbox, mark, lane, lane_end, pair_sequence")  # of what other tests have left
    await owner.execute(f"UPDATE pair_sequence AS p SET (system_id, timeline, file) = (SELECT * FROM {epochs.HERE})")
    alone = await pages()
    await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pair_sequence")
    held = await pages()
    await owner.close()
    await holder.close()
    assert {name: count for name, count in alone.items() if count > 12} == {}
    assert {name: count - alone[name] for name, count in held.items() if count > alone[name] + PAGES_MORE_MAX} == {}
    assert {name: count for name, count in held.items() if count <= 3 * alone[name]} == {}
