"""One relay for each database: another process takes over when it ends, and it ends when it loses its lease."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest

from deploy.devstack.stack import DevStack
from deploy.site.access import prepare_databases
from shared.core.clock import SystemClock
from shared.core.errors import Unavailable
from shared.core.routing.documents import DocumentStore
from shared.instance.machinery import InstanceParts
from shared.platform.database.lease import LEASE_S, ProcessLease
from shared.platform.database.transactions import Database
from shared.platform.kafka.access import KafkaAccess
from tests.shared.platform.builders import KEY
from tests.support.privileges import may_not

pytestmark = pytest.mark.timing


@pytest.fixture(autouse=True)
async def nobodys(database: Database) -> None:
    async with database.transaction() as session:
        await session.driver.execute("DELETE FROM process_lease")


def instance(database: Database) -> InstanceParts:
    """Return an instance with the parts that its relay needs."""
    nothing = cast(Any, None)
    settings: Any = SimpleNamespace(
        kafka_access=lambda: KafkaAccess("127.0.0.1:1"), issue_slot=lambda: None, kept_bytes_max=2**30
    )
    feed: Any = SimpleNamespace(beat=SimpleNamespace(lateness=lambda: ""))
    keys: Any = SimpleNamespace(signing=KEY, kek=None)
    return InstanceParts(
        "hotline", settings, SystemClock(), database, keys, DocumentStore(), feed, nothing, nothing, nothing, nothing
    )


async def publishes(here: InstanceParts) -> bool:
    """Return whether this process publishes: it neither waits for the lease nor has yet to begin."""
    return (await here.readiness.probe_relay()).reason not in ("standing_by", "elsewhere")


async def until_publishes(here: InstanceParts) -> None:
    async with asyncio.timeout(60):
        while not await publishes(here):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


async def ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_relay_that_ends_lets_the_one_that_stood_by_take_over_at_once(database: Database) -> None:
    first, second = instance(database), instance(database)
    publishing = asyncio.create_task(first.run_relay(cast(Any, None)))
    await until_publishes(first)
    standing_by = asyncio.create_task(second.run_relay(cast(Any, None)))
    await asyncio.sleep(0.1)
    assert not await publishes(second)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    await until_publishes(second)
    await ended(standing_by)


async def test_a_relay_ends_when_another_has_its_lease(database: Database) -> None:
    here = instance(database)
    publishing = asyncio.create_task(here.run_relay(cast(Any, None)))
    await until_publishes(here)
    async with database.transaction() as session:
        await session.driver.execute("UPDATE process_lease SET expires_at = now() - interval '1 s'")
    assert await ProcessLease(database, "relay").wait() == 2
    with pytest.raises(Unavailable, match="lease_lost"):
        await publishing


async def test_a_lease_that_nobody_renews_is_free_after_a_while_and_no_sooner(database: Database) -> None:
    assert await ProcessLease(database, "relay").wait() == 1
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await ProcessLease(database, "relay").wait() == 2
    assert LEASE_S * 0.9 < loop.time() - began < LEASE_S * 10


async def test_leases_of_two_names_keep_nobody_from_each_other(database: Database) -> None:
    assert await ProcessLease(database, "relay").take() == 1
    assert await ProcessLease(database, "reader").take() == 1
    assert await ProcessLease(database, "reader").take() is None


@pytest.mark.usefixtures("database")
async def test_whoever_counts_can_neither_take_the_lease_nor_keep_others_from_it(stack: DevStack) -> None:
    """Finding p19: a role that may only read for reconciliation stopped the relay by holding its lock."""
    admin_url = stack.endpoints.database_admin_url
    assert admin_url is not None
    made = await asyncio.to_thread(prepare_databases, admin_url, ["runtime_edges"], stack.state.password)
    accountant = await asyncpg.connect(made["runtime_edges"].accountant_url)
    try:
        await may_not(
            accountant,
            "UPDATE process_lease SET expires_at = now() + interval '1 day'",
            "INSERT INTO process_lease VALUES ('relay', gen_random_uuid(), 9, now() + interval '1 day')",
            "SELECT * FROM process_lease FOR UPDATE",
            "BEGIN; LOCK TABLE process_lease",
            "UPDATE stream SET sent = 9",
            "SELECT pg_advisory_lock(1)",
        )
    finally:
        await accountant.close()
