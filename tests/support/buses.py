"""A bus over a consumer that only collects, for tests of what comes in and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

from tests.support.memory_cursors import MemoryCursors

from shared.exchange.message import Record
from shared.kernel.clock import SystemClock
from shared.runtime.kafka.access import KafkaAccess
from shared.runtime.kafka.bus import Bus
from shared.runtime.post.arrivals import Cursor, Step, Superseded
from shared.runtime.post.consumer import Consumer


class Collected:
    """Stands for the consumer: keeps what it is handed, and fails while it is told to."""

    def __init__(self, like: Collected | None = None) -> None:
        """Over a database of its own, or over that of another process of the same instance (`like`)."""
        self.cursors: dict[tuple[str, int], Cursor] = {} if like is None else like.cursors
        self.store = MemoryCursors(lambda: self.cursors, SystemClock().now) if like is None else like.store
        self.records: list[Record] = []
        self.failures: list[Exception] = []
        self.calls = 0
        self.pause = asyncio.Event()
        self.pause.set()

    async def consume(self, records: Sequence[Record], steps: Sequence[Step] = ()) -> None:
        self.calls += 1
        await self.pause.wait()
        if self.failures:
            raise self.failures.pop(0)
        self._move(steps)
        self.records += records

    async def take_up(self) -> int:
        return 0

    def _move(self, steps: Sequence[Step]) -> None:
        """What the transaction does."""
        for step in steps:
            held = self.cursors[step.after.topic, step.after.partition]
            if (held.topic_id, held.following) != (step.after.topic_id, step.first):
                raise Superseded
        self.cursors |= {(step.after.topic, step.after.partition): step.after for step in steps}

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]


def bus_of(access: KafkaAccess, topic: str, consumer: Collected) -> Bus:
    """The bus of the instance that reads the topic."""
    return Bus(access, topic.split(".")[2], cast(Consumer, consumer), cursors=consumer.store, clock=SystemClock())


@asynccontextmanager
async def running(bus: Bus) -> AsyncIterator[None]:
    task = asyncio.create_task(bus.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)
