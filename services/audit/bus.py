"""The Kafka door: reads every topic by its own cursors, not by a group, and keeps every record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import datetime
from typing import Final
from uuid import UUID

from services.audit import use_cases
from services.audit.domain import Reading
from services.audit.ports import Entries
from shared.exchange.correspondents import pairs_of
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
    """Keeps what is in any inbox, each generation of a topic from its first record on, and those made meanwhile too."""

    def __init__(
        self,
        reader: LogReader,
        entries: Entries,
        *,
        reading: Reading,
        sole: Callable[[], AbstractAsyncContextManager[None]],
        clock: Clock,
    ) -> None:
        """`sole` is entered to read: it raises `Unavailable("held_elsewhere")` where another process reads."""
        self._reader = reader
        self._entries = entries
        self._reading = reading
        self._sole = sole
        self._clock = clock
        self._last_look: datetime | None = None
        self._standing_by = False
        self._read: AbstractSet[str] = frozenset()

    async def run(self) -> None:
        """Keep records until cancelled; outages and new generations are waited out and followed.

        One process reads; any other stands by and takes over when the first has gone.
        """
        while True:
            try:
                async with self._sole():
                    self._standing_by = False
                    await self._follow()
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
        # A topic may be about to be made, or its right is missing: the operator's to see, no reason to stop.
        wanted = {pair.topic for pair in pairs_of(self._directory().kinds())}
        return Check("reader", True, "" if wanted <= self._read else "topics_missing")

    async def _follow(self) -> None:
        # Judged by no directory, what is read would stand there as unverified for ever: wait for one.
        self._directory()
        generations = await self._reader.topic_ids()
        self._read = generations.keys()
        kept = await self._entries.cursors()
        cursors = {
            Coordinate(place.topic, place.partition): following
            for place, following in kept.items()
            if generations.get(place.topic) == place.generation
        }
        async with aclosing(self._reader.follow(cursors, generations)) as batches:
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
            reading=self._reading,
        )

    def _directory(self) -> DirectoryIndex:
        """The one in force now. Raises `Unavailable` before the first."""
        return self._reading.shelf.directories.active(self._clock.now())
