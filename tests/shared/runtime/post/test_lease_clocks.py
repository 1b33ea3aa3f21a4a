"""The database's clock goes back after a lease was renewed, and its holder is gone: it keeps nobody waiting."""

from __future__ import annotations

from shared.kernel.ids import uuid4
from shared.runtime.database.transactions import Database
from shared.runtime.post.cursors import PostgresCursors
from shared.runtime.post.lease import Lease

TOPICS = ["a", "b"]


async def set_back(database: Database, table: str, *, hours: int) -> None:
    """What was noted lies so far ahead from now on."""
    async with database.transaction() as session:
        await session.driver.execute(f"UPDATE {table} SET until = until + interval '1 hour' * $1", hours)


async def test_a_lease_of_a_clock_that_was_ahead_keeps_nobody_from_publishing(database: Database) -> None:
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM lease")
    assert await Lease(database, "relay").take() == 1
    assert await Lease(database, "relay").take() is None, "control: as long as it stands"
    await set_back(database, "lease", hours=1)
    assert await Lease(database, "relay").take() == 2
    assert await Lease(database, "relay").take() is None


async def test_readers_and_topics_of_a_clock_that_was_ahead_are_nobodys(database: Database) -> None:
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM topic_lease; DELETE FROM topic_reader")
    dead, here, cursors = uuid4(), uuid4(), PostgresCursors(database)
    assert await cursors.lease(TOPICS, holder=dead) == set(TOPICS)
    assert await cursors.lease(TOPICS, holder=here) == set(), "control: as long as they stand"
    await set_back(database, "topic_lease", hours=1)
    await set_back(database, "topic_reader", hours=1)
    for _ in range(2):
        assert await cursors.lease(TOPICS, holder=here) == set(TOPICS)


async def test_who_reads_when_the_clock_goes_back_reads_on(database: Database) -> None:
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM topic_lease; DELETE FROM topic_reader")
    here, cursors = uuid4(), PostgresCursors(database)
    for _ in range(2):
        assert await cursors.lease(TOPICS, holder=here) == set(TOPICS)
        await set_back(database, "topic_lease", hours=1)
        await set_back(database, "topic_reader", hours=1)
