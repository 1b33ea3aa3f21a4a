"""One process reads for audit; another stands by, and nothing that was kept is kept again or lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.audit.app import READER_LOCK
from services.audit.bus import AuditDoor
from services.audit.ports import Place
from shared.exchange.message import Record
from shared.kernel.clock import SystemClock
from shared.runtime.database import Database
from tests.services.audit.log import Log
from tests.support.exchange_world import TOPICS
from tests.support.running import until


@dataclass
class QuietReader:
    """Reads topics in which nothing happens, and says that it reads."""

    log: Log
    follows: asyncio.Event = field(default_factory=asyncio.Event)

    async def topic_ids(self) -> dict[str, Any]:
        return dict.fromkeys(TOPICS.values(), self.log.generation)

    async def follow(self, _cursors: object, _ids: object) -> AsyncIterator[list[Record]]:
        while True:
            self.follows.set()
            yield []
            await asyncio.sleep(0.01)


def door(log: Log, reader: QuietReader) -> AuditDoor:
    def reader_of(_topics: Sequence[str]) -> Any:
        return reader

    return AuditDoor(
        reader_of,
        log.entries,
        directory_at=log.world.shelf.directories.active,
        sole=lambda: log.database.sole(READER_LOCK),
        clock=SystemClock(),
    )


async def test_a_second_reader_stands_by_and_takes_over_when_the_first_is_gone(database: Database) -> None:
    log = Log(database)
    readers = [QuietReader(log), QuietReader(log)]
    doors = [door(log, reader) for reader in readers]
    first = asyncio.create_task(doors[0].run())
    await readers[0].follows.wait()
    second = asyncio.create_task(doors[1].run())

    async def standing_by() -> bool:
        return (await doors[1].check()).reason == "standing_by"

    await until(standing_by)
    assert (await doors[1].check()).ok
    assert not readers[1].follows.is_set()

    first.cancel()
    await asyncio.wait([first])
    await asyncio.wait_for(readers[1].follows.wait(), 10)
    second.cancel()
    await asyncio.wait([second])


async def test_a_reader_that_is_behind_neither_moves_a_cursor_back_nor_links_an_entry_anew(database: Database) -> None:
    log = Log(database)
    records = log.world.records([log.world.prepared().drafts[-1] for _ in range(40)])
    partition = records[0].partition
    mine = [each for each in records if each.partition == partition]
    await log.keep(*mine)
    await log.keep(mine[0])
    place = Place(mine[0].topic, log.generation, partition)
    assert (await log.entries.cursors())[place] == mine[-1].offset + 1
    page = await log.page(mine[0])
    before = [None, *(each.offset for each in mine[:-1])]
    assert [each["previous_offset"] for each in page["items"]] == before
