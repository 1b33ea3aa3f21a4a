"""The Kafka door: reads every topic by its own cursors, not by a group, and keeps every record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import datetime
from typing import Final
from uuid import UUID

from services.audit import use_cases
from services.audit.ports import Entries
from shared.envelope.batch import RootCache
from shared.exchange.message import Record
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.database.transactions import HELD_ELSEWHERE
from shared.runtime.kafka.reader import LogReader
from shared.runtime.post.ports import Coordinate
from shared.runtime.watch.health import Check
from shared.runtime.watch.logs import log
from shared.runtime.watch.telemetry import span, traceparents

#: A reader that did not look for records for so long is not reading.
LOOK_S_MAX: Final = 5.0
BACK_OFF_S: Final = 0.5


class AuditDoor:
    """Keeps all topics of the directory's instances, each generation of a topic from its first record on."""

    def __init__(
        self,
        reader_of: Callable[[Sequence[str]], LogReader],
        entries: Entries,
        *,
        directory_at: Callable[[datetime], DirectoryIndex],
        sole: Callable[[], AbstractAsyncContextManager[None]],
        clock: Clock,
    ) -> None:
        """`sole` is entered to read: it raises `Unavailable("held_elsewhere")` where another process reads."""
        self._reader_of = reader_of
        self._entries = entries
        self._directory_at = directory_at
        self._sole = sole
        self._clock = clock
        self._roots = RootCache()
        self._last_look: datetime | None = None
        self._standing_by = False

    async def run(self) -> None:
        """Keep records until cancelled; outages and new generations are waited out and followed.

        One process reads; any other stands by and takes over when the first has gone.
        """
        while True:
            try:
                async with self._sole():
                    self._standing_by = False
                    await self._follow(self._reader_of(self._directory_at(self._clock.now()).topics()))
            except Unavailable as error:
                self._standing_by = error.code == HELD_ELSEWHERE
                if not self._standing_by:
                    log("broker_waits", code=error.code)
                await asyncio.sleep(BACK_OFF_S)

    async def check(self) -> Check:
        """Ready: the reader is connected and looked for news in the last seconds, or another process is the reader."""
        if self._standing_by:
            return Check("reader", True, "standing_by")
        looked = self._last_look
        if looked is None or (self._clock.now() - looked).total_seconds() > LOOK_S_MAX:
            return Check("reader", False, "not_reading")
        return Check("reader", True)

    async def _follow(self, reader: LogReader) -> None:
        generations = await reader.topic_ids()
        kept = await self._entries.cursors()
        cursors = {
            Coordinate(place.topic, place.partition): following
            for place, following in kept.items()
            if generations.get(place.topic) == place.generation
        }
        async with aclosing(reader.follow(cursors, generations)) as batches:
            async for records in batches:
                self._last_look = self._clock.now()
                if records:
                    with span(
                        "batch.consume",
                        links=traceparents(each.headers for each in records),
                        attributes={"batch_records": len(records)},
                    ):
                        await self._keep(records, generations)

    async def _keep(self, records: Sequence[Record], generations: Mapping[str, UUID]) -> None:
        await use_cases.keep(
            records,
            generations=generations,
            entries=self._entries,
            directory_at=self._directory_at,
            now=self._clock.now(),
            roots=self._roots,
        )
