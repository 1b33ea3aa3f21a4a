"""When the relay looks: at once when it is woken, once for all that gathers, and again while there is more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

from shared.kernel.clock import ManualClock
from shared.kernel.ids import uuid7
from shared.runtime.post.ports import OutboxRow
from shared.runtime.post.relay import Relay, RelaySettings
from tests.shared.runtime.builders import KEY
from tests.support.builders import AT, TOPIC, draft
from tests.support.memory_stores import MemoryDatabase, MemoryLog, MemoryLogWriter, MemoryOutbox

pytestmark = pytest.mark.timing

#: A guard against a test that would wait for ever.
PATIENCE_S = 20.0


async def until(holds: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - there is nothing here that could tell
            await asyncio.sleep(0.001)


class CountedOutbox(MemoryOutbox):
    """An outbox that counts how often it is looked into for new rows."""

    looks = 0

    async def unstamped(self, limit: int, *, without: Sequence[str] = ()) -> list[OutboxRow]:
        self.looks += 1
        return await super().unstamped(limit, without=without)


class Running:
    """A relay at work that never polls, over an outbox and a log in memory."""

    def __init__(self) -> None:
        clock = ManualClock(AT)
        self.database = MemoryDatabase()
        self.log = MemoryLog(clock, partitions=1)
        self.outbox = CountedOutbox(self.database, instance="hotline", key=KEY)
        writer: MemoryLogWriter[MemoryLog] = MemoryLogWriter(self.log, instance="hotline")
        settings = RelaySettings(batch_rows_max=2, poll_s=3600, gather_s=0.05)
        self.relay = Relay(self.outbox, writer, clock=clock, decide_again=cast(Any, None), settings=settings)

    async def enqueue(self, count: int) -> None:
        async with self.database.transaction("enqueue") as state:
            self.database.enqueue(state, [draft(uuid7(), topic=TOPIC) for _ in range(count)])

    async def sent(self, count: int) -> None:
        """Return when so many records are in the log."""
        await until(lambda: len(self.log.partitions.get((TOPIC, 0), [])) >= count)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        working = asyncio.create_task(self.relay.run())
        await until(lambda: self.outbox.looks > 0)
        try:
            yield
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working


@pytest.fixture
def running() -> Running:
    return Running()


async def test_what_gathers_is_sent_without_a_poll_and_looked_for_once(running: Running) -> None:
    async with running.at_work():
        before = running.outbox.looks
        await running.enqueue(1)
        running.relay.wake_soon()
        running.relay.wake_soon()
        await running.sent(1)
        assert running.outbox.looks == before + 1
        await running.enqueue(1)
        running.relay.wake_soon()
        await running.sent(2)


async def test_one_wake_is_enough_for_more_than_a_batch(running: Running) -> None:
    async with running.at_work():
        await running.enqueue(5)
        running.relay.wake()
        await running.sent(5)


async def test_behind_what_a_predecessor_stamped_new_rows_are_sent_without_a_poll(running: Running) -> None:
    await running.enqueue(1)
    await running.outbox.stamp(await running.outbox.unstamped(1))
    await running.enqueue(1)
    running.outbox.looks = 0
    async with running.at_work():
        await running.sent(2)
