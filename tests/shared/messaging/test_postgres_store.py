"""Messaging in PostgreSQL alone: locks, statements, row writes, plans and the partitions of days."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date, timedelta
from typing import NamedTuple
from unittest.mock import patch
from uuid import UUID

import asyncpg
import pytest

from deploy.site.endpoints import DatabaseEndpoint
from shared.core.errors import Unavailable
from shared.core.ids import uuid7
from shared.delivery.upkeep_loop import ASKED
from shared.messaging.ports import OperatorKind, OperatorLine
from shared.messaging.resync import HOLDINGS_PAUSE
from shared.messaging.store import PostgresMessagingTx
from shared.messaging.streams import Incoming, Lane, LaneEnd, Outgoing, Pair, Source, SourceLane
from shared.platform.database.transactions import Database, Session, write_parts
from tests.support.messaging_stores import (
    AT,
    OWN,
    TODAY,
    MessagingStore,
    begin_streams,
    build_exception,
    messaging_database,
    opened_database,
    place_messages,
    postgres_store,
    run_as_owner,
)
from tests.support.running import until

PEERS = ("industry", "police")
PAIR = Pair("industry", OWN)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with messaging_database(tmp_path_factory.mktemp("messaging")) as running:
        yield running


@pytest.fixture
async def database(endpoint: DatabaseEndpoint) -> AsyncIterator[Database]:
    async with opened_database(endpoint) as database:
        yield database
    for partition in await partitions(endpoint):
        await run_as_owner(endpoint, f"DROP TABLE {partition}")


@pytest.fixture
def stores(database: Database) -> MessagingStore:
    return postgres_store(database)


async def begin(stores: MessagingStore) -> dict[str, Outgoing]:
    streams = {peer: begin_streams(peer) for peer in PEERS}
    async with stores.transaction() as tx:
        await tx.save_outgoing(list(streams.values()))
    return streams


async def send(stores: MessagingStore, *peers: str, day: date = TODAY) -> None:
    async with stores.transaction() as tx:
        loaded = await tx.load_outgoing(peers, lock=True)
        segments = [place_messages(loaded[peer], 2, day=day) for peer in peers]
        await tx.save_outgoing(list(loaded.values()), segments)


async def partitions(endpoint: DatabaseEndpoint) -> list[str]:
    owner = await asyncpg.connect(endpoint.owner_url)
    text = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'segment'::regclass ORDER BY 1"
    names = [row["name"] for row in await owner.fetch(text)]
    await owner.close()
    return [name for name in names if name != "segment_rest"]


async def test_two_transactions_that_send_to_two_peers_in_opposite_order_both_commit(
    stores: MessagingStore, database: Database
) -> None:
    """Both wait for the first peer. If one had locked the second peer before, each would wait for the other."""
    await begin(stores)
    async with AsyncExitStack() as stack:
        tx = await stack.enter_async_context(stores.transaction())
        await tx.load_outgoing(PEERS[:1], lock=True)
        sends = [asyncio.create_task(send(stores, *peers)) for peers in (PEERS, PEERS[::-1])]
        await until_sessions_wait(database, len(sends))
    await asyncio.gather(*sends)
    async with stores.transaction() as tx:
        loaded = await tx.load_outgoing(None, lock=False)
    assert [loaded[peer].lanes[Lane.ORDINARY].last for peer in PEERS] == [4, 4]


async def until_sessions_wait(database: Database, count: int) -> None:
    """Return as soon as `count` sessions wait for a lock."""
    while True:
        if len(await database.fetch("SELECT FROM pg_locks WHERE NOT granted")) >= count:
            return
        await asyncio.sleep(0.01)


async def test_a_transaction_waits_for_another_that_sends_to_the_same_peer(
    stores: MessagingStore, database: Database
) -> None:
    await begin(stores)
    async with AsyncExitStack() as stack:
        tx = await stack.enter_async_context(stores.transaction())
        [outgoing] = (await tx.load_outgoing(PEERS[:1], lock=True)).values()
        waiting = asyncio.create_task(send(stores, *PEERS))
        await until_sessions_wait(database, 1)
        await tx.save_outgoing([outgoing], [place_messages(outgoing, 3)])
    await waiting
    async with stores.transaction() as tx:
        chain = (await tx.load_outgoing(PEERS, lock=False))[PEERS[0]].lanes[Lane.ORDINARY].chain
        segments = await tx.list_segments(PEERS[0], outgoing.incarnation, Lane.ORDINARY, above=0, messages_max=9)
    assert [segment.first for segment in segments] == [1, 4]
    assert segments[1].chain_before == segments[0].chain
    assert segments[1].chain == chain


async def test_of_two_transactions_that_begin_the_same_streams_one_is_superseded(stores: MessagingStore) -> None:
    async with stores.transaction() as first:
        assert await first.load_outgoing(PEERS[:1], lock=True) == {}
        await begin(stores)
        with pytest.raises(Unavailable, match="messaging_superseded"):
            await first.save_outgoing([begin_streams(PEERS[0])])


async def test_a_consumer_that_read_without_a_lock_is_superseded(stores: MessagingStore) -> None:
    for _ in ("a new pair", "a stored pair"):
        async with stores.transaction() as slow:
            incoming = await slow.load_incoming(PAIR, lock=False)
            await take_one(stores)
            incoming.lanes[0].next_offset += 1
            with pytest.raises(Unavailable, match="messaging_superseded"):
                await slow.save_incoming(incoming)


async def test_a_consumer_that_waited_for_a_lock_knows_all_behind_it(
    stores: MessagingStore, database: Database
) -> None:
    await take_one(stores)
    async with AsyncExitStack() as stack:
        tx = await stack.enter_async_context(stores.transaction())
        incoming = await tx.load_incoming(PAIR, lock=True)
        incoming.enter(begin_streams().incarnation, AT)
        incoming.enter(begin_streams().incarnation, AT)
        waiting = asyncio.create_task(list_locked(stores))
        await until_sessions_wait(database, 1)
        await tx.add_exceptions([build_exception()])
        incoming.lanes[0].next_offset += 1
        await tx.save_incoming(incoming)
    found, listed = await waiting
    assert (found.closed, found.lanes[0].next_offset) == (incoming.closed, 2)
    assert (found.exception_counts, listed) == ((0, 1), 1)


async def list_locked(stores: MessagingStore) -> tuple[Incoming, int]:
    """Return a locked pair as it was loaded, and how many exceptions are listed."""
    async with stores.transaction() as tx:
        incoming = await tx.load_incoming(PAIR, lock=True)
        return incoming, len(await tx.list_exceptions(writer=PAIR.writer))


async def take_one(stores: MessagingStore) -> Incoming:
    async with stores.transaction() as tx:
        incoming = await tx.load_incoming(PAIR, lock=True)
        incoming.lanes[0].next_offset += 1
        await tx.save_incoming(incoming)
    return incoming


class Work(NamedTuple):
    """The statements of one transaction, and the rows that it wrote, by table."""

    statements: list[str]
    rows: dict[str, int]


@asynccontextmanager
async def counted_work(database: Database) -> AsyncIterator[tuple[PostgresMessagingTx, Work]]:
    async with database.transaction(keeps_plans=True) as session:
        work, before = Work([], {}), await row_writes(session)
        with session.driver.query_logger(lambda record: work.statements.append(record.query)):
            yield PostgresMessagingTx(session, OWN), work
        after = await row_writes(session)
        work.rows.update({table: count - before[table] for table, count in after.items() if count != before[table]})


async def row_writes(session: Session) -> dict[str, int]:
    rows = await session.driver.fetch(
        "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS written FROM pg_stat_xact_user_tables"
    )
    return {row["relname"]: row["written"] for row in rows}


async def test_a_send_is_two_statements_and_two_rows_a_stream(stores: MessagingStore, database: Database) -> None:
    await begin(stores)
    await send(stores, *PEERS)
    async with counted_work(database) as (tx, work):
        loaded = await tx.load_outgoing(PEERS, lock=True)
        segments = [place_messages(loaded[peer], 100) for peer in PEERS]
        await tx.save_outgoing(list(loaded.values()), segments)
    assert len(work.statements) == 2
    assert work.rows == {"stream": 2, "segment_rest": 2}


async def test_a_consumed_batch_is_two_statements_and_one_row(stores: MessagingStore, database: Database) -> None:
    await take_one(stores)
    async with counted_work(database) as (tx, work):
        incoming = await tx.load_incoming(PAIR, lock=True)
        incoming.lanes[1].next_offset += 100
        await tx.save_incoming(incoming)
        await write_parts(tx.session.driver)
    assert len(work.statements) == 2
    assert work.rows == {"receive_state": 1}


async def test_the_account_has_all_that_was_read(stores: MessagingStore, endpoint: DatabaseEndpoint) -> None:
    present, closed, unread = uuid7(), uuid7(), uuid7()
    async with stores.transaction() as tx:
        await tx.save_incoming(await tx.load_incoming(Pair("police", OWN), lock=True))
        incoming = await tx.load_incoming(PAIR, lock=True)
        incoming.incarnation, incoming.closed[closed] = present, (LaneEnd(4, b"u"), LaneEnd(9, b"o"))
        await tx.save_incoming(incoming)
        await tx.add_known(PAIR.writer, unread)
    owner = await asyncpg.connect(endpoint.owner_url)
    account = await owner.fetch("SELECT writer, incarnation, lane, taken FROM receive_account ORDER BY taken, lane")
    await owner.close()
    ends = [(present, 0, 0), (present, 1, 0), (closed, 0, 4), (closed, 1, 9)]
    assert [tuple(row) for row in account] == [(PAIR.writer, *end) for end in ends]


async def test_exceptions_are_not_looked_for_where_a_writer_has_none(
    stores: MessagingStore, database: Database
) -> None:
    await take_one(stores)
    async with counted_work(database) as (tx, work):
        await tx.load_incoming(PAIR, lock=True)
        assert await tx.list_exceptions(writer=PAIR.writer) == []
    assert len(work.statements) == 1
    async with stores.transaction() as tx:
        await tx.load_incoming(PAIR, lock=True)
        await tx.add_exceptions([build_exception()])
        assert len(await tx.list_exceptions(writer=PAIR.writer)) == 1


async def test_rows_that_are_written_again_and_again_stay_on_their_page(
    stores: MessagingStore, database: Database
) -> None:
    await begin(stores)
    before = await updates(database)
    for _ in range(50):
        await send(stores, *PEERS)
        await take_one(stores)
    after = await updates(database)
    for table, count in (("stream", 100), ("receive_state", 49)):
        updated, in_place = (now - then for now, then in zip(after[table], before.get(table, (0, 0)), strict=True))
        assert updated == count
        assert in_place >= 0.95 * updated


async def updates(database: Database) -> dict[str, tuple[int, int]]:
    """Return the updates, and those on the same page, by table. All sessions of the pool have one connection."""
    await database.fetch("SELECT pg_stat_force_next_flush()")
    rows = await database.fetch("SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables")
    return {row["relname"]: (row["n_tup_upd"], row["n_tup_hot_upd"]) for row in rows}


async def test_days_have_partitions_that_are_made_ahead_and_take_over_segments(
    endpoint: DatabaseEndpoint, stores: MessagingStore, database: Database
) -> None:
    outgoing = (await begin(stores))[PEERS[0]]
    await send(stores, *PEERS)
    for _ in range(2):
        await database.fetch("SELECT make_segment_days($1, 2)", TODAY)
    await send(stores, *PEERS)
    await send(stores, *PEERS, day=TODAY + timedelta(days=1))
    await send(stores, *PEERS, day=TODAY + timedelta(days=2))
    assert await partitions(endpoint) == ["segment_2030_05_01", "segment_2030_05_02"]
    counts = "SELECT tableoid::regclass::text AS name, count(*) AS n FROM segment GROUP BY 1 ORDER BY 1"
    assert {row["name"]: row["n"] for row in await database.fetch(counts)} == {
        "segment_2030_05_01": 4, "segment_2030_05_02": 2, "segment_rest": 2,
    }  # fmt: skip
    async with stores.transaction() as tx:
        found = await tx.list_segments(PEERS[0], outgoing.incarnation, Lane.ORDINARY, above=0, messages_max=99)
    assert [segment.first for segment in found] == [1, 3, 5, 7]


async def test_a_segment_that_meets_a_partition_in_the_making_is_unavailable_and_stored_by_the_next_try(
    stores: MessagingStore, database: Database
) -> None:
    await begin(stores)
    async with database.transaction() as session:
        await session.driver.execute("SELECT make_segment_days($1, 1)", TODAY)
        sending = asyncio.create_task(send(stores, PEERS[0]))
        await until(lambda: database.fetch("SELECT FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'"))
    with pytest.raises(Unavailable, match="database_unavailable"):
        await sending
    await send(stores, PEERS[0])


async def test_a_day_is_dropped_once_no_stream_keeps_a_number_of_it(
    endpoint: DatabaseEndpoint, stores: MessagingStore, database: Database
) -> None:
    outgoing = (await begin(stores))[PEERS[0]]
    await database.fetch("SELECT make_segment_days($1, 1)", TODAY)
    for day in range(3):
        await send(stores, *PEERS, day=TODAY + timedelta(days=day))
    for kept_above in (0, 1):
        await keep_above(stores, kept_above)
        with pytest.raises(asyncpg.RaiseError, match="still kept"):
            await drop_through(database, TODAY)
    await keep_above(stores, 4)
    await drop_through(database, TODAY)
    assert await partitions(endpoint) == []
    await drop_through(database, TODAY + timedelta(days=1))
    with pytest.raises(asyncpg.RaiseError, match="still kept"):
        await drop_through(database, TODAY + timedelta(days=2))
    async with stores.transaction() as tx:
        [kept] = await tx.list_segments(PEERS[0], outgoing.incarnation, Lane.ORDINARY, above=0, messages_max=99)
    assert kept.first == 5


async def test_a_day_stays_while_a_former_incarnation_of_it_is_carried(
    stores: MessagingStore, database: Database
) -> None:
    before = (await begin(stores))[PEERS[0]]
    await send(stores, PEERS[0])
    lanes = (SourceLane(0, 0, b"", 0), SourceLane(0, 2, b"", 0))
    for sources in ([Source(before.incarnation, lanes)], []):
        async with stores.transaction() as tx:
            await tx.load_outgoing(PEERS[:1], lock=True)
            later = begin_streams(PEERS[0])
            later.sources = sources
            await tx.save_outgoing([later])
        if sources:
            with pytest.raises(asyncpg.RaiseError, match="still kept"):
                await drop_through(database, TODAY)
    await drop_through(database, TODAY)
    assert await database.fetch("SELECT FROM segment") == []


async def keep_above(stores: MessagingStore, number: int) -> None:
    async with stores.transaction() as tx:
        loaded = await tx.load_outgoing(None, lock=True)
        for outgoing in loaded.values():
            outgoing.lanes[Lane.ORDINARY].kept_above = number
        await tx.save_outgoing(list(loaded.values()))


async def drop_through(database: Database, day: date) -> None:
    await database.fetch("SELECT drop_segment_days($1)", day)


async def test_the_open_lines_of_a_peer_are_counted_once_in_a_transaction(stores: MessagingStore) -> None:
    async with stores.transaction() as tx:
        with patch.object(tx, "_driver", wraps=tx._driver) as driver:
            for number in range(3):
                await tx.add_operator_lines([OperatorLine(OperatorKind.UNKNOWN, PEERS[0], UUID(int=number))])
        assert driver.fetch.call_count == 1
        assert len(await tx.list_operator_lines()) == 3


async def test_upkeep_reads_the_requests_that_may_be_answered_now(database: Database) -> None:
    """One an hour. A time in the future is of a clock that was set back."""
    ago = {"new": None, "hour": timedelta(hours=1), "minute": timedelta(minutes=1), "ahead": -timedelta(minutes=1)}
    add = "INSERT INTO resync_state VALUES ($1, $2, false, $3, NULL, NULL, '', NULL, 0, '')"
    async with database.transaction() as session:
        for peer, since in ago.items():
            await session.driver.execute(add, peer, uuid7(), None if since is None else AT - since)
        await session.driver.execute(add, "unasked", None, None)
    rows = await database.fetch(ASKED, AT, HOLDINGS_PAUSE)
    assert {row["peer"] for row in rows} == {"new", "hour", "ahead"}
