"""One process reads for audit and another is on standby. No stored message is stored again or lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from services.audit.bus import BACK_OFF_S, AckWriter, AuditConsumer
from services.audit.domain.reading import Reading
from shared.catalog import CATALOG
from shared.core.clock import SystemClock
from shared.core.errors import Unavailable
from shared.core.protocol.message import Record
from shared.platform.database.lease import ProcessLease
from shared.platform.database.transactions import Database
from tests.services.audit.broker import Broker, Topic
from tests.services.audit.log import Log, without_streams
from tests.services.audit.test_acknowledgements import Topics
from tests.services.audit.test_intake import TO_AUDIT, facts, kept, opening
from tests.support.exchange_world import TOPICS
from tests.support.running import until


class Watched(Broker):
    """A broker that signals when it is read."""

    def __init__(self, topics: Iterable[str]) -> None:
        super().__init__({name: Topic(name) for name in topics})
        self.read = asyncio.Event()

    async def batch(self, wait_s: float) -> list[Record]:
        self.read.set()
        return await super().batch(wait_s)


def door(log: Log, broker: Broker, topics: Topics | None = None) -> AuditConsumer:
    clock = SystemClock()
    return AuditConsumer(
        broker,  # type: ignore[arg-type]
        log.entries,
        log.partitions,
        reading=Reading(log.world.shelf, [log.world.keys["audit"].opening], clock, CATALOG),
        acks=AckWriter(log.entries, topics or Topics(), key=log.world.keys["audit"].signing, clock=clock),
        lease=ProcessLease(log.database, "reader"),
        clock=clock,
    )


async def change_lease(database: Database, changes: str) -> None:
    """Change the lease row, as another process of audit does."""
    async with database.transaction() as session:
        await session.driver.execute(f"UPDATE process_lease SET {changes} WHERE name = 'reader'")


@asynccontextmanager
async def read_by_another(database: Database) -> AsyncIterator[None]:
    """Let another process of audit hold the lease and renew it."""
    await change_lease(
        database, "holder = uuidv7(), fencing_token = fencing_token + 1, expires_at = now() + interval '10 s'"
    )

    async def keep() -> None:
        while True:
            await change_lease(database, "expires_at = now() + interval '10 s'")
            await asyncio.sleep(0.5)

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await change_lease(database, "expires_at = now() - interval '1 s'")


async def stands_by(here: AuditConsumer) -> bool:
    return (await here.check()).reason == "standing_by"


@pytest.mark.timing
async def test_a_second_reader_stands_by_and_takes_over_when_the_first_is_gone(database: Database) -> None:
    log = Log(database)
    readers = [Watched(TOPICS), Watched(TOPICS)]
    doors = [door(log, reader) for reader in readers]
    first = asyncio.create_task(doors[0].run())
    await readers[0].read.wait()
    second = asyncio.create_task(doors[1].run())

    await until(lambda: stands_by(doors[1]))
    assert (await doors[1].check()).ok
    assert not readers[1].read.is_set()

    first.cancel()
    await asyncio.wait([first])
    await asyncio.wait_for(readers[1].read.wait(), 60)
    second.cancel()
    await asyncio.wait([second])


@pytest.mark.timing
async def test_a_reader_whose_lease_was_taken_stands_by_and_reads_again_after_that(
    database: Database,
) -> None:
    log = Log(database)
    reader = Watched(TOPICS)
    here = door(log, reader)
    reading = asyncio.create_task(here.run())
    await reader.read.wait()
    async with read_by_another(database):
        await until(lambda: stands_by(here))
        reader.read.clear()
        await asyncio.sleep(2 * BACK_OFF_S)
        assert not reader.read.is_set()
    await asyncio.wait_for(reader.read.wait(), 60)
    reading.cancel()
    await asyncio.wait([reading])


async def test_two_readers_of_a_new_stream_keep_each_message_once(database: Database) -> None:
    """A process that was believed dead returns. One of the two writes, and the other begins again."""
    log, broker = await without_streams(database), Broker()
    broker.append(*opening(log, TO_AUDIT), *facts(log, 30))

    async def take() -> None:
        for _ in range(3):
            try:
                await log.take(broker)
            except Unavailable:
                continue

    await asyncio.gather(take(), take(), take())
    assert [row["number"] for row in await kept(log)] == [1, *range(1, 31)]


@pytest.mark.timing
async def test_the_reader_alone_acknowledges_and_stops_with_its_lease(database: Database) -> None:
    log = await without_streams(database)
    broker, topics = Watched(TOPICS), Topics()
    broker.append(*opening(log, TO_AUDIT), *facts(log, 2))
    here = door(log, broker, topics)
    reading = asyncio.create_task(here.run())
    await until(lambda: asyncio.sleep(0.01, [ack.lanes[1].through for ack in topics.acks(log)] == [2]))
    async with read_by_another(database):
        await until(lambda: stands_by(here))
        assert topics.is_closed
    reading.cancel()
    await asyncio.wait([reading])
