"""The Kafka door: reads every topic by its own cursors, not by a group, and keeps every record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from services.audit import use_cases
from services.audit.ports import Entries
from shared.envelope.batch import RootCache
from shared.envelope.keys import VerifyKey
from shared.exchange.message import Record
from shared.kernel.clock import Clock
from shared.kernel.errors import Unavailable
from shared.routing.directory_index import DirectoryIndex
from shared.runtime.bus import traceparents
from shared.runtime.health import Check
from shared.runtime.logs import log
from shared.runtime.reader import Coordinate, LogReader
from shared.runtime.telemetry import span

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
        directory: Callable[[], DirectoryIndex],
        clock: Clock,
    ) -> None:
        self._reader_of = reader_of
        self._entries = entries
        self._directory = directory
        self._clock = clock
        self._roots = RootCache()
        self._last_look: datetime | None = None

    async def run(self) -> None:
        """Keep records until cancelled; outages and new generations are waited out and followed."""
        while True:
            try:
                await self._follow(self._reader_of(self._directory().topics()))
            except Unavailable as error:
                log("broker_waits", code=error.code)
                await asyncio.sleep(BACK_OFF_S)

    async def check(self) -> Check:
        """Ready: the reader is connected and looked for news in the last seconds."""
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
                    with span("batch.consume", links=traceparents(records), attributes={"batch_records": len(records)}):
                        await self._keep(records, generations)

    async def _keep(self, records: Sequence[Record], generations: Mapping[str, UUID]) -> None:
        directory = self._directory()

        def key_of(sender: str, key_id: str) -> VerifyKey | None:
            entry, served_by = directory.signing_key(key_id), directory.instance_of(sender)
            may_sign = entry is not None and entry.owner in (sender, served_by.id if served_by else sender)
            return _verify_key(entry.public) if entry is not None and may_sign else None

        await use_cases.keep(records, generations=generations, entries=self._entries, keys=key_of, roots=self._roots)


@lru_cache(1024)
def _verify_key(public: bytes) -> VerifyKey:
    return VerifyKey(public)
