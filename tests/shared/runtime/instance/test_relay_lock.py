"""One relay for each database: another takes over when it ends, and it ends when it may no longer be the one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest

from shared.kernel.clock import SystemClock
from shared.kernel.errors import Unavailable
from shared.routing.shelf import DocumentShelf
from shared.runtime.database.transactions import Database
from shared.runtime.instance import machinery
from shared.runtime.instance.machinery import Machinery
from shared.runtime.kafka.access import KafkaAccess
from tests.shared.runtime.builders import KEY

pytestmark = pytest.mark.timing

_HOLDERS = "SELECT pid FROM pg_locks JOIN pg_database AS d ON d.oid = database WHERE locktype = 'advisory' AND granted"
_HERE = " AND datname = current_database()"


def instance(database: Database) -> Machinery:
    """As much of an instance as its relay needs."""
    nothing = cast(Any, None)
    settings: Any = SimpleNamespace(
        kafka_access=lambda: KafkaAccess("127.0.0.1:1"), batch_rows_max=10, resend_after_s=30.0
    )
    keys: Any = SimpleNamespace(signing=KEY)
    shelf = DocumentShelf()
    return Machinery("hotline", settings, SystemClock(), database, keys, shelf, nothing, nothing, nothing, nothing)


async def publishes(here: Machinery) -> bool:
    """Whether it is the one: neither waits for the lock, nor has yet to begin."""
    return (await here.readiness.probe_relay()).reason not in ("standing_by", "elsewhere")


async def until_publishes(here: Machinery) -> None:
    async with asyncio.timeout(60):
        while not await publishes(here):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


async def lose_lock(database_url: str) -> None:
    """End the session that holds the lock, as a restart of the server or a broken network does."""
    admin = await asyncpg.connect(database_url)
    for row in await admin.fetch(_HOLDERS + _HERE):
        await admin.execute("SELECT pg_terminate_backend($1)", row["pid"])
    await admin.close()


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_relay_ends_with_its_lock_and_the_one_that_stood_by_takes_over(
    database: Database, database_url: str
) -> None:
    first, second = instance(database), instance(database)
    publishing = asyncio.create_task(first.run_relay(cast(Any, None)))
    await until_publishes(first)
    standing_by = asyncio.create_task(second.run_relay(cast(Any, None)))
    await asyncio.sleep(0.1)
    assert not await publishes(second)
    await lose_lock(database_url)
    with pytest.raises(Unavailable, match="relay_lock_lost"):
        await publishing
    await until_publishes(second)
    await ended(standing_by)


async def test_a_relay_that_did_not_look_at_its_lock_would_go_on_beside_the_next(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(machinery, "_while_open", lambda _, work: work)
    first, second = instance(database), instance(database)
    publishing = asyncio.create_task(first.run_relay(cast(Any, None)))
    await until_publishes(first)
    standing_by = asyncio.create_task(second.run_relay(cast(Any, None)))
    await lose_lock(database_url)
    await until_publishes(second)
    assert not publishing.done()
    await ended(publishing, standing_by)


async def test_a_relay_that_is_told_to_end_ends_as_told(database: Database) -> None:
    here = instance(database)
    publishing = asyncio.create_task(here.run_relay(cast(Any, None)))
    await until_publishes(here)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
